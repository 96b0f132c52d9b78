package logfile

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/tail"
)

// TestFollowIsReplay checks that a log gives the same events when it is followed and
// when it is replayed, in any chunks and with any forgeries.
func TestFollowIsReplay(t *testing.T) {
	const seed = 17
	random := rand.New(rand.NewPCG(seed, 0))
	var logs []string
	for _, path := range recordings(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, string(data))
	}
	forgeries := 0
	for round := range 90 {
		// Cuts of recordings, so that sessions begin and end anywhere.
		var all strings.Builder
		for range 1 + random.IntN(6) {
			lines := strings.SplitAfter(logs[random.IntN(len(logs))], "\n")
			from := random.IntN(len(lines))
			all.WriteString(strings.Join(lines[from:min(len(lines), from+random.IntN(80))], ""))
		}
		log := strings.TrimSuffix(all.String(), "\n") + "\n"

		l := newLogger(t)
		l.Open()
		ref := []string{"", "esl.pbx"}[random.IntN(2)]
		f, c, sink := deafConsumer(t, l, ref)
		hasty := random.IntN(3) == 0 // now and then nothing is waited for any more
		for rest := log; rest != ""; {
			n := min(len(rest), 1+random.IntN(3000))
			l.Write(rest[:n])
			rest = rest[n:]
			c.patience = patience{time.Hour, time.Hour, time.Hour}
			if hasty && random.IntN(3) == 0 {
				c.patience = patience{}
			}
			f.Step(t.Context())
		}
		l.rotate()
		f.Step(t.Context()) // which reads the rotated file
		f.Step(t.Context())

		source := builtinSource()
		source.corroborate.Value = ref
		want := source.collect(strings.NewReader(log), time.Now(), nil, defaultSizes())
		if got := sink.status(); hasty {
			// What is judged too soon may be judged otherwise, but each line is once.
			judged, all := int64(got.Doubted), want.stats.Doubted
			for _, e := range sink.events {
				judged += notForgery(e)
			}
			for i := range want.events {
				all += notForgery(&want.events[i])
			}
			if int64(got.Lines) != want.stats.Lines || judged != all {
				t.Fatalf("seed %d, round %d: %d of %d lines, %d of %d judged", seed, round, got.Lines, want.stats.Lines, judged, all)
			}
			continue
		}
		for i, e := range sink.events {
			if i >= len(want.events) || describe(e) != describe(&want.events[i]) || e.Sender != want.events[i].Sender {
				t.Fatalf("seed %d, round %d, event %d: %s", seed, round, i, describe(e))
			}
			if e.Name == event.LogForgery {
				forgeries++
			}
		}
		got := sink.status()
		if len(sink.events) != len(want.events) || int64(got.Doubted) != want.stats.Doubted || int64(got.Lines) != want.stats.Lines {
			t.Fatalf("seed %d, round %d: %d events, %d doubted, %d lines, want %d, %d, %d", seed, round,
				len(sink.events), got.Doubted, got.Lines, len(want.events), want.stats.Doubted, want.stats.Lines)
		}
	}
	if forgeries < 20 {
		t.Errorf("only %d forgeries", forgeries)
	}
}

func notForgery(e *event.Event) int64 {
	if e.Name == event.LogForgery {
		return 0
	}
	return 1
}

// deafConsumer is deaf, with the consumer of the follower.
func deafConsumer(t *testing.T, l *logger, witness string) (*tail.Follower, *consumer, *follows) {
	s := builtinSource()
	s.path, s.corroborate.Value = l.Path, witness
	sink := newFollows(t, s, nil)
	c := s.newConsumer(sink.stream, patience{time.Hour, time.Hour, time.Hour})
	pace := tail.DefaultPace()
	pace.Glance = 0
	f := s.newFollower(c, pace)
	f.Begin(nil)
	t.Cleanup(f.Close)
	return f, c, sink
}

// TestFollowWaitsForASession checks that a line behind a session's is judged when the
// session goes on, and soon if it does not.
func TestFollowWaitsForASession(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, c, sink := deafConsumer(t, l, "")
	c.patience = patience{message: time.Hour}
	s := newStage()
	s.opens(session, caller, "x")
	s.WriteString(s.failure(s.now.Add(time.Second), victim))
	l.Write(s.String())
	f.Step(t.Context())
	if len(sink.events) != 1 {
		t.Fatalf("%d events before the session went on", len(sink.events))
	}
	s.Reset()
	s.goesOn(session, 30)
	l.Write(s.String())
	f.Step(t.Context())
	if n := len(sink.events); n != 2 || sink.events[1].Name != event.LogForgery {
		t.Fatalf("%d events", n)
	}
	c.patience.message = 50 * time.Millisecond
	s.Reset()
	s.WriteString(s.failure(s.now, victim))
	start := time.Now()
	l.Write(s.String())
	for len(sink.events) == 2 {
		f.Step(t.Context())
		<-time.After(time.Millisecond)
	}
	if d := time.Since(start); sink.events[2].Name != event.AuthFailure || d < c.patience.message {
		t.Fatalf("%s after %v", sink.events[2].Name, d)
	}
}
