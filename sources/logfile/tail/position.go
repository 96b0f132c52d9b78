package tail

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

// A position is how far the log was read, as it is saved.
type position struct {
	Version int        `json:"version"`
	Saved   time.Time  `json:"saved"` // by the clock of the host
	Last    time.Time  `json:"last"`  // stamp of the last line that is done with
	Files   []bookmark `json:"files"` // in the order of the log; the last one was at the path
}

const positionVersion = 1

// A bookmark is a place in a file, identified by what stands before it. An inode
// alone does not identify a file: a file system reuses that of a deleted one.
type bookmark struct {
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"` // of the first byte that is not done with
	Length int    `json:"length"` // how many bytes before it are summed
	Sum    uint64 `json:"sum"`    // FNV-1a
}

// bookmarkAt returns a place in an open file. It fails if the file does not reach so
// far.
func bookmarkAt(r io.ReaderAt, inode uint64, offset int64) (bookmark, bool) {
	context := contextOf(r, offset)
	sum := fnv.New64a()
	sum.Write(context)
	return bookmark{inode, offset, len(context), sum.Sum64()}, offset == 0 || len(context) > 0
}

// in reports whether the file has the place.
func (b *bookmark) in(r io.ReaderAt) bool {
	there, ok := bookmarkAt(r, b.Inode, b.Offset)
	return ok && there == *b
}

func inode(info os.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// changed returns when the file was last written to, renamed or made: a time that a
// copy cannot take over from the original.
func changed(info os.FileInfo) time.Time {
	return time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
}

// saving says what of the position was not saved yet.
type saving struct {
	at     time.Time // when it was saved last
	events bool      // events were reported since
	lines  bool      // lines were read since
	barred bool      // it cannot be saved now
}

// saveDue saves the position if it is time to. Without a file, an older position
// says the same.
func (f *Follower) saveDue() {
	if f.saving.due(f.now, f.Pace) && len(f.chain) > 0 {
		f.saveNow()
	}
}

// due reports whether it is time to save the position.
func (s *saving) due(now time.Time, pace Pace) bool {
	since := now.Sub(s.at)
	return s.events && since >= pace.SaveEvents || s.lines && since >= pace.SaveLines
}

// saveNow saves the position, unless a file is being truncated.
func (f *Follower) saveNow() {
	if f.saving.barred {
		return
	}
	p := position{Version: positionVersion, Saved: time.Now()}
	for _, t := range f.chain {
		if t.pipe != nil {
			continue // a pipe has no position
		}
		place, ok := bookmarkAt(t.file, inode(t.info), t.from)
		if !ok {
			return
		}
		p.Files = append(p.Files, place)
		f.noteHanded(t)
	}
	if len(p.Files) == 0 && len(f.chain) > 0 {
		return
	}
	p.Last = f.handed
	data, _ := json.Marshal(p) // numbers and times cannot fail
	f.saving = saving{at: p.Saved}
	f.Save(data)
}

// noteHanded notes the stamp of the last line that is done with.
func (f *Follower) noteHanded(t *file) {
	if last := f.lastStamp(t.file, t.from); !last.IsZero() {
		f.handed = last
	}
}

// Begin finds out where to read from and saves that at once: what is written from now
// on will be read, also after a crash. Without a position it begins at the present
// end. A file that does not exist yet is read from its start when it appears.
func (f *Follower) Begin(stored []byte) {
	f.now = time.Now()
	if info, err := os.Stat(f.Path); stored == nil || err == nil && isPipe(info) {
		f.beginAtEnd()
	} else if p, err := parsePosition(stored); err != nil {
		f.Log.Warn("log position damaged; what was written meanwhile is skipped", "err", err)
		f.beginAtEnd()
	} else {
		f.resume(p)
	}
	if f.retry == nil {
		f.saveNow()
	}
}

func parsePosition(stored []byte) (p position, err error) {
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

// beginAtEnd skips what is there, except a line that is not finished.
func (f *Follower) beginAtEnd() {
	f.finished = f.finished[:0] // of an attempt before
	for _, s := range f.siblings(false) {
		if last := f.lastStamp(s.file, s.info.Size()); last.After(f.last) {
			f.handed, f.last = last, last
		}
		f.finished = append(f.finished, finished{info: s.info, head: s.head})
		s.file.Close()
	}
	file, info, err := f.open()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.retry = f.beginAtEnd // what is in the file is history
		}
		f.absentSince = f.now.Add(-f.Pace.Absence) // no rotation is under way
		f.absent(err)
		return
	}
	f.chain = append(f.chain[:0], f.newest(file, info, lineStart(file, info.Size())))
	f.recall(f.chain[0])
}

