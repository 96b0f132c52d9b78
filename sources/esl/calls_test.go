package esl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"

	"github.com/google/go-cmp/cmp"
)

const showChannels = "show channels as json"

// channel is an event of a call from outside.
func channel(name, uuid string, pairs ...string) *esl.Message {
	return message(name, time.Now(), append([]string{"Unique-ID", uuid, "Call-Direction", "inbound", "Channel-Name", "sofia/internal/1000@pbx"}, pairs...)...)
}

func listOf(uuids ...string) string {
	rows := make([]string, len(uuids))
	for i, uuid := range uuids {
		rows[i] = fmt.Sprintf(`{"uuid":%q,"direction":"inbound"}`, uuid)
	}
	return fmt.Sprintf(`{"row_count":%d,"rows":[%s]}`, len(uuids), strings.Join(rows, ","))
}

// TestCalls decodes the beginning, the answer and the end of calls.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := testSource().newDecoder(map[string]bool{event.Call: true, event.CallAnswered: true, event.CallEnded: true})
		for _, test := range []struct {
			m    *esl.Message
			want string
		}{
			{channel("CHANNEL_CREATE", "a"), "call a"},
			{channel("CHANNEL_ANSWER", "a"), "call_answered a"},
			{channel("CHANNEL_ANSWER", "b", "Call-Direction", "outbound"), ""},
			{channel("CHANNEL_HANGUP_COMPLETE", "b", "Call-Direction", "outbound"), ""},
			{channel("CHANNEL_HANGUP_COMPLETE", "a"), "call_ended a"},
			{channel("CHANNEL_HANGUP_COMPLETE", "c", "Hangup-Cause", "CALL_REJECTED"), "call_ended c"}, // call_rejected is not wanted
		} {
			got := ""
			if e := d.decode(test.m); e != nil {
				got = e.Name + " " + e.UUID
			}
			if got != test.want {
				t.Errorf("%s: %q, want %q", test.m.Name(), got, test.want)
			}
		}
		d.want[event.CallRejected] = true
		if e := d.decode(channel("CHANNEL_HANGUP_COMPLETE", "c", "Hangup-Cause", "CALL_REJECTED")); e.Name != event.CallRejected || e.UUID != "c" {
			t.Errorf("%+v", e)
		}
	})
}

// TestCutNames has a browser make calls whose names are different, and read as one.
func TestCutNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := newSink()
		f := testSource().follower(map[string]bool{event.Call: true, event.CallEnded: true}, taken)
		long := strings.Repeat("x", 255) + "\ufffd"
		for _, name := range []string{"CHANNEL_CREATE", "CHANNEL_HANGUP_COMPLETE"} {
			for _, at := range []string{"1700000000000001", "1700000000000002"} {
				e := f.decoder.decode(channel(name, long, "Caller-Channel-Created-Time", at))
				if want := at + " " + strings.Repeat("x", event.MaxField-len(at)-1); e.UUID != want {
					t.Errorf("%s: %q, want %q", name, e.UUID, want)
				}
			}
		}
		f.take(*channel("CHANNEL_CREATE", long))
		f.take(*channel("CHANNEL_CREATE", "whole"))
		if open := f.lister.calls.before(time.Now().Add(time.Hour)); len(open) != 1 || open["whole"].IsZero() {
			t.Errorf("looked for in the list: %v", open)
		}
	})
}

// TestRestartEndsCalls reads a recording that goes on after a restart of the switch.
func TestRestartEndsCalls(t *testing.T) {
	for _, want := range []map[string]bool{{event.Call: true, event.CallEnded: true}, {event.Call: true}} {
		d := testSource().newDecoder(want)
		var got []string
		for _, core := range []string{"1", "1", "2", "2"} {
			for _, e := range d.read(channel("CHANNEL_CREATE", "a", "Core-UUID", core)) {
				if e != nil {
					got = append(got, e.Name+" "+e.UUID)
				}
			}
		}
		expected := "call a, call a, call_ended , call a, call a"
		if !want[event.CallEnded] {
			expected = "call a, call a, call a, call a"
		}
		if all := strings.Join(got, ", "); all != expected {
			t.Errorf("%v: %s", want, all)
		}
	}
}

