package logfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// A position is how far the log was read, as it is kept over a restart.
type position struct {
	Version int        `json:"version"`
	Saved   time.Time  `json:"saved"` // by the clock of the host
	Last    time.Time  `json:"last"`  // stamp of the last line that was handed on, by the clock of the log
	Files   []bookmark `json:"files"` // in the order of the log; the last one stood at the path
}

const positionVersion = 1

// A bookmark is a place in a file, told by what stands before it. Inodes alone tell
// little: a file system gives the number of a deleted file to the next one.
type bookmark struct {
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"` // of the first byte that was not handed on
	Length int    `json:"length"` // how many bytes before it are summed
	Sum    uint64 `json:"sum"`    // FNV-1a
}

// bookmarkAt gives a place in an open file; it fails if the file does not reach so
// far any more.
func bookmarkAt(r io.ReaderAt, info os.FileInfo, offset int64) (bookmark, bool) {
	context := before(r, offset)
	p := bookmark{Inode: inode(info), Offset: offset, Length: len(context), Sum: sum(context)}
	return p, offset == 0 || len(context) > 0
}

// in reports whether the file has the place.
func (b *bookmark) in(r io.ReaderAt) bool {
	context := before(r, b.Offset)
	return len(context) == b.Length && (b.Length > 0 || b.Offset == 0) && sum(context) == b.Sum
}

func sum(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}

func inode(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// changed is when the file was last written to, renamed or made: what a copy of
// it cannot take over from the original.
func changed(info os.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctim.Unix())
	}
	return info.ModTime()
}

// saving says what of the position was not saved yet.
type saving struct {
	at     time.Time // when it was saved last
	events bool      // events were emitted since
	noise  bool      // lines were read since
	barred bool      // it cannot be told at the moment
}

// saveDue saves the position if it is time to.
func (f *follower) saveDue() {
	since := f.now.Sub(f.saving.at)
	if len(f.chain) == 0 {
		return // nothing was read that an older position does not tell
	}
	if f.saving.events && since >= f.pace.saveEvents || f.saving.noise && since >= f.pace.saveNoise {
		f.saveNow()
	}
}

// saveNow saves the position, unless a file is being truncated just now.
func (f *follower) saveNow() {
	if f.saving.barred {
		return
	}
	p := position{Version: positionVersion, Saved: time.Now()}
	for _, t := range f.chain {
		place, ok := bookmarkAt(t.file, t.info, t.from)
		if !ok {
			return
		}
		p.Files = append(p.Files, place)
		f.noteHanded(t)
	}
	p.Last = f.handed
	data, err := json.Marshal(p)
	if err != nil {
		panic("logfile: position: " + err.Error()) // it is numbers and times
	}
	f.saving = saving{at: p.Saved}
	f.sink.Position(data)
}

// noteHanded notes the time up to which lines were handed on.
func (f *follower) noteHanded(t *tail) {
	if last := lastStamp(t.file, t.from, &f.scanner.clock); !last.IsZero() {
		f.handed = last
	}
}

// begin finds out where to read from and saves that at once: whatever is written
// from now on will be read, also after a crash.
func (f *follower) begin(stored []byte) {
	f.now = time.Now()
	f.scanner.modTime = f.now
	p, err := parsePosition(stored)
	switch {
	case err != nil:
		f.log.Warn("log position is damaged; what was written meanwhile is left out", "err", err)
		f.beginAtEnd()
	case stored == nil:
		f.beginAtEnd()
	default:
		f.resume(p)
	}
	if f.unfound == nil && !f.unread {
		f.saveNow()
	}
}

func parsePosition(stored []byte) (p position, err error) {
	if stored == nil {
		return p, nil
	}
	if err := json.Unmarshal(stored, &p); err != nil {
		return p, err
	}
	if p.Version != positionVersion {
		return p, fmt.Errorf("version %d is not %d", p.Version, positionVersion)
	}
	for _, place := range p.Files {
		if place.Offset < 0 || place.Length < 0 || place.Length > contextLength {
			return p, fmt.Errorf("offset %d, length %d", place.Offset, place.Length)
		}
	}
	return p, nil
}