// lineStart returns where the line begins that a place in the file is in. If the line
// is too long, it returns the place itself.
func lineStart(r io.ReaderAt, at int64) int64 {
	buf := make([]byte, min(at, chunkLength))
	n, _ := r.ReadAt(buf, at-int64(len(buf)))
	for i := n; i > 0; i-- {
		if buf[i-1] == '\n' {
			return at - int64(len(buf)) + int64(i)
		}
	}
	if n == len(buf) && at > chunkLength {
		return at
	}
	return 0
}

// resume finds the files of a stored position again. What was written between them
// and the file at the path is found as after any rotation.
func (f *Follower) resume(p position) {
	f.handed, f.last = p.Last, p.Last
	var candidates []candidate
	file, info, err := open(f.Path) // before the others: it may become one of them meanwhile
	if err == nil {
		candidates = append(candidates, f.newCandidate(file, info))
	}
	f.resumed = true
	candidates = append(candidates, f.siblings(true)...)
	goesOn := len(p.Files) == 0 // there was no log then, so all that is there is new
	missing := false
	for i := range p.Files {
		b := &p.Files[i]
		newest := i == len(p.Files)-1
		if b.Offset == 0 && (newest || missing) {
			// All that is in it is new, and found as a new file is.
			goesOn = newest && err == nil && inode(info) == b.Inode
			continue
		}
		c := b.find(candidates, &p)
		if missing = missing || c == nil; c != nil {
			f.chain = append(f.chain, newFile(c.file, c.info, b.Offset, f.Before))
			c.file = nil
		}
	}
	goesOn = goesOn || len(f.chain) > 0 || err == nil && (info.Size() == 0 || f.isLater(&candidates[0]))
	for _, c := range candidates {
		if c.file != nil {
			c.file.Close()
		}
	}
	for _, t := range f.chain {
		f.recall(t)
	}
	switch {
	case goesOn:
	case err != nil:
		f.retry = func() { f.resume(p) }
		f.absentSince = f.now.Add(-f.Pace.Absence) // no rotation is under way
		f.absent(err)
	default:
		f.Log.Warn("log replaced; what was written meanwhile is skipped", "path", f.Path)
		f.beginAtEnd()
	}
}

// shortestCopy is how many equal bytes, at least, make one file the copy of another:
// about as many as a line with a time has.
const shortestCopy = 64

// find returns the file that a bookmark of a position is in: the same inode, or else
// a copy that was made after it, or else the compressed file.
func (b *bookmark) find(candidates []candidate, p *position) *candidate {
	var copied *candidate
	for i := range candidates {
		c := &candidates[i]
		if c.file == nil || c.archive() != nil || !b.in(c.file) || b.Offset == 0 && c.first.Before(p.Last.Add(-disorder)) {
			continue
		}
		if inode(c.info) == b.Inode {
			return c
		}
		if b.Length >= shortestCopy && !changed(c.info).Before(p.Saved) {
			copied = c
		}
	}
	if copied == nil {
		copied = b.findArchived(candidates, p.Last)
	}
	return copied
}

// isLater reports whether all of a file was written after what was read before.
func (f *Follower) isLater(c *candidate) bool {
	return !c.first.IsZero() && !c.first.Before(f.last.Add(-disorder))
}
