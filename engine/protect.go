package engine

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/registrations"
)

// knownGood is whom the switch itself knows, as far as security.protect asks for
// it. It outlives a reload and not the process: a source lists at every connect
// who is there.
type knownGood struct {
	registrations *registrations.Table                // nil: protect does not list "registered"
	shared        atomic.Pointer[registrations.Table] // the same, for other goroutines
	failures      *registrations.Failures             // of those who are registered
	gateways      *registrations.Gateways             // nil: protect does not list "gateways"
	changed       bool                                // the gateways, since the ledger was told of them
}

// agree remembers what the configuration asks for, from the sources that it has.
func (k *knownGood) agree(cfg *config.Config) {
	protect := cfg.Security.Protect
	if !protect.Registered {
		k.registrations, k.failures = nil, nil
	} else if k.registrations == nil {
		k.registrations, k.failures = registrations.NewTable(), registrations.NewFailures()
	}
	k.shared.Store(k.registrations)
	if !protect.Gateways {
		k.gateways = nil
	} else if k.gateways == nil {
		k.gateways = registrations.NewGateways()
	}
	follows := func(ref string) bool {
		return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == ref })
	}
	if k.registrations != nil {
		k.registrations.Retain(follows)
	}
	if k.gateways != nil {
		k.gateways.Retain(follows)
	}
}

// learn takes in what an event tells of registrations and gateways.
func (k *knownGood) learn(ev *event.Event, now time.Time) {
	if k.registrations != nil {
		k.registrations.Learn(ev, now)
		// Of those who are not registered nothing has to be remembered: whoever forges
		// senders could have it all forgotten.
		if ev.IP.IsValid() && k.registrations.Holds(single(ev.IP), now) {
			k.failures.Learn(ev)
		}
	}
	if k.gateways != nil && k.gateways.Learn(ev) {
		k.changed = true
	}
}

// wants names the events of a source that the rules on it can match, and those
// that tell whom the switch knows; nil: any.
func (e *Engine) wants(source string) map[string]bool {
	want := e.verifier.Wants(source, e.rules.Wants)
	var more []string
	if e.known.registrations != nil {
		more = append(more, registrations.Events...)
	}
	if e.known.gateways != nil {
		more = append(more, registrations.GatewayEvents...)
	}
	if want == nil || len(more) == 0 {
		return want
	}
	want = maps.Clone(want)
	for _, name := range more {
		want[name] = true
	}
	return want
}

// trust is whom nobody may ban: the host's own addresses, what the configuration
// lists, and the gateways. What is written is named before what was learned.
func (e *Engine) trust() *ban.Trust {
	trusted := slices.Concat(e.options.Hosts(), e.cfg.Trusted)
	if e.known.gateways != nil {
		trusted = append(trusted, e.known.gateways.Trusted()...)
	}
	return ban.NewTrust(trusted)
}

// setTrust hands the ledger the trust, and decides on the bans that it lifts.
func (e *Engine) setTrust() {
	e.known.changed = false
	for _, c := range e.ledger.SetTrust(e.trust(), e.now) {
		e.decide(&c)
	}
}

// retrust is setTrust where the gateways have changed. A switch reports hundreds
// of them at once when it is connected to, and the ledger looks at all of its bans
// each time: so it is told before it decides on an order, and when what was
// decided is handed on.
func (e *Engine) retrust() {
	if e.known.changed {
		e.setTrust()
	}
}

// besideProtected is an order that leaves those alone who are protected: where
// its target is a network with a registered phone in it, the address that fired
// is banned alone, as it is where the network contains somebody trusted. The
// neighbours of a phone are none of its friends: who scans from beside it is still
// to be stopped.
func (e *Engine) besideProtected(o ban.Order) ban.Order {
	if o.Target.Kind() == ban.TargetNetwork && e.protected(o.Target.Prefix(), o.Evidence) && !e.protected(single(o.Address), o.Evidence) {
		o.Target = ban.Address(o.Address)
	}
	return o
}

// spares reports whether somebody in a network is not to be dropped, whatever was
// ordered about others in it. It may be called from any goroutine.
func (e *Engine) spares(network netip.Prefix) bool {
	if _, trusted := e.ledger.Trusted(ban.Network(network)); trusted {
		return true
	}
	r := e.known.shared.Load()
	return r != nil && r.Holds(network, time.Now())
}

// strangers is how many accounts more than are registered at an address must fail
// there until it is no longer protected, as long as it is not settled. An office has
// a phone or two with an old password; whoever comes with one account, and fails on
// account after account, is guessing, and the one that he has bought or found must be
// no licence for it. Where phones have been registered for long the number does not
// count: the switch reports what anybody sends in their name, over UDP, as failures of
// theirs, and he could have them banned.
const strangers = 2

// settling is how long somebody must have been registered at an address, and not been
// banned, until it is settled.
const settling = time.Hour

// protected reports whether somebody in the network is registered at the switch,
// and the evidence is what his neighbours, or others in his name, may well have caused.
func (e *Engine) protected(network netip.Prefix, evidence []ban.Evidence) bool {
	registrations := e.known.registrations
	if registrations == nil || !registrations.Holds(network, e.now) {
		return false
	}
	if e.settled(network) {
		return true
	}
	failed := max(len(failedAccounts(network, evidence)), e.known.failures.Count(network, e.now))
	return failed < strangers || failed < strangers+len(registrations.Accounts(network, e.now, failed))
}

// settled reports whether somebody was registered in the network all the hour, and
// no rule had it banned: he may well have stayed registered meanwhile.
func (e *Engine) settled(network netip.Prefix) bool {
	since := e.now.Add(-settling)
	return e.known.registrations.Settled(network, since, e.now) && !e.ledger.CaughtSince(network, since)
}

// spared returns the ban that an order would lead to if its target were not protected;
// nil if it is not protected, or there would be no ban in any case. A ban that
// stands is not touched by it: a registration does not lift it, and neither does
// one that comes later, since whoever guesses the password of one account would be
// free to go on with the others.
func (e *Engine) spared(o ban.Order) *ban.Change {
	c := e.ledger.Consider(o, e.now)
	if !c.InForce() || !e.protected(c.Target.Prefix(), c.Evidence) {
		return nil
	}
	return &c
}

// whyProtected says who protects the target and who failed.
func (e *Engine) whyProtected(b *ban.Ban) string {
	network := b.Target.Prefix()
	reason := "protected: registered (" + some(e.known.registrations.Accounts(network, e.now, maxNamed+1)) + ")"
	if failed := failedAccounts(network, b.Evidence); len(failed) > 0 {
		reason += "; failed: " + some(failed)
	}
	return reason + "; " + b.Reason
}

// maxNamed is how many accounts a reason names.
const maxNamed = 3

// some lists the first few of names.
func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxNamed], ", ") + ", …"
}

// failedAccounts names the accounts that failed in a network, in the order of their
// first failures. What others did whom the same rule counts is not held against it.
func failedAccounts(network netip.Prefix, evidence []ban.Evidence) []string {
	var names []string
	for _, e := range evidence {
		elsewhere := e.IP.IsValid() && !network.Contains(e.IP)
		if e.User == "" || elsewhere || !slices.Contains(registrations.FailureEvents, e.Event) {
			continue
		}
		if name := registrations.Account(e.User, e.Domain); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
