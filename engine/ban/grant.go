package ban

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// A Grant is trust that is given while the program runs, besides that of the rule
// files. It is durable, and may end.
type Grant struct {
	Network netip.Prefix `msgpack:"-"` // masked, IPv4-mapped IPv6 unmapped
	Author  string       // who gave it: "api alice"
	Comment string       // may be empty
	Since   time.Time
	Until   time.Time // the zero time: until it is revoked
}

// trusted returns the grant as a reason of a refusal.
func (g *Grant) trusted() Trusted {
	t := Trusted{Network: g.Network, Name: "whitelist", Comment: g.Comment, Where: "by " + g.Author}
	if !g.Until.IsZero() {
		t.Where += " until " + stamp(g.Until)
	}
	return t
}

// Grant trusts a network from now on and unbans what it covers, in the order of
// targets. It replaces an earlier grant for the same network.
func (l *Ledger) Grant(g Grant, now time.Time) []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grants.Insert(g.Network, &g)
	l.remind(g.Until, Network(g.Network))
	l.dirty[Network(g.Network)] = struct{}{}
	// Other bans are not affected. A look at all of them for each of many grants would
	// take minutes.
	var touched []Target
	for target := range l.bans.networks.Supernets(g.Network) {
		if target != g.Network {
			touched = append(touched, Network(target))
		}
	}
	for target := range l.bans.networks.Subnets(g.Network) {
		touched = append(touched, Network(target))
	}
	touched = slices.AppendSeq(touched, maps.Keys(l.bans.others))
	slices.SortFunc(touched, Target.Compare)
	return l.free(touched, now)
}

// Revoke ends the grant for exactly this network, and reports whether there was
// one.
func (l *Ledger) Revoke(network netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.grants.Get(network)
	if ok {
		l.grants.Delete(network)
		l.dirty[Network(network)] = struct{}{}
	}
	return ok
}

// grant returns the grant for exactly this target.
func (l *Ledger) grant(target Target) (*Grant, bool) {
	network, ok := target.Network()
	if !ok {
		return nil, false
	}
	return l.grants.Get(network)
}

// Grants returns the grants, in the order of their networks.
func (l *Ledger) Grants() []Grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Grant
	for _, g := range l.grants.AllSorted() {
		all = append(all, *g)
	}
	return all
}

// Trust returns what the ledger trusts besides the grants.
func (l *Ledger) Trust() *Trust {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trust
}

// Trusted returns the trust, of a grant or a rule file, that keeps anything in target
// from being banned.
func (l *Ledger) Trusted(target Target) (Trusted, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trusted(target)
}

// covers finds the trust that contains all of target.
func (l *Ledger) covers(target Target) (Trusted, bool) {
	p := target.Prefix()
	if !p.IsValid() {
		return Trusted{}, false
	}
	if entry, ok := l.trust.Covers(p); ok {
		return entry, true
	}
	if _, g, ok := l.grants.LookupPrefixLPM(p); ok {
		return g.trusted(), true
	}
	return Trusted{}, false
}

// within finds trust that lies inside of target without covering it.
func (l *Ledger) within(target Target) (Trusted, bool) {
	p, ok := target.Network()
	if !ok {
		return Trusted{}, false
	}
	if entry, ok := l.trust.Within(p); ok {
		return entry, true
	}
	for _, g := range l.grants.Subnets(p) {
		return g.trusted(), true
	}
	return Trusted{}, false
}

// trusted finds the trust that forbids a ban of target.
func (l *Ledger) trusted(target Target) (Trusted, bool) {
	if entry, ok := l.covers(target); ok {
		return entry, true
	}
	return l.within(target)
}

// free unbans those of the targets that trust forbids to ban.
func (l *Ledger) free(targets []Target, now time.Time) []Change {
	var freed []Change
	for _, target := range targets {
		if entry, ok := l.trusted(target); ok {
			freed = append(freed, *l.unban(target, "trusted: "+entry.String(), now))
		}
	}
	return freed
}
