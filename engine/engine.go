package engine

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/clock"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/corroboration"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/names"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

// An Engine holds the rules and the ledger of one running program or one replay.
// Its methods must be called from one goroutine, unless they say otherwise.
type Engine struct {
	options    Options
	cfg        *config.Config
	rules      *rule.Set
	nodes      []node // of a fleet that is replayed; nil: there is none
	ledger     *ban.Ledger
	verifier   *corroboration.Verifier
	known      knownGood
	challenges challenges
	now        time.Time                // the current time
	offsets    map[string]*clock.Offset // of the clocks of sources, by reference
	started    time.Time
	reload     status.Reload
	events     uint64       // seen since the start
	dry        bool         // the bans are not enforced, and what they would drop does not count
	aside      uint64       // events that did not count
	alone      [1]ban.Order // room of allowed
	untold     unsaved      // what the saver has not been told of
	tallies    tallies
	countries  countries // of bans; nil: no database says them
	live       live
}

// Options are what an engine needs besides the configuration. The zero value is enough for a
// replay.
type Options struct {
	// Clock is the time while the engine runs; nil: [clock.Monotonic].
	Clock *clock.Clock

	// OnChange is called with every change, in order, once it is durable; but not with
	// the changes that a feed ordered, which may be a hundred thousand at once.
	OnChange func(*ban.Change)

	// OnCommit is called after the changes of one commit.
	OnCommit func()

	// Busy is called again and again while there are many changes at once. It must return at once.
	Busy func()

	// Hosts returns the addresses of this host, which are trusted. It is called at the start,
	// at every reload, and when the gateways of the switch change.
	Hosts func() []ban.Trusted

	// Resolver looks up the trusted names while the engine runs; nil: they trust no address.
	Resolver names.Resolver

	// Log takes what goes wrong while the engine runs; nil: it is discarded.
	Log *slog.Logger

	// Dir holds the state of actions, each in a directory of its name; "": there is none.
	Dir string

	// Version is that of the program, for its peers.
	Version string

	// DryRun keeps all actions from running.
	DryRun bool

	// AsRecorded has a replay count all events, also those of banned addresses.
	AsRecorded bool

	// Observed, if not nil, is called with each event after the rules have seen it, and with those
	// that they do not see because a ban would have prevented them.
	Observed func(*event.Event)

	// Ready is called once every source is ready, or has been waited for long enough, and every
	// action agrees with the ledger, or has failed to for the first time.
	Ready func()
}

