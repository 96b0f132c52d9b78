package fleet

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A memoryBucket holds the latest value of each key, as the server does.
type memoryBucket struct {
	jetstream.Stream
	mu   sync.Mutex
	held map[string]message
	last uint64
}

// put stores a value, unless its key has another revision.
func (b *memoryBucket) put(key string, value []byte, rev uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[key].sequence != rev {
		return 0, &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence}
	}
	b.last++
	b.held[key] = message{key: key, value: value, sequence: b.last}
	return b.last, nil
}

// after returns the first message after a sequence.
func (b *memoryBucket) after(sequence uint64) (first message, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.held {
		if m.sequence > sequence && (!ok || m.sequence < first.sequence) {
			first, ok = m, true
		}
	}
	return first, ok
}

// GetLastMsgForSubject is what a node asks for after a conflict.
func (b *memoryBucket) GetLastMsgForSubject(_ context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.held[subject[len("$KV.test."):]]
	if !ok {
		return nil, jetstream.ErrMsgNotFound
	}
	return &jetstream.RawStreamMsg{Subject: subject, Data: m.value, Sequence: m.sequence}, nil
}

// A stepper is a guard whose loop is the test, one step at a time.
type stepper struct {
	*guard
	bucket  *memoryBucket
	at      uint64   // the sequence of the latest message of the session
	answers []ack    // on their way
	late    []func() // proposals on their way
}

func newStepper(t *testing.T, name string, b *memoryBucket) *stepper {
	s := &stepper{guard: newGuard(t, &fleettest.Server{Options: &server.Options{}}, name), bucket: b}
	s.begins()
	t.Cleanup(func() { s.closeStore() })
	return s
}

// begins begins a run of the guard.
func (s *stepper) begins() {
	s.Node = New(&s.cfg, Options{
		Ledger: s.ledger, Take: s.take, Durable: func(context.Context) error { return nil }, Enforced: func(*ban.Ban) bool { return true },
		Now: s.now, Dir: s.dir, Log: slog.New(slog.DiscardHandler),
	})
	s.life = s.t.Context()
	s.openStore()
	s.reconcile()
	s.connects()
}

// connects begins a session.
func (s *stepper) connects() {
	s.closeSession()
	s.answers = nil
	s.session, s.at = &session{current: true, over: func() {}, stream: s.bucket}, s.table.sequence
	s.table.requeue()
}

// restarts ends the run, and begins another.
func (s *stepper) restarts() {
	s.readLedger()
	s.readTold()
	s.table.cursor.Close()
	s.closeSession()
	s.closeStore()
	s.begins()
}

// tells sends a proposal. Below 2 of fate it arrives late, below 4 its answer is lost, below 5 the session ends as well.
func (s *stepper) tells(fate int) (told bool) {
	i, f, ok := s.table.next(s.now())
	if !ok {
		return false
	}
	of := s.session
	put := func() {
		sequence, err := s.bucket.put(i.key(), f.value, f.rev)
		switch {
		case fate >= 5:
			s.answers = append(s.answers, ack{of, i.key(), sequence, err})
		case fate < 2: // it was given up before
		case fate < 4:
			s.answers = append(s.answers, ack{of, i.key(), 0, nats.ErrTimeout})
		default:
			s.connects()
		}
	}
	if fate < 2 {
		s.answers = append(s.answers, ack{of, i.key(), 0, nats.ErrTimeout})
		s.late = append(s.late, put)
		return true
	}
	put()
	return true
}

// hears takes the next message, answer and fetched value, if there are any.
func (s *stepper) hears() bool {
	if s.session == nil {
		s.connects()
	}
	m, ok := s.bucket.after(s.at)
	if ok {
		s.at, m.number = m.sequence, s.session.number+1
		s.hear(heard{s.session, m})
	}
	return ok
}

// answered takes the next answer.
func (s *stepper) answered() bool {
	if len(s.answers) == 0 {
		return false
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	s.acked(a)
	return true
}

// arrives lets a late proposal arrive.
func (s *stepper) arrives() {
	if len(s.late) > 0 {
		s.late[0]()
		s.late = s.late[1:]
	}
}

// decides has the guard ban or unban a target.
func (s *stepper) decides(rng *rand.Rand, start time.Time) {
	target := ban.Address(netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(2))}))
	term := []ban.Term{ban.Permanent, ban.Term(time.Hour), ban.Term(2 * time.Hour)}[rng.IntN(3)]
	switch rng.IntN(5) {
	case 0, 1:
		s.ledger.Enter(ban.Order{Target: target, Author: "api alice", ByHand: true, At: start, Terms: []ban.Term{term}}, s.now())
	case 2:
		s.ledger.Enter(ban.Order{Target: target, Author: ban.ByRule, Rule: "guessing", At: start, Terms: []ban.Term{term}}, s.now())
	case 3:
		s.ledger.Unban(target, "by api alice", s.now(), 0)
		s.Unbanned(target, time.Time{}, "api alice", "", s.now())
	case 4:
		s.ledger.Unban(target, "1000@pbx.example is registered", s.now(), 0)
	}
	s.ledger.Publish()
}

