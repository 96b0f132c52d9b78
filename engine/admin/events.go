package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
)

// unread is how many changes wait for one reader. A reader further behind is told how
// many it has missed.
const unread = 1024

// watchers are the readers of /events.
type watchers struct {
	mu    sync.Mutex // guards what follows
	open  map[*watcher]struct{}
	ended bool
}

// A watcher is one reader of /events.
type watcher struct {
	standing bool // also of refusals because a ban stands already
	frames   chan []byte
	done     chan struct{} // closed when the server ends

	mu   sync.Mutex
	lost uint64 // changes that did not fit into frames, and are not told yet; guarded by mu
}

// Send sends a change to every reader of /events. It waits for none of them, and is
// safe for concurrent use.
func (s *Server) Send(c *ban.Change) { s.watchers.send(c) }

func (ws *watchers) send(c *ban.Change) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var frame []byte
	for w := range ws.open {
		if c.Standing && !w.standing {
			continue
		}
		if frame == nil {
			frame = frameOf(c)
		}
		select {
		case w.frames <- frame:
		default:
			w.miss()
		}
	}
}

func (w *watcher) miss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
}

// missed returns how many changes were lost since the last call.
func (w *watcher) missed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.lost
	w.lost = 0
	return n
}

// join adds a watcher. It returns nil if there are too many, or if the server ends.
func (ws *watchers) join(standing bool, most int) *watcher {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ended || len(ws.open) >= most {
		return nil
	}
	if ws.open == nil {
		ws.open = map[*watcher]struct{}{}
	}
	w := &watcher{standing: standing, frames: make(chan []byte, unread), done: make(chan struct{})}
	ws.open[w] = struct{}{}
	return w
}

func (ws *watchers) leave(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.open, w)
}

// end disconnects all watchers.
func (ws *watchers) end() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.ended = true
	for w := range ws.open {
		close(w.done)
	}
	clear(ws.open)
}

// frameOf writes a change as a server-sent event. JSON on one line has no line break,
// so nothing in it can begin another event.
func frameOf(c *ban.Change) []byte {
	data, err := marshal(c)
	if err != nil {
		panic(err) // our own types can always be written
	}
	return fmt.Appendf(nil, "event: %s\nid: %d\ndata: %s\n\n", c.Kind, c.Seq, data)
}

// watch answers GET /events, until the caller has gone or the server ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) error {
	standing := false
	if text := r.URL.Query().Get("standing"); text != "" {
		var err error
		if standing, err = strconv.ParseBool(text); err != nil {
			return faultf(http.StatusBadRequest, "standing: %q is neither true nor false", cut(text))
		}
	}
	me := s.watchers.join(standing, s.limits.watchers)
	if me == nil {
		return faultf(http.StatusServiceUnavailable, "too many watchers: the limit is %d", s.limits.watchers)
	}
	defer s.watchers.leave(me)
	w.Header().Set("Content-Type", "text/event-stream")
	out := s.stream(w)
	beat := time.NewTicker(s.limits.beat)
	defer beat.Stop()
	out.allow()
	out.text(": the changes from now on\n\n")
	out.send()
	for out.err == nil {
		var frame []byte
		select {
		case frame = <-me.frames:
		case <-beat.C:
			frame = []byte(": still here\n\n")
		case <-me.done:
			return nil
		case <-r.Context().Done():
			return nil
		}
		out.allow()
		out.bytes(frame)
		me.rest(out)
		out.send()
	}
	return nil
}

// rest writes what else is waiting, and how much of it did not fit.
func (w *watcher) rest(out *stream) {
	for out.err == nil {
		select {
		case frame := <-w.frames:
			out.bytes(frame)
		default:
			if lost := w.missed(); lost > 0 {
				out.text(fmt.Sprintf("event: lost\ndata: {\"lost\":%d}\n\n", lost))
			}
			return
		}
	}
}
