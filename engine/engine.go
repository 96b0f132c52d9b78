package engine

import (
	"log/slog"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// An Engine holds the rules and the ledger of one running program or one replay.
// Its methods must be called from one goroutine, unless they say otherwise.
type Engine struct {
	sources []config.Source
	rules   *rule.Set
	ledger  *ban.Ledger
	hosts   []ban.Trusted
	now     time.Time // how far time has come; never runs backwards
	untold  []Verdict // decided, not yet durable
	tell    func(Verdict)
	swaps   chan swap
	log     *slog.Logger
}

// New returns an engine for cfg that tells its verdicts to tell, in order, and
// what goes wrong while it runs to log. hosts are the addresses of this host,
// trusted beside what cfg trusts; a replay has none.
func New(cfg *config.Config, hosts []ban.Trusted, log *slog.Logger, tell func(Verdict)) *Engine {
	return &Engine{
		sources: cfg.Sources,
		rules:   rule.NewSet(cfg.Rules),
		ledger:  ban.NewLedger(trust(cfg, hosts)),
		hosts:   hosts,
		tell:    tell,
		swaps:   make(chan swap),
		log:     log,
	}
}

func trust(cfg *config.Config, hosts []ban.Trusted) *ban.Trust {
	return ban.NewTrust(append(cfg.Trusted[:len(cfg.Trusted):len(cfg.Trusted)], hosts...))
}

// Rules returns the running rules, for their statistics.
func (e *Engine) Rules() *rule.Set { return e.rules }

// Ledger returns the ledger. It may be used from any goroutine.
func (e *Engine) Ledger() *ban.Ledger { return e.ledger }

// decide keeps a verdict until it is settled.
func (e *Engine) decide(v Verdict) { e.untold = append(e.untold, v) }

// settle makes what was decided durable, and then tells it. What could not be
// made durable is told all the same, and holds as long as the process lives.
func (e *Engine) settle() error {
	err := e.ledger.Commit()
	for _, v := range e.untold {
		e.tell(v)
	}
	clear(e.untold)
	e.untold = e.untold[:0]
	return err
}

// observe lets the rules see one event at the time now.
func (e *Engine) observe(ev *event.Event, now time.Time) {
	e.advance(now)
	e.rules.Observe(ev, e.fired)
}

// advance lets time pass until now and tells which bans are over.
func (e *Engine) advance(now time.Time) {
	if !now.After(e.now) {
		return
	}
	e.now = now
	for _, c := range e.ledger.Advance(now) {
		e.decide(unbanned(&c))
	}
}

// fired does what a rule that fired asks for.
func (e *Engine) fired(f *rule.Firing) {
	if f.Alert {
		e.decide(alerted(f, f.Reason))
	}
	if f.Spec.Ban == nil {
		return
	}
	if len(f.Orders) == 0 {
		v := alerted(f, "the event bears no address that could be banned")
		v.Kind = Refused
		e.decide(v)
	}
	for _, o := range f.Orders {
		e.enter(f, o)
	}
}

// enter hands one order to the ledger, within the rule's brake.
func (e *Engine) enter(f *rule.Firing, o ban.Order) {
	if e.rules.Braked(f.Spec, o.At) {
		e.decide(alerted(f, "brake: the rule has used up its new bans; "+f.Reason))
		return
	}
	change, refusal := e.ledger.Enter(o, e.now)
	if refusal != nil {
		e.decide(refused(refusal))
		return
	}
	if change.Kind == ban.Banned {
		e.rules.Charge(f.Spec, o.At)
	}
	e.decide(banned(change))
}

// Reload puts cfg in the place of the configuration that runs: its rules take
// over the windows of those that count the same thing, and the ledger lifts the
// bans that the new trust forbids. It must be called between two events, on the
// goroutine that counts; [Engine.Swap] does so for a running engine.
func (e *Engine) Reload(cfg *config.Config) {
	rules := rule.NewSet(cfg.Rules)
	rules.Adopt(e.rules)
	e.rules = rules
	e.sources = cfg.Sources
	for _, c := range e.ledger.SetTrust(trust(cfg, e.hosts), e.now) {
		e.decide(unbanned(&c))
	}
}
