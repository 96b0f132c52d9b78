package engine

import (
	"encoding"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/accounts"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/names"
	"freeswitch-security/engine/registrations"
	"freeswitch-security/engine/rule"
)

// knownGood is what the switch knows, as far as security.protect asks for it. It outlives a
// reload. A restart keeps what [Engine.kept] names: a source lists registrations and gateways at
// every connect.
type knownGood struct {
	tables
	shared      atomic.Pointer[tables]  // the same, for other goroutines
	failures    *registrations.Failures // of protected hosts
	withheld    withheldOrders
	gateways    *registrations.Gateways // nil: protect does not list "gateways"
	names       names.Table             // that are trusted
	changed     bool                    // the gateways or the names, since the last setTrust
	proves      map[string]bool         // the sources that tell what is proven
	wire        bool                    // one of them has reported
	history     *accounts.Table         // nil: no rule has used it
	usesHistory bool                    // a rule uses the history
}

// tables hold the protected addresses.
type tables struct {
	registrations *registrations.Table     // nil: protect does not list "registered"
	dialogues     *registrations.Dialogues // nil: protect does not list "dialogues"
	nat64         ban.NAT64
}

// reconcile keeps what the configuration asks for, from the sources that it has.
func (k *knownGood) reconcile(cfg *config.Config) {
	protect := cfg.Security.Protect
	if !protect.Registered {
		k.registrations = nil
	} else if k.registrations == nil {
		k.registrations = registrations.NewTable()
	}
	if !protect.Dialogues {
		k.dialogues = nil
	} else if k.dialogues == nil {
		k.dialogues = registrations.NewDialogues()
	}
	k.nat64 = cfg.Security.NAT64
	if k.failures == nil {
		k.failures = registrations.NewFailures()
	}
	if k.dialogues != nil {
		k.dialogues.SetNAT64(k.nat64)
	}
	now := k.tables
	k.shared.Store(&now)
	if !protect.Gateways {
		k.gateways = nil
	} else if k.gateways == nil {
		k.gateways = registrations.NewGateways()
	}
	k.names.SetNames(hosts(cfg.Names))
	k.usesHistory = slices.ContainsFunc(cfg.Rules, func(r *rule.Spec) bool { return slices.ContainsFunc(accounts.Fields, r.Uses) })
	if k.usesHistory {
		if k.history == nil {
			k.history = accounts.NewTable()
		}
		k.history.SetNAT64(k.nat64)
	}
	k.proves = map[string]bool{}
	for _, s := range cfg.Sources {
		k.proves[s.Ref] = s.Description.Proves
	}
	follows := func(ref string) bool {
		if strings.Contains(ref, "/") { // of a peer
			return cfg.Fleet != nil && cfg.Fleet.Shares(config.ShareRegistrations)
		}
		return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == ref })
	}
	if k.registrations != nil {
		k.registrations.Retain(follows)
	}
	if k.gateways != nil {
		k.gateways.Retain(follows)
	}
}

// learn notes the registrations, failures and gateways in an event.
func (k *knownGood) learn(ev *event.Event, now time.Time) {
	k.wire = k.wire || k.proves[ev.Source]
	if k.registrations != nil {
		k.registrations.Learn(ev, now)
	}
	if k.dialogues != nil && k.proves[ev.Source] {
		k.dialogues.Learn(ev, now)
	}
	if isFailure(ev) {
		k.noteFailure(ev, ev.IP, ev.Proven, now)
		if text := ev.Fields["sender"]; text != "" && k.proves[ev.Source] {
			if sender, err := netip.ParseAddr(text); err == nil {
				k.noteFailure(ev, sender, false, now)
			}
		}
	}
	if k.gateways != nil && k.gateways.Learn(ev) {
		k.changed = true
	}
	if k.usesHistory {
		k.history.Learn(ev, k.wire, now)
	}
}

// learnFrom notes what the switch of a peer reported: a registration or a gateway, and nothing else.
func (k *knownGood) learnFrom(ev *event.Event, now time.Time) {
	if k.registrations != nil {
		k.registrations.Learn(ev, now)
	}
	if k.gateways != nil && k.gateways.Learn(ev) {
		k.changed = true
	}
}