// beginAtEnd leaves out what is there, but for the line that is being written.
func (f *follower) beginAtEnd() {
	for _, s := range f.siblings() {
		if last := lastStamp(s.file, s.info.Size(), &f.scanner.clock); last.After(f.last) {
			f.handed, f.last = last, last
		}
		f.finished = append(f.finished, finished{info: s.info, head: s.head})
		s.file.Close()
	}
	file, info, err := openLog(f.path)
	f.unread = err != nil && !errors.Is(err, fs.ErrNotExist)
	if err != nil {
		f.absent.atOnce(f, err)
		return
	}
	f.chain = []*tail{newTail(file, info, lineStart(file, info.Size()))}
	f.prime(f.chain[0])
}

// lineStart is where the line begins that a place in the file is in. If it is too
// long to be looked at, the place itself will do.
func lineStart(r io.ReaderAt, at int64) int64 {
	buf := make([]byte, min(at, chunk))
	n, _ := r.ReadAt(buf, at-int64(len(buf)))
	for i := n; i > 0; i-- {
		if buf[i-1] == '\n' {
			return at - int64(len(buf)) + int64(i)
		}
	}
	if n == len(buf) && at > chunk {
		return at
	}
	return 0
}

// resume finds the files of a stored position again. What was written between
// them and the path's is found as it is after any rotation.
func (f *follower) resume(p position) {
	f.handed, f.last, f.unfound = p.Last, p.Last, nil
	var candidates []candidate
	file, info, err := openLog(f.path) // before the others: it may become one of them meanwhile
	if err == nil {
		candidates = append(candidates, f.newCandidate(file, info))
	}
	candidates = append(candidates, f.siblings()...)
	goesOn := len(p.Files) == 0 // there was no log then: whatever is there is new
	for i := range p.Files {
		b := &p.Files[i]
		if b.Offset == 0 && i == len(p.Files)-1 {
			// Whatever is in it now is new, and found as a new file is.
			goesOn = err == nil && inode(info) == b.Inode
			continue
		}
		if c := b.find(candidates, &p); c != nil {
			f.chain = append(f.chain, newTail(c.file, c.info, b.Offset))
			c.file = nil
		}
	}
	goesOn = goesOn || len(f.chain) > 0 || err == nil && (info.Size() == 0 || f.later(&candidates[0]))
	for _, c := range candidates {
		if c.file != nil {
			c.file.Close()
		}
	}
	for _, t := range f.chain {
		f.prime(t)
	}
	switch {
	case goesOn:
	case err != nil:
		f.unfound = &p
		f.absent.atOnce(f, err)
	default:
		f.log.Warn("log is not the one that was read last; what was written meanwhile is left out", "path", f.path)
		f.beginAtEnd()
	}
}

// shortestCopy is how many equal bytes, at least, make one file the copy of
// another: about as many as there are in a line with a time.
const shortestCopy = 64

// find gives the file that a bookmark of a position is in: the same inode, or else
// a copy that was made after it.
func (b *bookmark) find(candidates []candidate, p *position) *candidate {
	var copied *candidate
	for i := range candidates {
		c := &candidates[i]
		if c.file == nil || !b.in(c.file) || b.Offset == 0 && c.first.Before(p.Last.Add(-disorder)) {
			continue
		}
		if inode(c.info) == b.Inode {
			return c
		}
		if b.Length >= shortestCopy && !changed(c.info).Before(p.Saved) {
			copied = c
		}
	}
	return copied
}

// later reports whether all of a file was written after what was read before.
func (f *follower) later(c *candidate) bool {
	return !c.first.IsZero() && !c.first.Before(f.last.Add(-disorder))
}
