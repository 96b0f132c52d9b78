package engine

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/registrations"
	"freeswitch-security/engine/rule"

	"github.com/vmihailenco/msgpack/v5"
)

// The failures of a protected host at accounts that are not registered there are limited. Where a
// rule fires, its ban is withheld, and a port that is not that of a registered phone is banned
// instead. Beyond the limits the host is banned: it is an office with phones to correct, or it has a
// thief.
//
// Each ban leaves room for one failure when it ends, because its hour and day are still used up.
// So a host is banned a little before its limit.
const (
	maxProvenHour, maxProvenDay = 17, 50 // 20 and 60 with what follows
	afterLimit                  = 3      // failures that follow the first ban within an hour

	// A phone with an old password fails at one account, some twice a minute, and faster when it
	// starts. One that keeps its port may be faster, as its port is banned.
	phonesPace, onePortPace = 15, 40 // in five minutes
	phonesHour              = 120

	// maxEndpoints bounds the endpoints of a host that are banned at a time: a forger can name any
	// port of an office, and must not have all of them banned.
	maxEndpoints = 32
)

// limitTerms are the bans of a host beyond its limits.
var limitTerms = func() (terms []ban.Term) {
	for term := 10 * time.Minute; term < 24*time.Hour; term *= 2 {
		terms = append(terms, ban.Term(term))
	}
	return append(terms, ban.Term(24*time.Hour))
}()