func isFailure(ev *event.Event) bool { return slices.Contains(registrations.FailureEvents, ev.Name) }

// fill sets the fields of a probe that depend on what is known, and notes nothing.
func (k *knownGood) fill(ev *event.Event, now time.Time) {
	if k.usesHistory {
		k.history.Fill(ev, now)
	}
}

// noteFailure notes a failure of a protected address. Those of others are not kept: forged senders
// could evict all of them.
func (k *knownGood) noteFailure(ev *event.Event, ip netip.Addr, proven bool, now time.Time) {
	if !ip.IsValid() {
		return
	}
	host := k.nat64.Host(ip)
	registered := k.registrations != nil && k.registrations.Holds(host, now)
	if !registered && !k.hasDialogue(host, now) {
		return
	}
	own := registered && k.registrations.HasAccount(host, ev, now)
	phones := registered && k.registrations.HasPort(host, ev.Port, now)
	k.failures.Learn(ev, host, own, phones, proven, now)
}

func (k *knownGood) hasDialogue(network netip.Prefix, now time.Time) bool {
	if k.dialogues == nil {
		return false
	}
	_, ok := k.dialogues.Latest(network, netip.Addr{}, now)
	return ok
}

// step moves all times by a step of the host's clock.
func (k *knownGood) step(by time.Duration) {
	if k.registrations != nil {
		k.registrations.Step(by)
	}
	if k.dialogues != nil {
		k.dialogues.Step(by)
	}
	if k.history != nil {
		k.history.Step(by)
	}
	k.failures.Step(by)
}

// wants returns the events of a source that the rules on it can match, and those about
// registrations, gateways and dialogues, and more; nil: any. A source whose events are not open sets
// all raw fields that it has, whatever rules read: another rule is no reason to start it again.
func (e *Engine) wants(source string, more ...string) map[string]bool {
	want := e.verifier.Wants(source, e.rules.Wants)
	if e.known.registrations != nil {
		more = append(more, registrations.Events...)
	}
	if e.known.gateways != nil {
		more = append(more, registrations.GatewayEvents...)
	}
	if e.known.dialogues != nil {
		more = append(more, event.Dialogue)
	}
	if e.known.usesHistory {
		more = append(more, accounts.Events...)
	}
	if want == nil {
		return nil
	}
	for _, name := range more {
		want[name] = true
	}
	i := slices.IndexFunc(e.cfg.Sources, func(s config.Source) bool { return s.Ref == source })
	if i < 0 {
		return want
	}
	if _, open := e.cfg.Sources[i].Description.Events.Raw(); !open {
		maps.DeleteFunc(want, func(name string, _ bool) bool {
			_, isRaw := event.RawField(name)
			return isRaw
		})
	}
	return want
}

// besideProtected narrows an order for a network with a protected address to the address
// that fired, as the ledger does if the network contains a trusted one: an attacker beside
// a registered phone is still to be stopped.
func (e *Engine) besideProtected(o ban.Order) ban.Order {
	if o.Target.Kind() != ban.TargetNetwork {
		return o
	}
	network, own := o.Target.Prefix(), o
	own.Target = ban.Address(o.Address)
	beside := e.protected(network) || e.known.proves[o.Source] && !e.lastDialogue(network, o.Address).IsZero()
	if beside && e.protection(own, own.Target.Prefix(), o.Evidence) == "" {
		return own
	}
	return o
}

// hideRegistrations has the registrations of a banned account protect no address until its ban ends.
func (e *Engine) hideRegistrations(account ban.Target, banned bool) {
	if table := e.known.registrations; table != nil {
		user, domain, _ := account.Account()
		table.SetBanned(user, domain, banned)
	}
}

// hideBanned does so for all banned accounts, for a table or a ledger that is new.
func (e *Engine) hideBanned() {
	for _, account := range e.ledger.Accounts() {
		e.hideRegistrations(account, true)
	}
}

