package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// unread is how many notices wait for one who watches. Whoever is further behind
// is told how many he has missed.
const unread = 1024

// watchers is everybody who watches the verdicts.
type watchers struct {
	mu    sync.Mutex // guards what follows
	told  uint64     // notices since the start
	open  map[*watcher]struct{}
	ended bool
}

// A watcher is one who watches.
type watcher struct {
	standing bool // also of refusals because a ban stands already
	frames   chan []byte
	done     chan struct{} // closed when the server ends

	mu   sync.Mutex
	lost uint64 // notices that did not fit into frames, since he was last told; guarded by mu
}

// Tell tells everybody who watches of a verdict. It never waits for any of them,
// and may be called from any goroutine.
func (s *Server) Tell(n Notice) { s.watchers.tell(&n) }

func (ws *watchers) tell(n *Notice) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.told++
	var frame []byte
	for w := range ws.open {
		if n.Standing && !w.standing {
			continue
		}
		if frame == nil {
			frame = frameOf(n, ws.told)
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

// missed returns how many notices were lost since the last call.
func (w *watcher) missed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.lost
	w.lost = 0
	return n
}

// join adds one who watches; nil if there are too many, or the server ends.
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

// end sends everybody away.
func (ws *watchers) end() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.ended = true
	for w := range ws.open {
		close(w.done)
	}
	clear(ws.open)
}

type noticeShape struct {
	Time      moment              `json:"time"`
	Kind      string              `json:"kind"`
	Target    string              `json:"target"`
	Rule      string              `json:"rule"`
	Source    string              `json:"source"`
	Author    string              `json:"author"`
	Offence   int                 `json:"offence"`
	For       *string             `json:"for"`
	ExpiresAt moment              `json:"expiresAt"`
	Reason    string              `json:"reason"`
	Evidence  list[evidenceShape] `json:"evidence"`
	Standing  bool                `json:"standing"`
	DryRun    bool                `json:"dryRun"`
}

// frameOf writes a notice as a server-sent event. JSON on one line holds no line
// break, so nothing in it can begin another event.
func frameOf(n *Notice, id uint64) []byte {
	shape := noticeShape{
		Time: moment(n.Time), Kind: n.Kind, Target: n.Target.String(), Rule: n.Rule, Source: n.Source, Author: n.Author,
		Offence: n.Offence, ExpiresAt: moment(n.Until), Reason: n.Reason, Evidence: shapeOfEvidence(n.Evidence),
		Standing: n.Standing, DryRun: n.DryRun,
	}
	if n.Term != 0 {
		term := n.Term.String()
		shape.For = &term
	}
	data, err := marshal(shape)
	if err != nil {
		panic(err) // our own types can always be written
	}
	return fmt.Appendf(nil, "event: %s\nid: %d\ndata: %s\n\n", n.Kind, id, data)
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
		return faultf(http.StatusServiceUnavailable, "too many watch already: %d is the most", s.limits.watchers)
	}
	defer s.watchers.leave(me)
	w.Header().Set("Content-Type", "text/event-stream")
	out := s.stream(w)
	beat := time.NewTicker(s.limits.beat)
	defer beat.Stop()
	out.allow()
	out.text(": the verdicts from now on\n\n")
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
