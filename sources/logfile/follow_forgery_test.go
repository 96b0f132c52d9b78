package logfile

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// TestFollowIsReplay: a log that is followed gives the events that it gives when it
// is replayed, in whatever chunks it was written, and whoever wrote into it.
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
		l.open()
		f, sink := deaf(t, l, nil)
		f.pace.message, f.pace.line, f.pace.pulse = time.Hour, time.Hour, time.Hour
		ref := []string{"", "esl.pbx"}[random.IntN(2)]
		sink.source.witness.ref = ref
		f.scanner.doubts = sink.source.doubtsFor(nil)
		hasty := random.IntN(3) == 0 // now and then nothing is waited for any more
		for rest := log; rest != ""; {
			n := min(len(rest), 1+random.IntN(3000))
			l.write(rest[:n])
			rest = rest[n:]
			f.step(t.Context())
			if tail := f.newest(); hasty && random.IntN(3) == 0 {
				tail.grown, tail.opened = time.Time{}, tail.opened.Add(-2*time.Hour)
				f.step(t.Context())
			}
		}
		f.digest(t.Context(), f.newest(), true)

		source := builtinSource()
		source.witness.ref = ref
		want := source.collect(strings.NewReader(log), f.now, nil, defaultSizes())
		if got := sink.source.Progress(); hasty {
			// What is judged too soon may be judged otherwise, but each line is once.
			judged, all := got.Doubted, want.stats.Doubted
			for _, e := range sink.events {
				judged += notForgery(e)
			}
			for i := range want.events {
				all += notForgery(&want.events[i])
			}
			if got.Lines != want.stats.Lines || judged != all {
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
		got := sink.source.Progress()
		if len(sink.events) != len(want.events) || got.Doubted != want.stats.Doubted || got.Lines != want.stats.Lines {
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

// TestFollowWaitsForASession: whether a line behind a session's was forged is said
// when the session goes on, and if it does not, before long.
func TestFollowWaitsForASession(t *testing.T) {
	l := newLogger(t)
	l.open()
	f, sink := deaf(t, l, nil)
	f.pace.pulse = 0
	s := newStage()
	s.opens(session, caller, "x")
	s.WriteString(s.failure(s.now.Add(time.Second), victim))
	l.write(s.String())
	f.step(t.Context())
	if len(sink.events) != 1 {
		t.Fatalf("%d events before the session went on", len(sink.events))
	}
	s.Reset()
	s.goesOn(session, 30)
	l.write(s.String())
	f.step(t.Context())
	f.step(t.Context())
	if n := len(sink.events); n != 2 || sink.events[1].Name != event.LogForgery {
		t.Fatalf("%d events", n)
	}
	s.Reset()
	s.WriteString(s.failure(s.now, victim))
	l.write(s.String())
	f.step(t.Context())
	if n := len(sink.events); n != 2 {
		t.Fatalf("%d events before the time was up", n)
	}
	tail := f.newest()
	tail.grown, tail.opened = tail.grown.Add(-time.Minute), tail.opened.Add(-time.Minute)
	f.step(t.Context())
	if n := len(sink.events); n != 3 || sink.events[2].Name != event.AuthFailure {
		t.Fatalf("%d events", n)
	}
}