// lastDialogue returns when a host in the network, other than that of an address, last completed
// a dialogue; zero: it did not, or that protects nothing.
func (e *Engine) lastDialogue(network netip.Prefix, except netip.Addr) time.Time {
	if e.known.dialogues == nil {
		return time.Time{}
	}
	at, _ := e.known.dialogues.Latest(network, except, e.now)
	return at
}

// keptEvery is the interval at which what a restart keeps is saved. A crash forgets what came since.
const keptEvery = 10 * time.Minute

// A keepable saves what it knows, and reads it again.
type keepable interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// kept is what a restart keeps, by name among the positions; that of a source has a dot.
func (e *Engine) kept() map[string]keepable {
	all := map[string]keepable{"windows": e.rules, "failures": e.known.failures, "withheld": &e.known.withheld, "names": &e.known.names}
	if d := e.known.dialogues; d != nil {
		all["dialogues"] = d
	}
	if e.known.usesHistory {
		all["accounts"] = e.known.history
	}
	return all
}

// keep saves what a restart keeps, and the clocks, with the next commit.
func (e *Engine) keep() {
	e.keepClocks()
	e.live.keptAt = e.now
	for ref, one := range e.kept() {
		e.live.sources.moved[ref], _ = one.MarshalBinary() // it cannot fail
	}
}

// restoreKept restores what keep saved. What cannot be read is not known.
func (e *Engine) restoreKept(positions map[string][]byte) {
	for ref, one := range e.kept() {
		_ = one.UnmarshalBinary(positions[ref])
	}
}

// apart reports whether an event may be of a forged sender, at an address with a dialogue: it
// counts apart from what is proven. Otherwise a forger could complete what the address itself
// began, and an attacker could clear the windows of its proven events by unproven ones.
func (e *Engine) apart(ev *event.Event) bool {
	return !ev.Proven && e.known.proves[ev.Source] && ev.IP.IsValid() && !e.lastDialogue(single(ev.IP), netip.Addr{}).IsZero()
}

// spares reports whether a network contains an address that must not be dropped, which one of
// several hosts behind a translator is. It is safe for concurrent use.
func (e *Engine) spares(network netip.Prefix) bool {
	now, known := e.options.Clock.Now(), e.known.shared.Load()
	if known.nat64.IsWide(network) || e.ledger.Trusted(ban.Network(network)) != nil {
		return true
	}
	if known.registrations != nil && known.registrations.Holds(network, now) {
		return true
	}
	if known.dialogues == nil {
		return false
	}
	_, talked := known.dialogues.Latest(network, netip.Addr{}, now)
	return talked
}

// maxUnknownAccounts is the number of failed accounts beyond the registered ones at which
// a device with several accounts is guessing. An office has a phone or two with an old password.
const maxUnknownAccounts = 2

// settling is the time of registration after which an address is settled.
const settling = time.Hour

// protected reports whether an address in the network is registered at the switch. Its failures are
// limited elsewhere. In the first hour it is not protected if a port from which several accounts
// registered fails with further ones: a forger does not know the port.
func (e *Engine) protected(network netip.Prefix) bool {
	table := e.known.registrations
	if table == nil || !table.Holds(network, e.now) {
		return false
	}
	if table.Settled(network, e.now.Add(-settling), e.now) {
		return true
	}
	shared := func(port uint16) bool { return table.Shares(network, port, e.now) }
	return e.fewUnknown(network, e.known.failures.Accounts(e.known.nat64.Host(network.Addr()), e.known.wire, shared, e.now))
}

// fewUnknown reports whether a number of accounts that failed in a network is below what ends its
// protection.
func (e *Engine) fewUnknown(network netip.Prefix, failed int) bool {
	return failed < maxUnknownAccounts || failed < maxUnknownAccounts+len(e.known.registrations.Accounts(network, e.now, failed))
}

