package logfile

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxChain bounds how many files are held open.
	maxChain = 64

	// maxFinished bounds how many files are remembered that were read.
	maxFinished = 256

	// disorder is how much earlier the first line of a file may be stamped than
	// the last line of the one before it: FreeSWITCH's threads write their lines
	// with the time at which they had something to say.
	disorder = 2 * time.Second
)

// A finished is a file that is not read any more. It may come back to the path.
type finished struct {
	info  os.FileInfo
	place bookmark
	head  []byte // its first bytes
}

// look compares the path with the newest file that is read. A rotation shows in
// another inode, whoever did it and how: rename and create, a symbolic link that
// moves, a file that was deleted and made anew.
func (f *follower) look() {
	info, err := os.Stat(f.path)
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		f.aimed = false
		f.absent.note(f, err)
		return
	}
	if f.unfound != nil {
		f.resume(*f.unfound)
	} else if f.unread {
		f.beginAtEnd()
	}
	if f.unfound != nil || f.unread {
		return
	}
	if t := f.newest(); t == nil || !os.SameFile(info, t.info) {
		f.turn()
		return
	}
	f.absent.over(f)
}

// turn takes up the file that stands at the path now, and before it those that
// stood there meanwhile.
func (f *follower) turn() {
	if len(f.chain) >= maxChain && !f.giveUpOldest() {
		return // first read what is held already
	}
	file, info, err := openLog(f.path)
	if err != nil {
		f.absent.note(f, err)
		return
	}
	f.aimed, f.block.plan = false, nil
	same := func(t *tail) bool { return os.SameFile(t.info, info) }
	if i := slices.IndexFunc(f.chain, same); i >= 0 {
		file.Close()
		t := f.chain[i]
		t.until = time.Time{}
		f.chain = append(slices.Delete(f.chain, i, i+1), t)
		return
	}
	if t := f.newest(); t != nil {
		f.log.Info("log was rotated", "path", f.path)
		if last := lastStamp(t.file, size(t.file), &f.scanner.clock); !last.IsZero() {
			f.last = last
		}
	}
	for _, c := range f.between(file, info) {
		f.chain = append(f.chain, newTail(c.file, c.info, 0))
	}
	f.chain = append(f.chain, newTail(file, info, f.returnedAt(file, info)))
	f.absent.over(f)
}

// giveUpOldest stops waiting for late writers of the oldest file, if it was read.
func (f *follower) giveUpOldest() bool {
	if f.chain[0].until.IsZero() {
		return false
	}
	f.finish(f.chain[0])
	f.chain = slices.Delete(f.chain, 0, 1)
	return true
}

// retire drops the files that need not be read any more.
func (f *follower) retire() {
	n := len(f.chain)
	f.chain = slices.DeleteFunc(f.chain, f.retired)
	if len(f.chain) < n {
		f.aimed = false
	}
}

// retired closes a file that needs not be read any more.
func (f *follower) retired(t *tail) bool {
	if !t.lost && (t.until.IsZero() || f.now.Before(t.until)) {
		return false
	}
	f.finish(t)
	return true
}

// finish closes a file and remembers it.
func (f *follower) finish(t *tail) {
	f.noteHanded(t)
	done := finished{info: t.info, head: head(t.file)}
	done.place, _ = bookmarkAt(t.file, t.info, t.from)
	if len(f.finished) == maxFinished {
		f.finished = slices.Delete(f.finished, 0, 1)
	}
	f.finished = append(f.finished, done)
	t.file.Close()
}

// returnedAt is where a file is read from that came to the path: its start, or
// where reading stopped if it has been there before.
func (f *follower) returnedAt(file *os.File, info os.FileInfo) int64 {
	for _, done := range slices.Backward(f.finished) {
		if os.SameFile(done.info, info) && done.place.in(file) {
			return done.place.Offset
		}
	}
	return 0
}

// A candidate is a file beside the log that may have been the log.
type candidate struct {
	file  *os.File
	info  os.FileInfo
	head  []byte    // its first bytes
	first time.Time // stamp of the first line that tells one; zero: none does
}

func (f *follower) newCandidate(file *os.File, info os.FileInfo) candidate {
	return candidate{file, info, head(file), firstStamp(file, &f.scanner.clock)}
}

