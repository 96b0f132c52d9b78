package ban

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"
)

// A Trusted is a network that is never banned: an entry of the rule files, or one that
// was given while the program runs. The latter is durable, and may end.
type Trusted struct {
	Network netip.Prefix `msgpack:"-"` // masked, IPv4-mapped IPv6 unmapped
	Name    string       // "security.trusted_networks", "carriers"
	Comment string       // the operator's; may be empty
	Where   string       // file and line; empty for what is built in or given at run time
	Author  string       // who gave it at run time: "api alice"; empty for the other entries
	Since   time.Time    // likewise
	Until   time.Time    // likewise; zero: until it is revoked
}

// String returns the entry for people: what it is, and where it comes from.
func (t *Trusted) String() string {
	s := t.Name
	if t.Comment != "" {
		s += ", " + t.Comment
	}
	from := t.Where
	if t.Author != "" {
		from = "by " + t.Author
	}
	if !t.Until.IsZero() {
		from += " until " + stamp(t.Until)
	}
	if from != "" {
		s += " (" + from + ")"
	}
	return s
}

// builtinTrust is the host itself and its links, which no attacker can use.
var builtinTrust = []Trusted{
	{Network: netip.MustParsePrefix("127.0.0.0/8"), Name: "loopback"},
	{Network: netip.MustParsePrefix("::1/128"), Name: "loopback"},
	{Network: netip.MustParsePrefix("169.254.0.0/16"), Name: "link-local"},
	{Network: netip.MustParsePrefix("fe80::/10"), Name: "link-local"},
	{Network: netip.MustParsePrefix("0.0.0.0/32"), Name: "the unspecified address"},
	{Network: netip.MustParsePrefix("::/128"), Name: "the unspecified address"},
}

// Trust is a set of trusted networks. The zero value is empty; NewTrust adds what no
// rule file needs to name. It does not change, except for that of a ledger.
type Trust struct {
	table bart.Table[*Trusted]
}

// NewTrust returns the trust in entries and in loopback and link-local addresses. The
// first of two entries for one network counts.
func NewTrust(entries []Trusted) *Trust {
	t := &Trust{}
	for _, e := range slices.Concat(entries, builtinTrust) {
		if _, known := t.table.Get(e.Network); !known {
			t.table.Insert(e.Network, &e)
		}
	}
	return t
}

// All returns the entries in the order of their networks.
func (t *Trust) All() []Trusted {
	all := make([]Trusted, 0, t.table.Size())
	for _, entry := range t.table.AllSorted() {
		all = append(all, *entry)
	}
	return all
}

// Covers returns the most specific entry that contains all of p; nil if there is none.
func (t *Trust) Covers(p netip.Prefix) *Trusted {
	_, entry, _ := t.table.LookupPrefixLPM(p)
	return entry
}

// within returns an entry that lies inside of p; nil if there is none.
func (t *Trust) within(p netip.Prefix) *Trusted {
	for _, entry := range t.table.Subnets(p) {
		return entry
	}
	return nil
}

// Grant trusts a network from now on and unbans what it covers, in the order of
// targets. It replaces an earlier grant for the same network.
func (l *Ledger) Grant(g Trusted, now time.Time) []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grants.table.Insert(g.Network, &g)
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
	_, ok := l.grants.table.Get(network)
	if ok {
		l.grants.table.Delete(network)
		l.dirty[Network(network)] = struct{}{}
	}
	return ok
}

// SetTrust replaces the trust and unbans what it covers, in the order of targets.
func (l *Ledger) SetTrust(trust *Trust, now time.Time) []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trust = trust
	var targets []Target
	for target := range l.bans.after(Target{}) {
		targets = append(targets, target)
	}
	return l.free(targets, now)
}

// free unbans those of the targets that trust forbids to ban.
func (l *Ledger) free(targets []Target, now time.Time) []Change {
	var freed []Change
	for _, target := range targets {
		if entry := l.trusted(target.Prefix()); entry != nil {
			freed = append(freed, *l.unban(target, "trusted: "+entry.String(), now))
		}
	}
	return freed
}

// AllTrusted returns all entries, those that were given at run time after the others, in
// the order of their networks.
func (l *Ledger) AllTrusted() []Trusted {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(l.trust.All(), l.grants.All()...)
	slices.SortStableFunc(all, func(a, b Trusted) int { return a.Network.Compare(b.Network) })
	return all
}

// Trusted returns the entry that keeps anything in target from being banned; nil if there
// is none.
func (l *Ledger) Trusted(target Target) *Trusted {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trusted(target.Prefix())
}

func (l *Ledger) trusted(p netip.Prefix) *Trusted {
	return cmp.Or(l.covers(p), l.trust.within(p), l.grants.within(p))
}

// covers returns the entry that contains all of p.
func (l *Ledger) covers(p netip.Prefix) *Trusted {
	return cmp.Or(l.trust.Covers(p), l.grants.Covers(p))
}