// steps does one thing.
func (s *stepper) steps(rng *rand.Rand, start time.Time) {
	switch n := rng.IntN(40); {
	case n < 10:
		s.decides(rng, start)
		s.readLedger()
	case n < 18:
		s.tells(rng.IntN(12))
	case n < 26:
		s.hears()
	case n < 34:
		s.answered()
	case n < 36:
		s.arrives()
	case n < 38:
		s.table.again()
	case n < 39:
		s.connects()
	default:
		s.restarts()
	}
}

// settles tells and hears all there is, and reports whether there was something.
func (s *stepper) settles() (some bool) {
	for len(s.late) > 0 {
		s.arrives()
	}
	for s.hears() || s.answered() || s.tells(5) {
		some = true
	}
	if len(s.table.failing) > 0 { // a key may be fetched
		select {
		case h := <-s.heard:
			s.hear(h)
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.table.again()
	s.readLedger()
	return some
}

// counts checks the counters against the entries.
func (s *stepper) counts(what string) {
	s.t.Helper()
	unsent, foreign, bans := 0, 0, 0
	for _, e := range s.table.entries {
		if e.mine != nil {
			unsent++
		}
		if e.foreign {
			foreign++
		}
		if e.foreign && e.base.kind == KindBan {
			bans++
		}
		if e.base.kind == KindBan && e.base.node != s.cfg.Node && !e.foreign {
			s.t.Fatalf("%s: %s: a ban of %s is not foreign", s.cfg.Node, what, e.base.node)
		}
	}
	if t := &s.table; t.unsent != unsent || t.foreign != foreign || t.bans != bans {
		s.t.Fatalf("%s: %s counts %d unsent, %d foreign and %d bans, has %d, %d and %d", s.cfg.Node, what, t.unsent, t.foreign, t.bans, unsent, foreign, bans)
	}
}

// TestLostAnswers has two nodes ban and unban the same targets, while proposals are late, answers are lost, sessions
// end and nodes restart. The counters agree with the entries at each step, and in the end the ledgers with the bucket.
func TestLostAnswers(t *testing.T) {
	seed, sequences := uint64(time.Now().UnixNano()), 20*rounds(t)
	if s, err := strconv.ParseUint(os.Getenv("FLEET_SEED"), 10, 64); err == nil {
		seed = s
	}
	for n := range uint64(sequences) {
		if t.Run(strconv.FormatUint(seed+n, 10), func(t *testing.T) { lostAnswers(t, seed+n) }); t.Failed() {
			t.Fatalf("FLEET_SEED=%d", seed+n)
		}
	}
}

func lostAnswers(t *testing.T, seed uint64) {
	rng, start := rand.New(rand.NewPCG(seed, 0)), time.Now().Add(-time.Minute)
	b := &memoryBucket{held: map[string]message{}}
	all := []*stepper{newStepper(t, "a", b), newStepper(t, "b", b)}
	for range 60 {
		s := all[rng.IntN(2)]
		s.steps(rng, start)
		s.counts("in between")
	}
	for quiet := 0; quiet < 2; quiet++ {
		for _, s := range all {
			if s.settles() {
				quiet = 0
			}
			s.counts("at the end")
		}
	}
	for _, s := range all {
		if s.table.unsent > 0 {
			t.Errorf("%s: %d to be told", s.cfg.Node, s.table.unsent)
		}
		for key, m := range b.held {
			var want Record
			if err := unmarshal(m.value, &want); err != nil {
				t.Fatal(err)
			}
			got, banned := s.ledger.Get(want.Target)
			if banned != (want.Kind == KindBan) || banned && !got.Until.Equal(want.Until) {
				t.Errorf("%s: banned %t until %s; %s is %s until %s of %s", s.cfg.Node, banned, got.Until, key, want.Kind, want.Until, want.Node)
			}
		}
	}
}