// New returns an engine for cfg.
func New(cfg *config.Config, o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.Monotonic()
	}
	if o.Hosts == nil {
		o.Hosts = func() []ban.Trusted { return nil }
	}
	if o.DryRun {
		o.Dir = ""
	}
	if o.OnChange == nil {
		o.OnChange = func(*ban.Change) {}
	}
	if o.OnCommit == nil {
		o.OnCommit = func() {}
	}
	if o.Busy == nil {
		o.Busy = func() {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	started := o.Clock.Now()
	e := &Engine{
		options: o, cfg: cfg, started: started, reload: status.Reload{At: started},
		rules: rule.NewSet(cfg.Rules), tallies: tallies{}, verifier: corroboration.New(nil), challenges: newChallenges(),
		offsets: map[string]*clock.Offset{},
	}
	e.rules.Apart = e.apart
	e.known.reconcile(cfg)
	e.pair()
	e.ledger = ban.NewLedger(e.trust())
	e.ledger.SetKinds(enforced(cfg))
	e.ledger.SetPlaces(cfg.PlaceOf)
	e.live = live{
		asked: make(chan func()), ended: make(chan struct{}), saved: make(chan struct{}), sources: newSourceSet(),
		actions: newActionSet(e.ledger, e.spares, &e.options), saver: newSaver(e.ledger, &e.options),
	}
	e.live.actions.adopt = e.adoptDrops
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

// A Store keeps the ledger and the positions of the sources across restarts.
type Store interface {
	ban.Store
	LoadPositions() (map[string][]byte, error)
	// SavePositions makes the positions durable; those of other sources stay.
	SavePositions(map[string][]byte) error
}

// Restore fills the engine from a store and saves its state there from now on. It must be
// called before the engine runs. An error says what could not be restored; the rest was.
func (e *Engine) Restore(store Store, now time.Time) error {
	e.live.saver.store = store
	err := e.ledger.Restore(store)
	e.hideBanned()
	positions, reading := store.LoadPositions()
	e.restoreKept(positions)
	e.restoreClocks(positions[clocksRef], now)
	maps.DeleteFunc(positions, func(ref string, _ []byte) bool { return !strings.Contains(ref, ".") })
	maps.Copy(e.live.sources.positions, positions)
	e.advance(now)
	e.setTrust()
	return errors.Join(err, reading)
}

// decide counts a change that the ledger has made.
func (e *Engine) decide(c *ban.Change) {
	if !c.Held {
		e.tallies.count(c)
	}
	if !ofFeed(c) {
		if e.untold.addChange(c); c.Kind != ban.KindRefuse && e.untold.urgent == manyDecided {
			e.options.Busy()
		}
		if c.Kind == ban.KindBan && e.cfg.GeoIP.Has("country") {
			e.countries.count(c.Country)
		}
	}
	if c.Target.Kind() == ban.TargetAccount && slices.Contains(ban.Levels, c.Kind) {
		e.hideRegistrations(c.Target, c.InForce())
	}
}

func ofFeed(c *ban.Change) bool { return strings.HasPrefix(c.Author, plugin.FeedAuthor) }

// settle makes the changes of a replay durable and passes them on.
func (e *Engine) settle() error {
	e.retrust()
	changes, err := e.ledger.Commit()
	e.options.pass(changes)
	return err
}

// pass passes committed changes on.
func (o *Options) pass(changes []*ban.Change) {
	passed := false
	for _, c := range changes {
		if !ofFeed(c) && !c.Held {
			o.OnChange(c)
			passed = true
		}
	}
	if passed {
		o.OnCommit()
	}
}

// latest bounds the times of events: a later stamp is wrong. JSON has no years beyond
// 9999, and a ban may last for a hundred.
var latest = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// datable reports whether an event has a stamp that may be right. The zero time is none.
func datable(stamp time.Time) bool { return stamp.After(time.Time{}) && stamp.Before(latest) }

// observe takes one event at the time now. The rules see it once it is corroborated.
func (e *Engine) observe(ev *event.Event, now time.Time) {
	if !datable(ev.Time) {
		ev.Time = now
	}
	e.advance(now)
	e.events++
	e.verifier.Take(ev, now, e.believe)
}

// believe passes an event to the rules, after its registrations and gateways are noted, unless a
// ban would have prevented it.
func (e *Engine) believe(ev *event.Event) {
	e.cfg.Annotate(ev)
	if e.setsAside(ev) {
		e.aside++
		e.rulesOf(ev.Node).End(ev) // a call ends, whatever is banned
	} else {
		ev = e.attributed(ev)
		e.known.learn(ev, e.now)
		e.tellKnown(ev)
		e.lift(ev)
		e.challenges.see(ev)
		e.rulesOf(ev.Node).Observe(ev, e.fired)
		e.limit(ev)
	}
	if e.options.Observed != nil {
		e.options.Observed(ev)
	}
}

// advance sets the time and expires bans.
func (e *Engine) advance(now time.Time) {
	e.now = now
	for _, c := range e.ledger.Advance(now) {
		e.decide(c)
	}
	e.verifier.Advance(now, e.believe)
	e.rules.Advance(now, func(f *rule.Firing) {
		e.live.notices.firings.Late++
		e.fired(f)
	})
	for _, n := range e.nodes {
		n.rules.Advance(now, e.fired)
	}
	for _, r := range e.rules.Recovered(now) {
		e.options.Log.Info("brake recovered", "rule", r.Rule, "withheld", r.Withheld)
	}
}

// next returns when there is something to do without a report.
func (e *Engine) next() (at time.Time, ok bool) {
	at, ok = e.ledger.Next()
	for _, next := range []func() (time.Time, bool){e.verifier.Next, e.rules.Next} {
		if sooner, waits := next(); waits && (!ok || sooner.Before(at)) {
			at, ok = sooner, true
		}
	}
	return at, ok
}

// Reload replaces the configuration. Its rules adopt the windows of rules that count the same,
// and the new trust unbans what it covers. It must be called on the core's goroutine; see
// [Engine.Do].
func (e *Engine) Reload(cfg *config.Config) {
	cfg.GeoIP.Adopt(e.cfg.GeoIP)
	e.cfg, e.reload = cfg, status.Reload{At: e.options.Clock.Now()}
	rules := rule.NewSet(cfg.Rules)
	rules.Apart = e.apart
	rules.Adopt(e.rules)
	e.rules = rules
	e.known.reconcile(cfg)
	e.hideBanned()
	e.pair()
	e.setTrust()
	e.ledger.SetKinds(enforced(cfg))
	e.ledger.SetPlaces(cfg.PlaceOf)
	if e.live.ctx != nil { // it runs
		e.reconcileSources()
		e.reconcileActions()
		e.reconcileFleet()
	}
}

// ReloadFailed notes, for the status, why the latest rule files were not put into use. It must be
// called as Reload.
func (e *Engine) ReloadFailed(err error) { e.reload.Error = err.Error() }