// between finds the files that stood at the path after the newest one that is
// read and before the one that was opened there now, oldest first: so many
// rotations may come at once that nobody looked in between. They begin with the
// log's name; their first line is not earlier than the last one that was read,
// which tells them from older ones, and not later than that of the path's file,
// which may have been rotated away again; and they are neither known nor copies of
// what is.
func (f *follower) between(now *os.File, info os.FileInfo) []candidate {
	siblings := f.siblings()
	end := firstStamp(now, &f.scanner.clock)
	var found []candidate
	for _, c := range siblings {
		switch {
		case os.SameFile(c.info, info), !f.later(&c), !end.IsZero() && c.first.After(end), f.knows(&c),
			slices.ContainsFunc(found, func(other candidate) bool { return bytes.Equal(other.head, c.head) }),
			len(f.chain)+len(found)+1 >= maxChain:
			c.file.Close()
		default:
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Or(a.first.Compare(b.first), compareAge(a.file.Name(), b.file.Name()))
	})
	return found
}

// knows reports whether a file is one that is read or was, or a copy of its start.
func (f *follower) knows(c *candidate) bool {
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

// copyOf finds the copy that was made of a file before it was truncated, which is
// read on from the same place, nil if there is none.
func (f *follower) copyOf(t *tail) *tail {
	var found *tail
	for _, c := range f.siblings() {
		if found == nil && len(t.context) > 0 && !changed(c.info).Before(t.grown.Add(-f.pace.pulse-disorder)) &&
			!slices.ContainsFunc(f.chain, func(t *tail) bool { return os.SameFile(t.info, c.info) }) &&
			bytes.Equal(before(c.file, t.offset), t.context) {
			found = newTail(c.file, c.info, t.from)
			found.copied = true
			continue
		}
		c.file.Close()
	}
	return found
}

// siblings opens the files beside the log whose names begin with the log's. They
// are looked for until nothing new turns up: while names are shifted, a file can
// be missed.
func (f *follower) siblings() []candidate {
	path, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		path = f.path
	}
	dir, base := filepath.Split(path)
	var found []candidate
	const passes = 4
	for range passes {
		n := len(found)
		entries, _ := os.ReadDir(cmp.Or(dir, "."))
		for _, e := range entries {
			if e.Name() == base || !strings.HasPrefix(e.Name(), base) {
				continue
			}
			file, info, err := openLog(dir + e.Name())
			if err != nil {
				continue
			}
			if slices.ContainsFunc(found, func(c candidate) bool { return os.SameFile(c.info, info) }) {
				file.Close()
				continue
			}
			found = append(found, f.newCandidate(file, info))
		}
		if len(found) == n {
			break
		}
	}
	return found
}

// compareAge tells by their names which of two files is older. In freeswitch.log.2
// and freeswitch.log.10 the higher number is; a date in a name sorts by itself.
func compareAge(a, b string) int {
	numberOf := func(name string) (int, bool) {
		n, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
		return n, err == nil
	}
	na, aNumbered := numberOf(a)
	nb, bNumbered := numberOf(b)
	if aNumbered && bNumbered && na != nb {
		return nb - na
	}
	return strings.Compare(a, b)
}

var errNotRegular = errors.New("is not a regular file")

// openLog opens a file to read it. It does not wait for the writer of a pipe.
func openLog(path string) (*os.File, os.FileInfo, error) {
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

func size(file *os.File) int64 {
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

// stampReach is how far a header is looked for at either end of a file, in bytes.
const stampReach = 64 << 10

// firstStamp is the time of the first line that tells one, zero if none does.
func firstStamp(r io.ReaderAt, clock *clock) time.Time {
	buf := make([]byte, stampReach)
	n, _ := r.ReadAt(buf, 0)
	var limits limits
	for rest := buf[:n]; len(rest) > 0; {
		var line string
		line, rest = limits.cut(rest)
		if h, ok := parseHeader(line); ok {
			return clock.time(h.stamp)
		}
	}
	return time.Time{}
}

// lastStamp is the time of the last line before end that tells one.
func lastStamp(r io.ReaderAt, end int64, clock *clock) time.Time {
	buf := make([]byte, min(end, stampReach))
	n, _ := r.ReadAt(buf, end-int64(len(buf)))
	var limits limits
	for rest := buf[:n]; len(rest) > 0; {
		start := bytes.LastIndexByte(rest[:len(rest)-1], '\n') + 1
		if h, ok := parseHeader(limits.line(rest[start:])); ok {
			return clock.time(h.stamp)
		}
		rest = rest[:start]
	}
	return time.Time{}
}
