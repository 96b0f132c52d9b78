package tail

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxPiped bounds the lines that a pipe holds, in bytes.
const maxPiped = 4 << 20

// A pipe reads lines that cannot be read again, and holds them until they are taken.
type pipe struct {
	drop  func(lines int) // counts lines that were dropped for lack of room; nil: the writer waits instead
	fresh chan struct{}   // has room for one: there is something to take

	mu     sync.Mutex // guards all below
	taken  sync.Cond
	held   bytes.Buffer
	cut    bool // what is read belongs to a line that was dropped
	closed bool
	err    error // why nothing more is read
}

// newPipe reads r until it ends. The pipe must be closed, and then r.
func newPipe(r io.Reader, drop func(lines int)) *pipe {
	p := &pipe{drop: drop, fresh: make(chan struct{}, 1)}
	p.taken.L = &p.mu
	go func() {
		buf := make([]byte, 64<<10) // as much as the system holds
		for {
			n, err := r.Read(buf)
			if !p.put(buf[:n], err) {
				return
			}
		}
	}()
	return p
}

// put adds what was read and reports whether to read on.
func (p *pipe) put(data []byte, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.drop == nil && !p.closed && p.held.Len() >= maxPiped {
		p.taken.Wait()
	}
	if p.cut {
		i := bytes.IndexByte(data, '\n')
		if p.cut = i < 0; !p.cut {
			p.drop(1)
		}
		data = data[i+1:]
	}
	if !p.cut {
		p.hold(data)
	}
	p.err = err
	select {
	case p.fresh <- struct{}{}:
	default:
	}
	return err == nil && !p.closed
}

// hold adds lines. If there is no room, it drops them, and the line that goes on in them:
// a line that is cut off could be read as another.
func (p *pipe) hold(data []byte) {
	if p.drop == nil || p.held.Len()+len(data) <= maxPiped {
		p.held.Write(data)
		return
	}
	if end := bytes.LastIndexByte(p.held.Bytes(), '\n') + 1; end > 0 {
		p.held.Truncate(end)
	} else {
		p.held.WriteByte('\n') // the line is too long anyway
	}
	p.drop(bytes.Count(data, []byte{'\n'}))
	p.cut = !bytes.HasSuffix(data, []byte{'\n'})
}

// take takes what is held, as far as buf has room for it. more tells that there is more,
// err that nothing more will come.
func (p *pipe) take(buf []byte) (n int, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, _ = p.held.Read(buf) // an empty buffer is no error here
	p.taken.Signal()
	if n == 0 {
		err = p.err
	}
	return n, p.held.Len() > 0, err
}

// close ends the reading.
func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.taken.Signal()
}

// behind returns how many bytes are held.
func (p *pipe) behind() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.held.Len())
}

// A fifo is a named pipe. Its Read does not return io.EOF.
type fifo struct{ *os.File }

// openFifo opens a named pipe without waiting for a writer. It opens the pipe for writing as
// well, if it may: then reading does not end when a writer does.
func openFifo(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrPermission) {
		return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	return file, err
}

// Read waits for the next writer after the end of one.
func (f fifo) Read(p []byte) (n int, err error) {
	for n, err = f.File.Read(p); err == io.EOF; n, err = f.File.Read(p) {
		time.Sleep(pollTick)
	}
	return n, err
}
