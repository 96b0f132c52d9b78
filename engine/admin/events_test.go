package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"

	"github.com/getkin/kin-openapi/openapi3"
)

// An sse is one event as a browser reads it.
type sse struct{ event, id, data string }

// readEvents hands on the events of a stream until it ends.
func readEvents(r io.Reader, each func(sse) bool) error {
	var e sse
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			e.event = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.event != "" && !each(e) {
				return nil
			}
			e = sse{}
		}
	}
	return lines.Err()
}

func change(seq uint64, reason string) *ban.Change {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	return &ban.Change{Seq: seq, At: at, Kind: ban.KindBan, Ban: ban.Ban{
		Target: ban.Network(prefix("203.0.113.7")), Rule: "password guessing",
		Source: "log.freeswitch", Offence: 1, Term: ban.Term(10 * time.Minute), Start: at, Until: at.Add(10 * time.Minute), Reason: reason,
		Evidence: []ban.Evidence{{Time: at, Event: "auth_failure", IP: prefix("203.0.113.7").Addr(), Text: "SIP auth failure\n\nevent: ban\ndata: {}\n\n"}},
	}}
}

// conformsChange compares the data of an event with the contract.
func conformsChange(t *testing.T, data string) {
	t.Helper()
	schema := contract().Components.Schemas["Change"].Value
	if err := schema.VisitJSON(parse[any](t, data), openapi3.VisitAsResponse()); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

func TestWatch(t *testing.T) {
	l := newLab(t, nil)
	answer, err := http.Get("http://" + l.start() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	l.server.Send(change(1, "first\nevent: unban"))
	standing := change(2, "not told")
	standing.Standing = true
	l.server.Send(standing)
	l.server.Send(change(3, "last"))
	var got []sse
	err = readEvents(answer.Body, func(e sse) bool {
		got = append(got, e)
		return len(got) < 2
	})
	if err != nil || len(got) != 2 {
		t.Fatalf("%v %v", got, err)
	}
	for i, want := range []struct{ id, reason string }{{"1", "first\nevent: unban"}, {"3", "last"}} {
		n := parse[ban.Change](t, got[i].data)
		if got[i].event != "ban" || got[i].id != want.id || n.Ban.Reason != want.reason || n.Term.String() != "10m" || n.Target.String() != "203.0.113.7" {
			t.Errorf("event %d: %+v", i, got[i])
		}
		conformsChange(t, got[i].data)
	}
}

// TestMaskedFeed: the page's feed shows no account in full where the history does not.
func TestMaskedFeed(t *testing.T) {
	l := newLab(t, nil)
	l.history.Configure(history.Settings{Days: 90, Masked: true})
	answer, err := http.Get("http://" + l.start() + "/events?brief=true")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	c := change(1, "40 calls, per user 1007@pbx.example")
	c.Target, c.Key, c.Why = ban.Account("1007", "pbx.example"), "1007@pbx.example", "spared: 1007@pbx.example"
	l.server.Send(c)
	bare := change(2, "40 calls")
	bare.Target = ban.Account("1007", "a b") // its mask is no target
	l.server.Send(bare)
	wants := []string{`"target":"1**7@pbx.example"`, `"target":""`}
	err = readEvents(answer.Body, func(e sse) bool {
		if strings.Contains(e.data, "1007") || !strings.Contains(e.data, wants[0]) {
			t.Error(e.data)
		}
		conformsChange(t, e.data)
		wants = wants[1:]
		return len(wants) > 0
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSlowWatcher: who does not read misses what does not fit, is told how much,
// and delays no other.
func TestSlowWatcher(t *testing.T) {
	l := newLab(t, nil)
	pipe, into := io.Pipe()
	r := request("GET", "/events?standing=true", "")
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.server.ServeHTTP(&piped{ResponseRecorder: httptest.NewRecorder(), w: into}, r.WithContext(ctx))
		into.Close()
	}()
	in := bufio.NewReader(pipe)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, ": ") {
		t.Fatalf("%q %v", line, err)
	}
	const told = 3 * unread
	for i := range told {
		l.server.Send(change(uint64(i), fmt.Sprint(i))) // no watcher reads meanwhile
	}
	events, lost := 0, 0
	err := readEvents(in, func(e sse) bool {
		if e.event == "lost" {
			lost += parse[struct{ Lost int }](t, e.data).Lost
		} else {
			events++
		}
		return events+lost < told
	})
	if err != nil || events < unread || lost < 400 || events+lost != told {
		t.Errorf("%d events and %d lost of %d: %v", events, lost, told, err)
	}
	cancel()
	<-ended
	if n := l.server.watchers.open; n != 0 {
		t.Errorf("%d watch still", n)
	}
}

// A piped answer is read while it is written.
type piped struct {
	*httptest.ResponseRecorder
	w io.Writer
}

func (p *piped) Write(b []byte) (int, error) { return p.w.Write(b) }

func TestBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		r := request("GET", "/events", "")
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		w := httptest.NewRecorder()
		l.server.ServeHTTP(w, r.WithContext(ctx))
		if n := strings.Count(w.Body.String(), ": still here\n\n"); n < 3 || n > 4 {
			t.Errorf("%d beats in a minute", n)
		}
	})
}

