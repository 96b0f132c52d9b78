package tail

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// maxChain bounds how many files are open.
	maxChain = 64

	// maxFinished bounds how many files are remembered after they were read.
	maxFinished = 256

	// disorder is how much earlier the first line of a file may be stamped than the
	// last line of the file before: a thread takes the time before it writes.
	disorder = 2 * time.Second
)

// A finished is a file that is not read any more. It may come back to the path.
type finished struct {
	info  os.FileInfo
	place bookmark
	head  []byte // its first bytes
}

// look compares the path with the newest file that is read. After a rotation of any
// kind the path has another inode.
func (f *Follower) look() {
	info, err := os.Stat(f.Path)
	if err == nil && !info.Mode().IsRegular() && !isPipe(info) {
		err = errNotRegular
	}
	if err != nil {
		f.aimed = false
		f.absent(err)
		return
	}
	if retry := f.retry; retry != nil {
		f.retry = nil
		retry()
	}
	if f.retry != nil {
		return
	}
	if t := f.current(); t == nil || !os.SameFile(info, t.info) {
		f.turn()
		return
	}
	f.present()
}

// turn adds the file that is at the path now, and before it those that were there
// meanwhile.
func (f *Follower) turn() {
	if len(f.chain) >= maxChain && !f.giveUpOldest() {
		return // what is open is read first
	}
	file, info, err := f.open()
	if err != nil {
		f.absent(err)
		return
	}
	f.aimed = false
	if i := f.reads(info); i >= 0 {
		file.Close()
		t := f.chain[i]
		t.until = time.Time{}
		f.chain = append(slices.Delete(f.chain, i, i+1), t)
		return
	}
	if t := f.current(); t != nil {
		f.Log.Info("log rotated", "path", f.Path)
		if last := f.lastStamp(t.file, size(t.file)); !last.IsZero() {
			f.last = last
		}
	}
	for _, c := range f.between(file, info) {
		f.chain = append(f.chain, newFile(c.file, c.info, 0, f.Before))
	}
	f.chain = append(f.chain, f.newest(file, info, f.returnedAt(file, info)))
	f.present()
}

// reads returns the place of a file in the chain, or -1.
func (f *Follower) reads(info os.FileInfo) int {
	return slices.IndexFunc(f.chain, func(t *file) bool { return os.SameFile(t.info, info) })
}

// giveUpOldest stops waiting for late writers of the oldest file, if it was read.
func (f *Follower) giveUpOldest() bool {
	if f.chain[0].until.IsZero() {
		return false
	}
	f.finish(f.chain[0])
	f.chain = slices.Delete(f.chain, 0, 1)
	return true
}

// retire drops the files that need not be read any more.
func (f *Follower) retire() {
	f.chain = slices.DeleteFunc(f.chain, func(t *file) bool {
		if !t.lost && (t.until.IsZero() || f.now.Before(t.until)) {
			return false
		}
		f.finish(t)
		return true
	})
}

// finish closes a file and remembers it.
func (f *Follower) finish(t *file) {
	f.noteHanded(t)
	done := finished{info: t.info, head: head(t.file)}
	done.place, _ = bookmarkAt(t.file, inode(t.info), t.from)
	if len(f.finished) == maxFinished {
		f.finished = slices.Delete(f.finished, 0, 1)
	}
	f.finished = append(f.finished, done)
	t.close()
}

// returnedAt returns where to read a file that came to the path: its start, or where
// reading stopped if it was there before.
func (f *Follower) returnedAt(file content, info os.FileInfo) int64 {
	for _, done := range slices.Backward(f.finished) {
		if os.SameFile(done.info, info) && done.place.in(file) {
			return done.place.Offset
		}
	}
	return 0
}

// A candidate is a file beside the log that may have been the log.
type candidate struct {
	file  content
	info  os.FileInfo
	head  []byte    // its first bytes
	first time.Time // its first stamp; zero: it has none
}

func (f *Follower) newCandidate(file content, info os.FileInfo) candidate {
	c := candidate{file, info, head(file), f.firstStamp(file)}
	if a := c.archive(); a != nil {
		a.rewind()
	}
	return c
}

// between finds the files that were at the path after the newest one that is read and
// before the one that was opened there now, oldest first: several rotations may happen
// between two looks. Their names begin with the log's. Their first stamp is not
// earlier than the last one that was read, nor later than that of the path's file,
// which may have been rotated away again. They are neither known nor copies of known
// files.
func (f *Follower) between(now content, info os.FileInfo) []candidate {
	siblings := f.siblings(f.resumed)
	f.resumed = false
	end := f.firstStamp(now)
	var found []candidate
	for _, c := range siblings {
		switch {
		case os.SameFile(c.info, info), !f.isLater(&c), !end.IsZero() && c.first.After(end), f.knows(&c),
			slices.ContainsFunc(found, func(other candidate) bool { return bytes.Equal(other.head, c.head) }),
			len(f.chain)+len(found)+1 >= maxChain:
			c.file.Close()
		default:
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(a.first.Compare(b.first), a.info.ModTime().Compare(b.info.ModTime()))
	})
	return found
}

