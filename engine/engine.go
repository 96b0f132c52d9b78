package engine

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/corroboration"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// An Engine holds the rules and the ledger of one running program or one replay.
// Its methods must be called from one goroutine, unless they say otherwise.
type Engine struct {
	options    Options
	cfg        *config.Config
	rules      *rule.Set
	ledger     *ban.Ledger
	verifier   *corroboration.Verifier
	known      knownGood
	challenges challenges
	now        time.Time // how far time has come
	events     uint64    // seen since the start
	untold     []Verdict // decided, not yet durable
	tallies    tallies
	live       live

	store Store // nil: nothing outlives the process
}

// Options are what an engine needs beside the configuration. The zero value is
// what a replay needs, apart from Tell.
type Options struct {
	// Tell is called with every verdict, in order, once it is durable.
	Tell func(Verdict)

	// Told is called when the verdicts of one commit have been told.
	Told func()

	// Hosts lists the addresses of this host, which are trusted. It is asked at
	// the start, at every reload, and when the gateways of the switch change.
	Hosts func() []ban.Trusted

	// Log is told what goes wrong while the engine runs; nil: nobody.
	Log *slog.Logger

	// Dir is where actions may keep what is their own across restarts, each in a
	// directory of its name; "": nowhere.
	Dir string

	// DryRun keeps all actions from running.
	DryRun bool

	// Observed, if not nil, is called with each event after the rules have seen it.
	Observed func(*event.Event)

	// Ready is called once every source has begun, or has been waited for long enough,
	// and every action has come to agree with the ledger, or has failed to for the first
	// time.
	Ready func()
}

// New returns an engine for cfg.
func New(cfg *config.Config, o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Hosts == nil {
		o.Hosts = func() []ban.Trusted { return nil }
	}
	if o.Told == nil {
		o.Told = func() {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	e := &Engine{options: o, cfg: cfg, rules: rule.NewSet(cfg.Rules), tallies: tallies{}, live: newLive(), verifier: corroboration.New(nil), challenges: newChallenges()}
	e.known.agree(cfg)
	e.pair()
	e.ledger = ban.NewLedger(e.trust())
	e.ledger.SetKinds(enforced(cfg))
	return e
}

// enforced returns the kinds of targets that blocking actions handle.
func enforced(cfg *config.Config) []ban.TargetKind {
	var kinds []ban.TargetKind
	for _, a := range cfg.Actions {
		if a.Blocks {
			kinds = append(kinds, a.Targets...)
		}
	}
	return kinds
}

// Ledger returns the ledger. It may be used from any goroutine.
func (e *Engine) Ledger() *ban.Ledger { return e.ledger }

// A Store keeps across restarts what the ledger knows and how far the sources
// were read.
type Store interface {
	ban.Store
	LoadPositions() (map[string][]byte, error)
	// SavePositions makes the positions durable; those of other sources stay.
	SavePositions(map[string][]byte) error
}

// Restore fills the engine from a store and keeps its state there from now on.
// It must be called before the engine runs. An error tells what could not be
// restored; the rest was.
func (e *Engine) Restore(store Store, now time.Time) error {
	e.store = store
	err := e.ledger.Restore(store)
	positions, reading := store.LoadPositions()
	maps.Copy(e.live.follows.positions, positions)
	e.advance(now)
	e.setTrust()
	return errors.Join(err, reading)
}

// decide keeps a verdict until it is settled.
func (e *Engine) decide(v Verdict) {
	e.tallies.count(&v)
	if strings.HasPrefix(v.Author, plugin.FeedAuthor) {
		return // a list has a hundred thousand entries: the feed tells of them together
	}
	e.untold = append(e.untold, v)
}

// settle makes what was decided durable, and then tells it. What could not be
// made durable is told all the same, and holds as long as the process lives.
func (e *Engine) settle() error {
	e.retrust()
	err := e.ledger.Commit()
	e.tell(e.untold)
	clear(e.untold)
	e.untold = e.untold[:0]
	return err
}

// tell tells verdicts that are durable.
func (e *Engine) tell(verdicts []Verdict) {
	if len(verdicts) == 0 {
		return
	}
	for _, v := range verdicts {
		e.options.Tell(v)
	}
	e.options.Told()
}

// observe takes one event at the time now. The rules see it once it is believed.
func (e *Engine) observe(ev *event.Event, now time.Time) {
	e.advance(now)
	e.events++
	e.verifier.Take(ev, now, e.believe)
}

// believe lets the rules see one event, after what it tells of registrations and
// gateways is known.
func (e *Engine) believe(ev *event.Event) {
	e.known.learn(ev, e.now)
	e.challenges.see(ev)
	e.rules.Observe(ev, e.fired)
	if e.options.Observed != nil {
		e.options.Observed(ev)
	}
}

// advance takes now for the time and decides which bans are over. A host's clock
// may be set back; a replay's time never is.
func (e *Engine) advance(now time.Time) {
	e.now = now
	for _, c := range e.ledger.Advance(now) {
		e.decide(unbanned(&c))
	}
	e.verifier.Advance(now, e.believe)
}

// next is when something will have to be done though nothing is reported.
func (e *Engine) next() (at time.Time, ok bool) {
	at, ok = e.ledger.Next()
	if held, waits := e.verifier.Next(); waits && (!ok || held.Before(at)) {
		return held, true
	}
	return at, ok
}

// Reload puts cfg in the place of the configuration that runs: its rules take
// over the windows of those that count the same thing, and the ledger lifts the
// bans that the new trust forbids. It must be called between two events, on the
// goroutine that counts; see [Engine.Do].
func (e *Engine) Reload(cfg *config.Config) {
	e.cfg = cfg
	rules := rule.NewSet(cfg.Rules)
	rules.Adopt(e.rules)
	e.rules = rules
	e.known.agree(cfg)
	e.pair()
	e.setTrust()
	e.ledger.SetKinds(enforced(cfg))
	e.live.reload(e)
}
