package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// batch is n changes, numbered from the given one on.
func batch(from, n int) ban.Batch {
	b := ban.Batch{Now: start}
	for i := range n {
		c := change(from+i, ban.KindBan)
		b.Changes = append(b.Changes, &c)
	}
	return b
}

// A service is an endpoint without a network, so that a test can let time pass. It
// answers as the test says.
type service struct {
	mu     sync.Mutex
	answer func(attempt int, m Message) (status int, header http.Header, err error) // nil: 200
	tries  []time.Time
	keys   []string
	bodies map[string]string // by Idempotency-Key
	taken  []Message
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.Header.Get(headerIdempotency)
	if s.bodies == nil {
		s.bodies = map[string]string{}
	}
	if before, again := s.bodies[key]; again && before != string(body) {
		return nil, errors.New("another body with the same key")
	}
	s.bodies[key] = string(body)
	s.tries = append(s.tries, time.Now())
	s.keys = append(s.keys, key)
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	status, header := 200, http.Header(nil)
	if s.answer != nil {
		if status, header, err = s.answer(len(s.tries), m); err != nil {
			return nil, err
		}
	}
	if status < 300 {
		s.taken = append(s.taken, m)
	}
	return &http.Response{
		StatusCode: status, Header: header, Request: r,
		Body: io.NopCloser(strings.NewReader("the service answers")),
	}, nil
}

// seqs are the numbers of the delivered notifications.
func (s *service) seqs() (all []uint64) {
	for _, m := range s.messages() {
		for _, n := range m.Notifications {
			all = append(all, n.Seq)
		}
	}
	return all
}

// messages are the delivered ones.
func (s *service) messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// attempts are the times of all attempts.
func (s *service) attempts() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries)
}

// used are the keys of all attempts.
func (s *service) used() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// serving runs Serve until the returned function is called.
func serving(t *testing.T, a *Action, s http.RoundTripper) (stop func()) {
	t.Helper()
	a.endpoint.client.Transport = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Serve(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

func apply(t *testing.T, a *Action, b ban.Batch) {
	t.Helper()
	if err := a.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestGrouping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := parse(t, `url = "http://noc.example.net/"`), &service{}
		stop := serving(t, a, s)
		began := time.Now()
		apply(t, a, batch(1, 2))
		time.Sleep(500 * time.Millisecond)
		apply(t, a, batch(3, 2))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(s.messages()) != 1 || len(s.messages()[0].Notifications) != 4 || s.attempts()[0].Sub(began) != time.Second {
			t.Fatalf("%d messages after %v", len(s.messages()), s.attempts())
		}
		apply(t, a, batch(5, 250))
		synctest.Wait()
		if len(s.messages()) != 3 {
			t.Errorf("%d messages: full groups wait", len(s.messages()))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.seqs(); len(got) != 254 || !slices.IsSorted(got) {
			t.Error(len(got))
		}
		stop()
		if err := a.Apply(t.Context(), batch(900, 1)); !errors.Is(err, errEnded) {
			t.Error(err)
		}
	})
}

func TestAppliedTwiceSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := parse(t, `url = "http://noc.example.net/"`), &service{}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 3))
		apply(t, a, batch(1, 5)) // a failed batch is repeated, with new changes
		b := batch(6, 3)
		b.Changes[0].Kind, b.Changes[1].Kind = ban.KindExpire, ban.KindUnban // not in the attribute on
		apply(t, a, b)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6}) {
			t.Error(got)
		}
	})
}

func TestRetriesUntilDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, `url = "http://noc.example.net/"`)
		s := &service{answer: func(attempt int, _ Message) (int, http.Header, error) {
			switch attempt {
			case 1:
				return 0, nil, errors.New("connection refused")
			case 2:
				return 429, http.Header{"Retry-After": {"90"}}, nil
			case 3:
				return 503, http.Header{"Retry-After": {time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)}}, nil
			case 4:
				return 503, http.Header{"Retry-After": {"999999999"}}, nil
			case 5, 6:
				return 408, nil, nil
			}
			return 204, nil, nil
		}}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 1))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if warnings := status.Texts(a.Report(t.Context()).Problems, status.Warning); len(warnings) != 1 || !strings.HasPrefix(warnings[0], "1 notifications not delivered since ") {
			t.Error(warnings)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(s.attempts()) != 7 || len(slices.Compact(s.used())) != 1 || len(s.messages()) != 1 {
			t.Fatalf("%v %v", s.attempts(), s.used())
		}
		for i, want := range []struct{ least, most time.Duration }{
			{0, time.Second}, {90 * time.Second, 91 * time.Second}, {118 * time.Second, 121 * time.Second},
			{time.Hour, time.Hour + time.Second}, {0, 16 * time.Second}, {0, 32 * time.Second},
		} {
			if gap := s.attempts()[i+1].Sub(s.attempts()[i]); gap < want.least || gap > want.most {
				t.Errorf("attempt %d came after %v, want %v to %v", i+2, gap, want.least, want.most)
			}
		}
		if d := a.Delivery(); d.Error != "" || d.Failures != 0 || d.Failed != 6 || d.Delivered != 1 || d.Waiting != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// TestDeadEndpoint demands that a long outage does not delay Apply, that the queue is
// bounded, that lost notifications are reported, and that attempts become rarer.
func TestDeadEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, "url = \"http://noc.example.net/\"\nqueue = 50")
		dead := true
		s := &service{answer: func(int, Message) (int, http.Header, error) {
			if dead {
				return 0, nil, errors.New("no route to host")
			}
			return 200, nil, nil
		}}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 1))
		time.Sleep(time.Minute)
		began := time.Now()
		for i := range 100 {
			apply(t, a, batch(2+i, 1))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("Apply waited for %v", took)
		}
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := len(s.attempts()); n < 100 || n > 1000 {
			t.Errorf("%d attempts in ten hours", n)
		}
		if d := a.Delivery(); d.Dropped != 50 || d.Waiting != 51 {
			t.Errorf("%+v", d)
		}
		s.mu.Lock()
		dead = false
		s.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(s.messages()) != 2 || s.messages()[1].Lost != 50 || s.messages()[1].Notifications[0].Seq != 52 || len(s.seqs()) != 51 {
			t.Errorf("%d messages, %v", len(s.messages()), s.seqs())
		}
	})
}

func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, "url = \"http://noc.example.net/\"\ngive_up = \"1h\"")
		s := &service{answer: func(_ int, m Message) (int, http.Header, error) {
			if m.Notifications[0].Seq < 100 {
				return 500, nil, nil
			}
			return 200, nil, nil
		}}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 99))
		time.Sleep(2 * time.Hour)
		apply(t, a, batch(100, 1))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{100}) || s.messages()[0].Lost != 99 {
			t.Errorf("%v", got)
		}
		if d := a.Delivery(); d.Dropped != 99 || d.Waiting != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// TestRefused demands that a refused message does not delay the others, and is logged
// once.
func TestRefused(t *testing.T) {
	log := capture(t)
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, "url = \"http://noc.example.net/\"\ngroup_max = 1")
		s := &service{answer: func(_ int, m Message) (int, http.Header, error) {
			if m.Notifications[0].Seq <= 3 {
				return 400, nil, nil
			}
			return 200, nil, nil
		}}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 5))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{4, 5}) || s.messages()[0].Lost != 3 || len(s.attempts()) != 5 {
			t.Errorf("%v of %d attempts", got, len(s.attempts()))
		}
	})
	if n := strings.Count(log.String(), "notifications dropped"); n != 1 || !strings.Contains(log.String(), "answered 400: the service answers") {
		t.Errorf("logged %d times:\n%s", n, log)
	}
}

// TestFlickering has an endpoint that fails on every second attempt: its answers fill no log.
func TestFlickering(t *testing.T) {
	log := capture(t)
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, "url = \"http://noc.example.net/\"\ngroup_max = 1")
		s := &service{answer: func(attempt int, _ Message) (int, http.Header, error) {
			if attempt%2 == 1 {
				return 503, nil, nil
			}
			return 200, nil, nil
		}}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 200))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := len(s.seqs()); got != 200 {
			t.Errorf("%d of 200 are delivered", got)
		}
	})
	if failed, again := strings.Count(log.String(), "webhook not delivered"), strings.Count(log.String(), "delivers again"); failed < 5 || failed > 10 || again != failed {
		t.Errorf("logged %d failures and %d recoveries", failed, again)
	}
}

// TestPoison demands that a text on which the endpoint fails, which an attacker may have
// written for that purpose, does not delay other notifications.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, "url = \"http://noc.example.net/\"\ngroup_max = 1")
		s := &service{answer: func(_ int, m Message) (int, http.Header, error) {
			if m.Notifications[0].Seq == 1 {
				return 500, nil, nil
			}
			return 200, nil, nil
		}}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 1))
		time.Sleep(time.Hour) // the pauses are long by now
		for i := range 100 {
			apply(t, a, batch(2+i, 1))
			synctest.Wait()
			if got := s.seqs(); len(got) != 1+i {
				t.Fatalf("notification %d waits for the first one", 2+i)
			}
			time.Sleep(time.Minute)
		}
		if d := a.Delivery(); d.Dropped != 1 || d.Waiting != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// TestLongOutageLosesNothing lets an endpoint answer everything with an error: that is
