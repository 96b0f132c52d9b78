package esl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"

	"github.com/google/go-cmp/cmp"
)

// A sink takes events like the engine, and keeps them.
type sink struct {
	free   chan struct{} // closed while the engine is not busy
	mu     sync.Mutex    // guards events
	events []*event.Event
	more   chan struct{} // has an item after a new event
}

func newSink() *sink {
	s := &sink{more: make(chan struct{}, 1), free: make(chan struct{})}
	close(s.free)
	return s
}

func (s *sink) Emit(e *event.Event) {
	<-s.free
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *sink) Position([]byte) { panic("a stream has no position") }

func (s *sink) all() []*event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*event.Event(nil), s.events...)
}

// await waits until there are n events.
func (s *sink) await(t *testing.T, ctx context.Context, n int) []*event.Event {
	t.Helper()
	for len(s.all()) < n {
		select {
		case <-s.more:
		case <-ctx.Done():
			t.Fatalf("%d events, want %d: %s", len(s.all()), n, describeAll(s.all()))
		}
	}
	return s.all()
}

// following follows a fake switch until the test ends.
type following struct {
	*sink
	follower *follower
	ctx      context.Context
	ups      chan struct{} // has an item for every connection
}

func follow(t *testing.T, at esl.Switch, want map[string]bool) *following {
	t.Helper()
	f := &following{sink: newSink(), ups: make(chan struct{}, 100)}
	s := testSource()
	s.at = at
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	f.ctx = ctx
	f.follower = s.follower(want, f.sink)
	f.follower.listen = func(ctx context.Context, sub esl.Subscription, up func(), take func(esl.Message)) error {
		return at.Listen(ctx, sub, func() {
			up()
			f.ups <- struct{}{}
		}, take)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.follower.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

// start runs a follower until end is called, which waits for it.
func start(t *testing.T, f *follower) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// connected waits for the next connection.
func (f *following) connected(t *testing.T) {
	t.Helper()
	select {
	case <-f.ups:
	case <-f.ctx.Done():
		t.Fatal("not connected: ", f.follower.progress.Status().Fault)
	}
}

func switchAt(s *esltest.Switch) esl.Switch {
	return esl.Switch{Address: s.Addr(), Password: "ClueCon"}
}

// noLists wants every event except those that are listed.
func noLists() map[string]bool {
	want := map[string]bool{}
	for _, name := range testSource().Describe().Events.Names() {
		want[name] = name != event.Registered && name != event.Gateway && name != event.GatewayRemoved
	}
	return want
}

// TestFollowEqualsReplay plays recordings to a follower, in pieces of any size, and
// compares its events with those of a replay.
func TestFollowEqualsReplay(t *testing.T) {
	for seed, path := range []string{"bruteforce.json", "injection.json", "calls.json", "mixed.raw", "acl.log", "malformed.log"} {
		t.Run(path, func(t *testing.T) {
			data, want := golden.Read(t, "testdata/"+path+".gz"), noLists()
			expected, _ := testSource().replayed(t, data, want)
			fake := esltest.Start(t, esltest.Options{Shred: uint64(seed) + 1})
			f := follow(t, switchAt(fake), want)
			f.connected(t)
			if err := fake.Play(bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			got := f.await(t, f.ctx, len(expected))
			if diff := cmp.Diff(describeAll(expected), describeAll(got)); diff != "" {
				t.Errorf("-replayed +followed (shred %d):\n%s", seed+1, diff)
			}
			p := f.follower.progress.Status()
			if p.Fault != "" || p.Problems != nil || p.Lost != 0 || p.Events != uint64(len(expected)) || !p.LastEvent.Equal(expected[len(expected)-1].Time) || p.Lines < uint64(len(expected)) || p.Bytes == 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}

func failureHeaders(ip string) map[string]string {
	return map[string]string{"network-ip": ip, "network-port": "5060", "to-user": "1000", "registration-type": "REGISTER"}
}

// TestReconnects ends the connection in every way, and expects events of the next one.
func TestReconnects(t *testing.T) {
	for name, end := range map[string]func(*esltest.Switch){
		"killed": (*esltest.Switch).Drop, "reset": (*esltest.Switch).Reset, "stopped": (*esltest.Switch).Shutdown, "too slow": (*esltest.Switch).KillSlow,
		"another protocol": func(s *esltest.Switch) { s.Raw("HTTP/1.1 400 Bad Request\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for a second
			fake := esltest.Start(t, esltest.Options{})
			f := follow(t, switchAt(fake), map[string]bool{event.AuthFailure: true})
			for i := range 2 {
				f.connected(t)
				fake.Event("sofia::register_failure", failureHeaders(fmt.Sprintf("192.0.2.%d", i)), "")
				got := f.await(t, f.ctx, i+1)
				if got[i].IP.String() != fmt.Sprintf("192.0.2.%d", i) {
					t.Errorf("%s", describeAll(got))
				}
				if i == 0 {
					end(fake)
				}
			}
		})
	}
}

// TestFollow runs Follow itself.
func TestFollow(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{})
	s, taken := testSource(), newSink()
	s.at = switchAt(fake)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ended := make(chan error)
	progress, ready := &plugin.Progress{}, make(chan struct{})
	go func() {
		ended <- s.Follow(ctx, plugin.Stream{
			Sink: taken, From: []byte("where"), Want: map[string]bool{event.AuthFailure: true}, Progress: progress, Ready: func() { close(ready) },
		})
	}()
	if err := fake.Await(ctx, "event json HEARTBEAT CUSTOM sofia::register_attempt sofia::register_failure"); err != nil {
		t.Fatal(err)
	}
	fake.Raw("Content-Length: 3\nContent-Type: text/event-json\n\n{x}")
	fake.Event("sofia::register_failure", failureHeaders("192.0.2.1"), "")
	taken.await(t, ctx, 1)
	<-ready
	for progress.Status().Lines < 2 && ctx.Err() == nil { // a frame is counted after its event is queued
		<-time.After(time.Millisecond)
	}
	if p := progress.Status(); p.Skipped != 1 || p.Lines != 2 || p.Events != 1 || p.Fault != "" {
		t.Errorf("%+v", p)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRefusedLogins(t *testing.T) {
	for name, test := range map[string]struct {
		options  esltest.Options
		password string
		want     error
	}{
		"password": {esltest.Options{}, "wrong", esl.ErrAuthRefused},
		"list":     {esltest.Options{RefuseACL: true}, "ClueCon", esl.ErrACLRefused},
	} {
		t.Run(name, func(t *testing.T) {
			fake := esltest.Start(t, test.options)
			s := testSource()
			s.at = esl.Switch{Address: fake.Addr(), Password: test.password}
			f := s.follower(map[string]bool{}, newSink())
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			f.listen = func(ctx context.Context, sub esl.Subscription, up func(), take func(esl.Message)) error {
				defer cancel() // one attempt is enough
				err := s.at.Listen(ctx, sub, up, take)
				if !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
				return err
			}
			f.run(ctx)
		})
	}
}

// TestPauses checks the times between the beginnings of attempts to connect.
func TestPauses(t *testing.T) {
	const first, later = time.Second, 5 * time.Second
	for name, test := range map[string]struct {
		err   error
		takes time.Duration // each attempt without a connection
		lasts time.Duration // each connection; 0: there is none
		want  func(since time.Duration) time.Duration
	}{
		"refused": {esl.ErrUnreachable, 0, 0, func(since time.Duration) time.Duration {
			if since > slowAfter {
				return later
			}
			return first
		}},
		"unanswered":  {esl.ErrUnreachable, 10 * time.Second, 0, func(time.Duration) time.Duration { return 10 * time.Second }},
		"password":    {esl.ErrAuthRefused, 0, 0, func(time.Duration) time.Duration { return later }},
		"list":        {esl.ErrACLRefused, 0, 0, func(time.Duration) time.Duration { return later }},
		"flapping":    {esl.ErrClosed, 0, time.Millisecond, func(time.Duration) time.Duration { return first }},
		"short lived": {esl.ErrClosed, 0, 2 * time.Second, func(time.Duration) time.Duration { return 2 * time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := testSource().follower(map[string]bool{}, newSink())
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
				defer cancel()
				begun, last, tries := time.Now(), time.Time{}, 0
				f.listen = func(_ context.Context, _ esl.Subscription, up func(), _ func(esl.Message)) error {
					if tries++; tries > 1 {
						most := test.want(last.Sub(begun)) + minRest
						if pause := time.Since(last); pause > most || pause < (most-minRest)*3/4 {
							t.Errorf("attempt %d comes %v after the one before, not %v", tries, pause, most)
						}
					}
					last = time.Now()
					time.Sleep(test.takes)
					if test.lasts > 0 {
						up()
						if fault := f.progress.Status().Fault; fault != "" {
							t.Errorf("connected, and fault %q", fault)
						}
						time.Sleep(test.lasts)
					}
					return test.err
				}
				f.run(ctx)
				if tries < 30 {
					t.Errorf("%d attempts in 15m", tries)
				}
			})
		})
	}
}

// TestDeafTime stops a switch for any time, after a connection of any length, and measures
// how long it is up before it is heard.
func TestDeafTime(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			up, down := rand.N(2*time.Minute), rand.N(20*time.Minute)
			f := testSource().follower(map[string]bool{}, newSink())
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			back := time.Now().Add(up).Add(down)
			connections := 0
			f.listen = func(ctx context.Context, _ esl.Subscription, heard func(), _ func(esl.Message)) error {
				if connections == 1 && time.Now().Before(back) {
					return esl.ErrUnreachable
				}
				heard()
				if connections++; connections == 2 {
					if deaf := time.Since(back); deaf > maxPause || down < slowAfter && deaf > minPause {
						t.Errorf("heard %v after the switch was back, which was down for %v", deaf, down)
					}
					cancel()
					return ctx.Err()
				}
				time.Sleep(up)
				return esl.ErrClosed
			}
			f.run(ctx)
			if connections != 2 {
				t.Errorf("%d connections", connections)
			}
		})
	}
}

// TestFaultNamesTheEnd: the status says that the switch was shut down, also while it is away.
func TestFaultNamesTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testSource().follower(map[string]bool{}, newSink())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ends := []error{fmt.Errorf("%w: The system is being shut down.", esl.ErrClosed), esl.ErrUnreachable, esl.ErrAuthRefused, esl.ErrUnreachable}
		wants := []string{"shut down", "shut down", esl.ErrAuthRefused.Error(), "shut down"}
		connected := time.Now()
		tries := 0
		f.listen = func(_ context.Context, _ esl.Subscription, up func(), _ func(esl.Message)) error {
			if tries > 0 {
				p := f.progress.Status()
				if !strings.Contains(p.Fault, wants[tries-1]) || !p.Disconnected.Equal(connected.Add(time.Minute)) {
					t.Errorf("after %d: %q, disconnected %v", tries, p.Fault, p.Disconnected)
				}
			}
			if tries == len(ends) {
				cancel()
				return ctx.Err()
			}
			if tries == 0 {
				up()
				time.Sleep(time.Minute)
			}
			tries++
			return ends[tries-1]
		}
		f.run(ctx)
	})
}