// TestLostHangups loses ends of calls while the stream is down, and in a full queue, and finds them in
// the list of channels.
func TestLostHangups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := newSink()
		f := testSource().follower(map[string]bool{event.Call: true, event.CallEnded: true}, taken)
		answers := &answering{answers: map[string]string{}}
		f.lister.dial = func(context.Context) (console, error) { return answers, nil }
		take := f.hears()
		end := start(t, f)
		seen := 0
		expect := func(what string, after time.Duration, lists int, events ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			var got []string
			all := taken.all()
			for _, e := range all[seen:] {
				got = append(got, e.Name+" "+e.UUID)
			}
			seen = len(all)
			if diff := cmp.Diff(events, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", what, diff)
			}
			if asked := answers.since(); len(asked) != lists || lists > 0 && asked[0] != showChannels {
				t.Errorf("%s: asked %q, want %d lists", what, asked, lists)
			}
		}
		expect("without calls nothing is listed", 10*time.Minute, 0)
		for _, uuid := range []string{"a", "b", "c"} {
			take <- channel("CHANNEL_CREATE", uuid)
		}
		expect("calls", 0, 0, "call a", "call b", "call c")
		answers.answer(showChannels, listOf("a", "b", "c", "outbound"))
		expect("all are up", 3*callsEvery, 2)
		take <- channel("CHANNEL_HANGUP_COMPLETE", "a")
		take <- nil // the hang-up of b is lost
		answers.answer(showChannels, listOf("c"))
		expect("after the reconnect", minPause, 1, "call_ended a", "call_ended b")
		take <- channel("CHANNEL_CREATE", "young")
		take <- channel("CHANNEL_HANGUP_COMPLETE", "b") // late
		expect("a call that is not listed yet", callsEvery, 1, "call young", "call_ended b")
		answers.answer(showChannels, `not json`)
		expect("a list that cannot be read", callsEvery, 1)
		if p := f.progress.Status(); len(p.Problems) != 1 || p.Problems[0].Severity != status.Warning || !strings.HasPrefix(p.Problems[0].Text, "ends of calls that were lost cannot be found: list channels: ") {
			t.Errorf("%+v", p.Problems)
		}
		answers.answer(showChannels, `{"row_count":0}`)
		expect("an empty list", callsEvery, 1, "call_ended c", "call_ended young")
		if p := f.progress.Status(); p.Problems != nil {
			t.Errorf("%+v", p.Problems)
		}
		take <- channel("CHANNEL_CREATE", "d")
		take <- channel("CHANNEL_CREATE", "other", "Core-UUID", "c2")
		expect("a restart ends all calls", 0, 0, "call d", "call_ended ", "call other")
		if open := f.lister.calls.before(time.Now().Add(time.Hour)); len(open) != 1 {
			t.Errorf("known: %v", open)
		}
		end()
	})
}

// TestLostEndIsFound fills the queue, so that the end of a call is dropped.
func TestLostEndIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, taken := testSource(), newSink()
		s.queue = 1
		f := s.follower(map[string]bool{event.Call: true, event.CallEnded: true}, taken)
		f.take(*channel("CHANNEL_CREATE", "a"))
		f.take(*channel("CHANNEL_HANGUP_COMPLETE", "a"))
		f.take(*channel("CHANNEL_CREATE", "dropped"))
		if open := f.lister.calls.before(time.Now().Add(time.Hour)); len(open) != 1 || open["a"].IsZero() {
			t.Errorf("known: %v", open)
		}
		f.progress.up()
		f.lister.dial = func(context.Context) (console, error) {
			return &answering{answers: map[string]string{showChannels: listOf()}}, nil
		}
		f.listen = func(ctx context.Context, _ esl.Subscription, _ func(), _ func(esl.Message)) error {
			<-ctx.Done()
			return ctx.Err()
		}
		end := start(t, f)
		time.Sleep(3 * callsEvery)
		end()
		if got := describeAll(taken.all()); strings.Count(got, " call_ended ") != 1 {
			t.Error(got)
		}
	})
}

// TestOpenCallsAreBounded: an attacker may begin as many calls as the switch lets it.
func TestOpenCallsAreBounded(t *testing.T) {
	c := openCalls{began: map[string]time.Time{}}
	for i := range maxOpenCalls + 10 {
		c.note(event.Call, fmt.Sprint(i), noon)
	}
	if len(c.began) != maxOpenCalls {
		t.Errorf("%d calls", len(c.began))
	}
	c.note(event.CallEnded, "", noon)
	if len(c.began) != 0 {
		t.Errorf("%d calls after a restart", len(c.began))
	}
}

// TestLongListsAreRare: a switch that takes long to list its calls is asked less often.
func TestLongListsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testSource().follower(map[string]bool{event.Call: true, event.CallEnded: true}, newSink())
		f.progress.up()
		f.take(*channel("CHANNEL_CREATE", "a"))
		var asked []time.Time
		f.lister.dial = func(context.Context) (console, error) {
			asked = append(asked, time.Now())
			time.Sleep(6 * time.Second)
			return nil, errors.New("no")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		f.lister.reconcileCalls(ctx)
		for i, at := range asked[1:] {
			if pause := at.Sub(asked[i]); pause < 10*time.Minute || pause > 11*time.Minute {
				t.Errorf("asked again after %v", pause)
			}
		}
		if len(asked) != 6 {
			t.Errorf("asked %d times", len(asked))
		}
	})
}