// knows reports whether a file is or was read, or is a copy of the start of one.
func (f *Follower) knows(c *candidate) bool {
	same := func(info os.FileInfo, head []byte) bool {
		return bytes.HasPrefix(head, c.head) || os.SameFile(info, c.info) && bytes.HasPrefix(c.head, head)
	}
	for _, t := range f.chain {
		if same(t.info, head(t.file)) {
			return true
		}
	}
	return slices.ContainsFunc(f.finished, func(done finished) bool { return same(done.info, done.head) })
}

// copyOf finds the copy that was made of a file before it was truncated, to be read
// on from the same place; nil if there is none.
func (f *Follower) copyOf(t *file) *file {
	var found *file
	for _, c := range f.siblings(false) {
		if found == nil && len(t.context) > 0 && !changed(c.info).Before(t.grown.Add(-f.Pace.Pulse-disorder)) &&
			f.reads(c.info) < 0 && bytes.Equal(contextOf(c.file, t.offset), t.context) {
			found = newFile(c.file, c.info, t.from, f.Before)
			found.copied = true
			continue
		}
		c.file.Close()
	}
	return found
}

// isRotated reports whether a file may once have had the name base: freeswitch.log.1,
// freeswitch.log-20260504.gz, freeswitch-20260504.log.
func isRotated(name, base string) bool {
	end := filepath.Ext(base)
	dated, isDated := strings.CutPrefix(name, strings.TrimSuffix(base, end)+"-")
	return strings.HasPrefix(name, base) || isDated && dated != "" && dated[0] >= '0' && dated[0] <= '9' && strings.Contains(dated, end)
}

// siblings opens the files beside the log that were rotated away from its path. It lists
// the directory until nothing new appears: a listing can miss a file while names are
// shifted. If archived is set, it looks into compressed files.
func (f *Follower) siblings(archived bool) []candidate {
	path, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		path = f.Path
	}
	dir, base := filepath.Split(path)
	var found []candidate
	const passes = 4
	for range passes {
		n := len(found)
		entries, _ := os.ReadDir(cmp.Or(dir, "."))
		for _, e := range entries {
			if e.Name() == base || !isRotated(e.Name(), base) {
				continue
			}
			file, info, err := open(dir + e.Name())
			if err != nil {
				continue
			}
			if slices.ContainsFunc(found, func(c candidate) bool { return os.SameFile(c.info, info) }) {
				file.Close()
				continue
			}
			text := content(file)
			if archived {
				text = f.contentOf(file)
			}
			found = append(found, f.newCandidate(text, info))
		}
		if len(found) == n {
			break
		}
	}
	return found
}

var errNotRegular = errors.New("is not a regular file")

func isPipe(info os.FileInfo) bool { return info.Mode().Type() == os.ModeNamedPipe }

// open opens the file at the path, which may be a named pipe.
func (f *Follower) open() (*os.File, os.FileInfo, error) {
	if info, err := os.Stat(f.Path); err == nil && isPipe(info) {
		file, err := openFifo(f.Path)
		if err != nil {
			return nil, nil, err
		}
		info, err := file.Stat()
		return file, info, err
	}
	return open(f.Path)
}

// newest reads the file at the path from an offset on.
func (f *Follower) newest(at *os.File, info os.FileInfo, offset int64) *file {
	t := newFile(at, info, offset, f.Before)
	if isPipe(info) {
		t.pipe = newPipe(fifo{at}, f.Lost)
	}
	return t
}

// open opens a regular file to read it.
func open(path string) (*os.File, os.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// size returns the length of a file; 0 if it is not known.
func size(text content) int64 {
	file, ok := text.(*os.File)
	if !ok {
		return 0
	}
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func head(r io.ReaderAt) []byte {
	buf := make([]byte, contextLength)
	n, _ := r.ReadAt(buf, 0)
	return buf[:n]
}

// stampReach is how far a stamp is searched for at either end of a file, in bytes.
const stampReach = 64 << 10

// firstStamp returns the first stamp in a file, zero if there is none.
func (f *Follower) firstStamp(r io.ReaderAt) time.Time {
	buf := make([]byte, stampReach)
	n, _ := r.ReadAt(buf, 0)
	for line := range bytes.SplitSeq(buf[:n], []byte{'\n'}) {
		if t := f.Stamp(line); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// lastStamp returns the last stamp before end, zero if there is none.
func (f *Follower) lastStamp(r io.ReaderAt, end int64) time.Time {
	buf := make([]byte, min(end, stampReach))
	n, _ := r.ReadAt(buf, end-int64(len(buf)))
	for rest := buf[:n]; len(rest) > 0; {
		start := bytes.LastIndexByte(rest[:len(rest)-1], '\n') + 1
		if t := f.Stamp(rest[start:]); !t.IsZero() {
			return t
		}
		rest = rest[:start]
	}
	return time.Time{}
}