// TestQueueOverflow keeps the engine busy while more events come than the queue holds.
func TestQueueOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length, sent = 100, 1000
		s, busy := testSource(), newSink()
		s.queue = length
		f := s.follower(map[string]bool{event.AuthFailure: true}, busy)
		ctx, cancel := context.WithCancel(t.Context())
		f.listen = func(ctx context.Context, _ esl.Subscription, up func(), take func(esl.Message)) error {
			up()
			for i := range sent {
				take(*failure(noon.Add(time.Duration(i)*time.Second), "192.0.2.1", "5060", "1"))
			}
			take(esl.Message{Record: true, Headers: map[string]string{"Log-File": "mod_event_socket.c"},
				Body: "2026-11-22 22:13:32.361853 90.00% [CRIT] mod_event_socket.c:401 Killing listener because of too many lost events. Lost [501] Queue size[100000/100000]"})
			<-ctx.Done()
			return ctx.Err()
		}
		busy.free = make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.run(ctx)
		}()
		synctest.Wait()
		p := f.progress.Status()
		if p.Lines != sent+1 {
			t.Errorf("%d frames were taken while the engine was busy", p.Lines)
		}
		cancel()
		close(busy.free)
		<-done
		got := busy.all()
		// One is with the sink, the queue is full, the others are lost.
		if kept := len(got); kept < length || kept > length+1 || f.progress.Status().Lost != uint64(sent-kept)+501 {
			t.Errorf("%d events emitted, %d lost", kept, f.progress.Status().Lost)
		}
		for i, e := range got {
			if !e.Time.Equal(noon.Add(time.Duration(i) * time.Second)) {
				t.Fatalf("event %d is of %s: not the oldest events, in their order", i, e.Time)
			}
		}
	})
}