// no sign that the messages cause it.
func TestLongOutageLosesNothing(t *testing.T) {
	for _, status := range []int{500, 502, 503} {
		synctest.Test(t, func(t *testing.T) {
			a := parse(t, `url = "http://noc.example.net/"`)
			began := time.Now()
			s := &service{answer: func(attempt int, _ Message) (int, http.Header, error) {
				if down := time.Since(began) < 12*time.Hour; down || attempt%2 == 0 {
					return status, nil, nil
				}
				return 200, nil, nil
			}}
			defer serving(t, a, s)()
			for i := range 700 {
				apply(t, a, batch(1+i, 1))
				time.Sleep(time.Minute)
			}
			time.Sleep(5 * time.Hour)
			synctest.Wait()
			got := s.seqs()
			slices.Sort(got)
			if len(got) != 700 || len(slices.Compact(got)) != 700 {
				t.Errorf("%d: %d of 700 notifications, in %d messages", status, len(got), len(s.messages()))
			}
			if d := a.Delivery(); d.Dropped != 0 || len(s.attempts()) > 1000 {
				t.Errorf("%d: %+v after %d attempts", status, d, len(s.attempts()))
			}
		})
	}
}

// TestRestart demands that the next run delivers what is left, and repeats a message
// that was under way with the same key and body.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(attempt int, _ Message) (int, http.Header, error) {
			if attempt == 1 {
				return 0, nil, errors.New("connection reset")
			}
			return 200, nil, nil
		}}
		a := parse(t, "url = \"http://noc.example.net/\"\ngroup_max = 3")
		must(t, a.Open(plugin.Host{Dir: dir}))
		stop := serving(t, a, s)
		apply(t, a, batch(1, 5))
		synctest.Wait()
		stop()
		if len(s.attempts()) != 1 {
			t.Fatal(s.attempts())
		}
		// The next process counts its changes from 1 again, but not the notifications.
		b := parse(t, "url = \"http://noc.example.net/\"\ngroup_max = 3")
		must(t, b.Open(plugin.Host{Dir: dir}))
		apply(t, b, batch(1, 1))
		defer serving(t, b, s)()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6}) || s.used()[0] != s.used()[1] {
			t.Errorf("%v, keys %v", got, s.used())
		}
	})
}

// TestEndsPromptly demands that the end waits for neither a request under way nor a
// pause, and leaves what was not delivered in the file.
func TestEndsPromptly(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, "url = \"http://noc.example.net/\"\ngroup_wait = \"0s\"")
		must(t, a.Open(plugin.Host{Dir: dir}))
		stop := serving(t, a, stalled{})
		apply(t, a, batch(1, 1))
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("the end took %v", took)
		}
		b := parse(t, `url = "http://noc.example.net/"`)
		must(t, b.Open(plugin.Host{Dir: dir}))
		defer b.end()
		if d := b.Delivery(); d.Waiting != 1 {
			t.Errorf("%+v", d)
		}
	})
}

// stalled never answers.
type stalled struct{}

func (stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestStalledEndpointIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, `url = "http://noc.example.net/"`)
		defer serving(t, a, stalled{})()
		apply(t, a, batch(1, 1))
		time.Sleep(time.Minute)
		synctest.Wait()
		if d := a.Delivery(); d.Failures < 2 || d.Error != "http://noc.example.net: no complete answer within 10s" {
			t.Errorf("%+v", d)
		}
	})
}

// TestTemplateThatFailsLosesNothing has a template fail that passed the samples.
func TestTemplateThatFailsLosesNothing(t *testing.T) {
	log := capture(t)
	synctest.Test(t, func(t *testing.T) {
		a := parse(t, `
			url          = "http://noc.example.net/"
			content_type = "text/plain"
			template     = "{{range .Notifications}}{{if eq .Target.String \"203.0.0.1\"}}{{slice .Target.String 99}}{{end}}{{end}}"`)
		s := &service{}
		defer serving(t, a, s)()
		apply(t, a, batch(1, 1))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.seqs(); !slices.Equal(got, []uint64{1}) {
			t.Error(got)
		}
	})
	if !strings.Contains(log.String(), "template failed") {
		t.Error(log)
	}
}

// capture returns the log of this test.
func capture(t *testing.T) *golden.Output {
	var b golden.Output
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &b
}