// withheldOrders are the latest orders that were withheld, by host.
type withheldOrders struct {
	dedup.Cache[netip.Addr, ban.Order]
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (w *withheldOrders) MarshalBinary() ([]byte, error) {
	return msgpack.Marshal(maps.Collect(w.All()))
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (w *withheldOrders) UnmarshalBinary(saved []byte) error {
	var all map[netip.Addr]ban.Order
	err := msgpack.Unmarshal(saved, &all)
	for host, o := range all {
		w.Put(host, o)
	}
	return err
}

// withhold notes an order that was not entered because its target is protected, and bans the
// endpoint of the failure.
func (e *Engine) withhold(f *rule.Firing, o ban.Order) {
	if !o.Address.IsValid() {
		return
	}
	host := e.known.nat64.Host(o.Address)
	if failed := failedAccounts(host, o.Evidence); len(failed) > 0 {
		o.Reason = some(failed)
	} else {
		o.Reason = ""
	}
	e.limitEndpoint(f, o)
	o.Evidence = nil
	e.known.withheld.Put(host.Addr(), o)
}

// limitEndpoint bans the port of a failure, for the rule's first term, if an action enforces that
// and no registered phone uses the port. Without a transport it is banned for UDP and TCP.
func (e *Engine) limitEndpoint(f *rule.Firing, o ban.Order) {
	ev, table := f.Event, e.known.registrations
	if ev.Port == 0 || ev.IP != o.Address || !isFailure(ev) || table == nil {
		return
	}
	host := e.known.nat64.Host(ev.IP)
	if !table.Holds(host, e.now) || table.HasPort(host, ev.Port, e.now) || len(e.ledger.Endpoints(ban.Network(host))) >= maxEndpoints {
		return
	}
	o.Reason, o.Terms, o.Forget, o.Address = f.Reason, o.Terms[:1], time.Hour, netip.Addr{}
	for _, protocol := range protocolsOf(ev) {
		o.Target = ban.Endpoint(netip.AddrPortFrom(ev.IP, ev.Port), protocol)
		e.enterNew(o)
	}
}

// enterNew enters an order that would put a ban into force.
func (e *Engine) enterNew(o ban.Order) {
	if would := e.ledger.Consider(o, e.now); !would.InForce() {
		return
	}
	o.DryRun = e.options.DryRun || !e.cfg.Security.AutoBlock
	e.decide(e.ledger.Enter(o, e.now))
}

// limit bans a host for which a ban was withheld, once it fails beyond the limits.
func (e *Engine) limit(ev *event.Event) {
	if !isFailure(ev) || !ev.IP.IsValid() {
		return
	}
	host := e.known.nat64.Host(ev.IP)
	o, withheld := e.known.withheld.Get(host.Addr())
	if !withheld {
		return
	}
	if _, banned := e.ledger.Covering(ban.Network(host)); banned {
		return
	}
	beyond := e.beyond(host)
	if beyond == "" {
		return
	}
	why := "office or thief: " + beyond
	if o.Reason != "" {
		why += ", such as " + o.Reason
	}
	if table := e.known.registrations; table != nil {
		if phones := table.Accounts(host, e.now, maxNamed+1); len(phones) > 0 {
			why += "; registered there: " + some(phones)
		}
	}
	o.Target, o.Address, o.At, o.Reason = ban.Network(host), ev.IP, e.begins(ev), why
	o.Terms, o.Forget = limitTerms, 24*time.Hour
	o.Evidence = []ban.Evidence{rule.EvidenceOf(ev)}
	e.enterNew(o)
}

// beyond says which limit the failures of a host exceed; "" if none.
func (e *Engine) beyond(host netip.Prefix) string {
	perHour := cmp.Or(e.cfg.Security.ProtectedFailures, config.DefaultProtectedFailures)
	proven, unproven := e.known.failures.Count(host, func(source string) bool { return e.known.proves[source] }, e.now)
	all := proven.Plus(unproven)
	if unproven.Hour == 0 { // a source that proves has explained them
		all = proven
	}
	if perHour <= config.StrictFailures { // what may be forged counts as if it were proven
		proven = all
	}
	switch {
	case all.Hour > perHour+1, all.Hour >= perHour-afterLimit && !(isPhone(all, phonesPace) && perHour >= phonesHour): // +1: a phone is not exact
		return fmt.Sprintf("%d failures in 1h", all.Hour)
	case isPhone(proven, onePortPace) && perHour > config.StrictFailures:
		return ""
	case proven.Hour >= maxProvenHour:
		return fmt.Sprintf("%d failures in 1h at %d other accounts", proven.Hour, proven.Accounts)
	case proven.Day >= maxProvenDay:
		return fmt.Sprintf("%d failures in 1d at %d other accounts", proven.Day, proven.Accounts)
	}
	return ""
}

// isPhone reports whether a count may be of one phone with an old password. atOnePort is the pace of
// one that keeps its port.
func isPhone(c registrations.Count, atOnePort int) bool {
	return c.Accounts <= 1 && (c.Burst <= phonesPace || c.Ports <= 1 && c.Burst <= atOnePort)
}

// lift ends the bans that rules made of a registered phone's address while its registration
// could not be known: its source was not connected to the switch, and lists it now. It ends
// those that would have been spared. A ban stands if its offence began while the source was
// connected, if it is of an operator or a feed, or if it has no evidence, or not all of it any more.
func (e *Engine) lift(ev *event.Event) {
	source := e.live.sources.progress[ev.Source]
	if ev.Name != event.Registered || !ev.Repeat || e.known.registrations == nil || source == nil {
		return
	}
	unheard := e.byClock(source.Status().Disconnected)
	for {
		b, banned := e.ledger.Covering(ban.Address(ev.IP))
		if !banned || b.Author != ban.ByRule {
			return
		}
		b.Evidence = e.ledger.Evidence(&b)
		lost := slices.ContainsFunc(b.Evidence, func(e ban.Evidence) bool { return e.Lost })
		if lost || len(b.Evidence) == 0 || b.Evidence[0].Time.Before(unheard) || !e.liftable(b.Target.Prefix(), b.Evidence) {
			return
		}
		why := "protected: " + e.whyRegistered(b.Target.Prefix(), b.Evidence) + "; banned while source." + ev.Source + " did not hear the switch"
		e.decide(e.ledger.Lift(b.Target, why, e.now))
	}
}

// liftable reports whether a network with a registered phone would have been spared.
func (e *Engine) liftable(network netip.Prefix, evidence []ban.Evidence) bool {
	return e.known.registrations.Holds(network, e.now) && e.fewUnknown(network, len(failedAccounts(network, evidence))) &&
		e.beyond(e.known.nat64.Host(network.Addr())) == ""
}