// TestWatchLasts: the time that a request has does not end a watch.
func TestWatchLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := newLab(t, nil).inMemory().get(t, "/events")
		in := bufio.NewReader(answer.Body)
		for began := time.Now(); time.Since(began) < time.Hour; {
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatalf("ended after %s: %v", time.Since(began), err)
			}
		}
	})
}

func TestManyWatch(t *testing.T) {
	l := newLab(t, func(_ *Options, lim *limits) { lim.watchers = 1 })
	l.server.watchers.join(1)
	l.want(503, "too many watchers", "GET", "/events", "")
	l.server.watchers.leave()
	l.want(400, "neither true nor false", "GET", "/events?standing=x", "")
	l.want(400, "neither true nor false", "GET", "/events?brief=x", "")
}

// TestRecent: a value is fetched once for simultaneous requests, and again after outdate.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		r := recent[int]{fetch: func() (int, error) {
			time.Sleep(100 * time.Millisecond) // of the bubble's clock
			fetches++
			return fetches, nil
		}}
		got := make(chan int, 100)
		for range cap(got) {
			go func() {
				n, err := r.within(t.Context(), time.Second)
				if err != nil {
					t.Error(err)
				}
				got <- n
			}()
		}
		for range cap(got) {
			if n := <-got; n != 1 {
				t.Errorf("value %d", n)
			}
		}
		// A fetch that is under way when something changes is not enough.
		time.Sleep(2 * time.Second)
		go r.within(t.Context(), time.Second)
		synctest.Wait()
		r.outdate()
		if n, _ := r.within(t.Context(), time.Second); n != 3 {
			t.Errorf("value %d after a change", n)
		}
		if n, _ := r.within(t.Context(), time.Second); n != 3 {
			t.Errorf("value %d, though nothing has changed", n)
		}
		// Shortly does not wait for another value, unless the last one is too old or outdated.
		time.Sleep(2 * time.Second)
		for _, want := range []int{3, 4} {
			if n, _ := r.shortly(t.Context(), time.Second); n != want {
				t.Errorf("value %d shortly, want %d", n, want)
			}
			time.Sleep(time.Second)
		}
		r.outdate()
		if n, _ := r.shortly(t.Context(), time.Second); n != 5 {
			t.Errorf("value %d shortly after a change", n)
		}
		time.Sleep(4 * time.Second)
		if n, _ := r.shortly(t.Context(), time.Second); n != 6 {
			t.Errorf("value %d, though the last is too old", n)
		}
		for took, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 500 * time.Millisecond: 10 * time.Second, time.Minute: oldest} {
			r.last.took = took
			if age := r.affordable(lately); age != want {
				t.Errorf("after a fetching of %s a value of %s is new enough, want %s", took, age, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.within(ctx, 0); err == nil {
			t.Error("waited longer than was allowed")
		}
		synctest.Wait()
		time.Sleep(time.Second)
	})
}