func TestRestartIsCounted(t *testing.T) {
	s := testSource()
	f := s.follower(nil, newSink())
	for _, core := range []string{"a", "a", "", "b", "b", "a"} {
		m := message("HEARTBEAT", noon, "Core-UUID", core)
		f.take(*m)
	}
	if got := f.progress.Status().Restarts; got != 2 {
		t.Errorf("%d restarts", got)
	}
}

// TestHeartbeat: a heartbeat shows the clock of the switch, also if nothing else happens.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSource()
		f := s.follower(nil, newSink())
		sent := time.Now().Add(-time.Hour).UTC()
		f.take(*message("HEARTBEAT", sent))
		time.Sleep(time.Second)
		if stamp, age, ok := f.progress.TakeStamp(); !ok || !stamp.Equal(sent) || age != time.Second {
			t.Error(stamp, age, ok)
		}
		if _, _, ok := f.progress.TakeStamp(); ok {
			t.Error("taken twice")
		}
	})
}

// TestRecordOfAnotherZone: a log record has a local time, and gets that of the events.
func TestRecordOfAnotherZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, behind := range []time.Duration{0, 20 * time.Minute} { // the clock of the switch
			for _, zone := range []time.Duration{0, -2 * time.Hour, 345 * time.Minute} {
				to := newSink()
				f := testSource().follower(nil, to)
				f.take(*message("HEARTBEAT", time.Now().Add(-behind)))
				time.Sleep(10 * time.Second)
				want := time.Now().Add(-behind)
				f.take(esl.Message{Record: true, Body: want.UTC().Add(zone).Format("2006-01-02 15:04:05.000000") + " 98.37% [WARNING] sofia_reg.c:3210 Can't find user [836@10.77.0.10] from 203.0.113.7\n" +
					"You must define a domain called '10.77.0.10' in your directory and add a user with the id=\"836\" attribute\n" +
					"and you must configure your device to use the proper domain in its authentication credentials.\n"})
				ended := make(chan struct{})
				close(ended)
				f.queue.EmitUntil(ended, nil)
				if e := to.all()[0]; !e.Live || !e.Time.Equal(want) {
					t.Errorf("%s behind, zone %s: %s, want %s", behind, zone, e.Time, want)
				}
			}
		}
	})
}

