package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
)

// What is kept of the latest changes while someone reads them. A reader further behind is told how many it
// has missed.
const (
	unread      = 1024    // changes
	unreadBytes = 8 << 20 // of the texts of their evidence
)

// A brief reader, the page, gets the changes without their evidence, masked if the history is, once in briefEvery, and at most briefMost of them:
// so hundreds of open pages cost what a few do.
const (
	briefEvery = time.Second
	briefMost  = 50
)

// watchers are the readers of /events. They share what they read: a change costs its sender the same, however
// many there are.
type watchers struct {
	mu    sync.Mutex // guards what follows
	open  int
	kept  []told        // the latest changes, oldest first
	next  uint64        // number of the next change
	bytes int           // of the texts in kept
	wake  chan struct{} // closed by the next change; nil: no reader waits
	done  chan struct{} // closed when the server ends; nil before the first reader
	ended bool
}

// A told change is written once for all readers.
type told struct {
	*ban.Change
	whole, brief func() []byte
	bytes        int
}

// Send sends a change to every reader of /events. It waits for none of them, and is
// safe for concurrent use.
func (s *Server) Send(c *ban.Change) { s.watchers.send(c, s.History.Settings().Masked) }

func (ws *watchers) send(c *ban.Change, masked bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.open == 0 {
		return
	}
	t := told{Change: c, whole: sync.OnceValue(func() []byte { return frameOf(c) }), brief: sync.OnceValue(func() []byte {
		short := *c
		short.Evidence = []ban.Evidence{}
		if masked {
			history.MaskBan(&short.Ban)
			short.Why = history.MaskReason(short.Why)
			short.Target, _ = ban.ParseTarget(history.MaskTarget(short.Target)) // none where its mask is no target
		}
		return frameOf(&short)
	})}
	for i := range c.Evidence {
		t.bytes += len(c.Evidence[i].Text)
	}
	ws.kept = append(ws.kept, t)
	ws.next++
	ws.bytes += t.bytes
	for len(ws.kept) > unread || ws.bytes > unreadBytes && len(ws.kept) > 1 {
		ws.bytes -= ws.kept[0].bytes
		ws.kept[0] = told{}
		ws.kept = ws.kept[1:]
	}
	if ws.wake != nil {
		close(ws.wake)
		ws.wake = nil
	}
}

// join adds a reader of what is sent from now on, whose first change has the number next. It is
// refused if there are too many, or if the server ends.
func (ws *watchers) join(most int) (next uint64, done <-chan struct{}, ok bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ended || ws.open >= most {
		return 0, nil, false
	}
	if ws.done == nil {
		ws.done = make(chan struct{})
	}
	ws.open++
	return ws.next, ws.done, true
}

func (ws *watchers) leave() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.open--; ws.open == 0 {
		ws.kept, ws.bytes = nil, 0
	}
}

// since returns the changes from a number on, how many are no longer kept, and the number of the next.
func (ws *watchers) since(from uint64) (changes []told, lost, next uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	oldest := ws.next - uint64(len(ws.kept))
	if from < oldest {
		lost, from = oldest-from, oldest
	}
	return slices.Clone(ws.kept[from-oldest:]), lost, ws.next
}

// after returns a channel that is closed once there is a change with the number.
func (ws *watchers) after(number uint64) <-chan struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.wake == nil {
		ws.wake = make(chan struct{})
	}
	wake := ws.wake
	if number < ws.next {
		close(wake)
		ws.wake = nil
	}
	return wake
}

// end disconnects all readers.
func (ws *watchers) end() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.done != nil && !ws.ended {
		close(ws.done)
	}
	ws.ended = true
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

// A watcher is one reader of /events.
type watcher struct {
	standing bool // also of refusals because a ban stands already
	brief    bool
	next     uint64 // number of the next change
}

// watch answers GET /events, until the caller has gone or the server ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) (err error) {
	var me watcher
	if me.standing, err = flagOf(r, "standing"); err != nil {
		return err
	}
	if me.brief, err = flagOf(r, "brief"); err != nil {
		return err
	}
	next, done, ok := s.watchers.join(s.limits.watchers)
	if !ok {
		return faultf(http.StatusServiceUnavailable, "too many watchers: the limit is %d", s.limits.watchers)
	}
	defer s.watchers.leave()
	me.next = next
	w.Header().Set("Content-Type", "text/event-stream")
	out := s.stream(w)
	beat := time.NewTicker(s.limits.beat)
	defer beat.Stop()
	out.allow()
	out.text(": the changes from now on\n\n")
	out.send()
	for out.err == nil {
		var later <-chan time.Time
		var wake <-chan struct{}
		if me.brief {
			later = time.After(briefEvery)
		} else {
			wake = s.watchers.after(me.next)
		}
		select {
		case <-later:
			me.tell(&s.watchers, out)
		case <-wake:
			me.tell(&s.watchers, out)
		case <-beat.C:
			out.allow()
			out.text(": still here\n\n")
			out.send()
		case <-done:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
	return nil
}

// tell writes what was sent since it was last called, and how much of it is missing.
func (w *watcher) tell(from *watchers, out *stream) {
	changes, lost, next := from.since(w.next)
	w.next = next
	changes = slices.DeleteFunc(changes, func(t told) bool { return t.Standing && !w.standing })
	if more := len(changes) - briefMost; w.brief && more > 0 {
		lost, changes = lost+uint64(more), changes[more:]
	}
	if len(changes) == 0 && lost == 0 {
		return
	}
	out.allow()
	if lost > 0 {
		out.text(fmt.Sprintf("event: lost\ndata: {\"lost\":%d}\n\n", lost))
	}
	for i := range changes {
		if w.brief {
			out.bytes(changes[i].brief())
		} else {
			out.bytes(changes[i].whole())
		}
	}
	out.send()
}

// flagOf reads a flag from the query.
func flagOf(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	set, err := strconv.ParseBool(text)
	if err != nil {
		return false, faultf(http.StatusBadRequest, "%s: %q is neither true nor false", name, cut(text))
	}
	return set, nil
}