// spared returns the sparing that an order leads to; nil if its target is not protected, or
// there would be no ban in any case. A ban in force stays as it is: a registration neither ends
// nor extends it, or an attacker who guesses one password could go on with the others.
func (e *Engine) spared(o ban.Order) *ban.Change {
	if !e.mayProtect(o.Target.Prefix()) {
		return nil
	}
	c := e.ledger.Consider(o, e.now)
	if !c.InForce() {
		return nil
	}
	why := e.protection(o, c.Target.Prefix(), c.Evidence)
	if why == "" {
		return nil
	}
	return sparing(c, why)
}

// mayProtect reports whether a host of a network has a registration or a dialogue: otherwise nothing
// protects it, or a part of it. Most attackers have none, and to ask for that takes little.
func (e *Engine) mayProtect(network netip.Prefix) bool {
	table := e.known.registrations
	return network.IsValid() && (table != nil && table.Holds(network, e.now) || !e.lastDialogue(network, netip.Addr{}).IsZero())
}

// sparing turns the change that an order would lead to into a sparing.
func sparing(c ban.Change, why string) *ban.Change {
	c.Kind, c.Why = ban.KindSpare, "protected: "+why+"; "+c.Reason
	return &c
}

// protection says what protects a network from an order; "" if nothing does. A dialogue
// protects from an order that rests on senders which may be forged, of a source that tells, and
// from those of others: only such a source knows dialogues, and it counts them where they came from.
func (e *Engine) protection(o ban.Order, network netip.Prefix, evidence []ban.Evidence) string {
	if !network.IsValid() { // an account
		return ""
	}
	if e.protected(network) {
		return e.whyRegistered(network, evidence)
	}
	if o.Proven || !e.known.proves[o.Source] && !e.forgeable(network, evidence) {
		return ""
	}
	at := e.lastDialogue(network, netip.Addr{})
	if at.IsZero() {
		return ""
	}
	ago, unit := e.now.Sub(at), time.Second
	if ago >= time.Minute {
		unit = time.Minute
	}
	return "a call or login " + ban.FormatDuration(ago.Truncate(unit)) + " ago, and the sender may be forged"
}

// forgeable reports whether what a source reported that does not tell may be of forged senders, where
// the wire has heard dialogues: no event needs a password or a connection, and the wire has not
// proven as many failures. The two reports of one attempt arrive in any order.
func (e *Engine) forgeable(network netip.Prefix, evidence []ban.Evidence) bool {
	certain := []string{event.VertoLoginFailure, event.ESLDenied, event.LogForgery}
	if len(evidence) == 0 || slices.ContainsFunc(evidence, func(e ban.Evidence) bool { return e.Proven || slices.Contains(certain, e.Event) }) {
		return false
	}
	since := evidence[0].Time.Add(-provenWithin)
	return e.known.failures.Proven(e.known.nat64.Host(network.Addr()), since) < max(1, len(evidence)-1)
}

// provenWithin bounds the distance of the two reports of one attempt.
const provenWithin = 2 * time.Second

// whyRegistered says which accounts are registered in the network and which failed.
func (e *Engine) whyRegistered(network netip.Prefix, evidence []ban.Evidence) string {
	reason := "registered (" + some(e.known.registrations.Accounts(network, e.now, maxNamed+1)) + ")"
	if failed := failedAccounts(network, evidence); len(failed) > 0 {
		reason += "; failed: " + some(failed)
	}
	return reason
}

// maxNamed is the number of accounts that a reason names.
const maxNamed = 3

// some joins the first few names.
func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxNamed], ", ") + ", …"
}

// failedAccounts returns the accounts that failed in a network, in the order of their first
// failures. Failures elsewhere that the same rule counted are left out.
func failedAccounts(network netip.Prefix, evidence []ban.Evidence) []string {
	var names []string
	for _, e := range evidence {
		elsewhere := e.IP.IsValid() && !network.Contains(e.IP)
		if e.User == "" || elsewhere || !slices.Contains(registrations.FailureEvents, e.Event) {
			continue
		}
		name := registrations.Account(e.User, e.Domain)
		if !slices.ContainsFunc(names, func(other string) bool { return event.Fold(other) == event.Fold(name) }) {
			names = append(names, name)
		}
	}
	return names
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