// TestEnds ends a follower at any point, and expects no goroutine left.
func TestEnds(t *testing.T) {
	for _, lasts := range []time.Duration{0, 500 * time.Millisecond, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
			f := testSource().follower(nil, newSink())
			f.lister.dial = func(ctx context.Context) (console, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			f.listen = func(ctx context.Context, _ esl.Subscription, up func(), _ func(esl.Message)) error {
				up()
				select {
				case <-time.After(400 * time.Millisecond):
					return esl.ErrClosed
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), lasts)
			defer cancel()
			f.run(ctx)
		})
	}
}

// follower makes a follower with a progress of its own.
func (s *source) follower(want map[string]bool, to plugin.Sink) *follower {
	return s.newFollower(plugin.Stream{Sink: to, Want: want, Progress: &plugin.Progress{}})
}

// TestDisconnectedOutlivesAFollower: a reload replaces a follower that is down, and the
// outage goes on; one that is up begins an outage.
func TestDisconnectedOutlivesAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, shared := time.Now(), &plugin.Progress{}
		next := func() *progress {
			time.Sleep(time.Second)
			return newProgress(shared, false, func() int { return 0 })
		}
		is := func(what string, want time.Duration) {
			t.Helper()
			if got := shared.Status().Disconnected.Sub(begun); got != want {
				t.Errorf("%s: disconnected at %v, want %v", what, got, want)
			}
		}
		next().down("refused")
		is("never connected", time.Second)
		p := next()
		is("replaced", time.Second)
		p.up()
		is("connected", time.Second)
		time.Sleep(time.Second)
		p.down("")
		next().down("refused")
		is("lost", 3*time.Second)
	})
}
