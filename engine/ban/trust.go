package ban

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// A Trusted is a target that is never banned: an entry of the rule files, or one that
// was given while the program runs. The latter is durable, and may end.
type Trusted struct {
	Target  Target    `msgpack:"-"` // an address, a network or an account; see [AnyDomain]
	Name    string    // "security.trusted_networks", "carriers"
	Comment string    // the operator's; may be empty
	Where   string    // file and line; empty for what is built in or given at run time
	Author  string    // who gave it at run time: "api alice"; empty for the other entries
	Since   time.Time // likewise
	Until   time.Time // likewise; zero: until it is revoked
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
	{Target: Network(netip.MustParsePrefix("127.0.0.0/8")), Name: "loopback"},
	{Target: Network(netip.MustParsePrefix("::1/128")), Name: "loopback"},
	{Target: Network(netip.MustParsePrefix("169.254.0.0/16")), Name: "link-local"},
	{Target: Network(netip.MustParsePrefix("fe80::/10")), Name: "link-local"},
	{Target: Network(netip.MustParsePrefix("0.0.0.0/32")), Name: "the unspecified address"},
	{Target: Network(netip.MustParsePrefix("::/128")), Name: "the unspecified address"},
}

// Trust is a set of trusted targets. The zero value is empty; NewTrust adds what no
// rule file needs to name. It does not change, except for that of a ledger.
type Trust struct {
	table table[*Trusted]
}

// NewTrust returns the trust in entries and in loopback and link-local addresses. The
// first of two entries for one target counts.
func NewTrust(entries []Trusted) *Trust {
	t := &Trust{}
	for _, e := range slices.Concat(entries, builtinTrust) {
		if _, known := t.table.get(e.Target); !known {
			t.table.put(e.Target, &e)
		}
	}
	return t
}

// All returns the entries in the order of their targets.
func (t *Trust) All() []Trusted {
	all := make([]Trusted, 0, t.table.size())
	for _, entry := range t.table.after(Target{}) {
		all = append(all, *entry)
	}
	return all
}

// Covers returns the most specific entry that contains all of target; nil if there is none.
func (t *Trust) Covers(target Target) *Trusted {
	if user, _, ok := target.Account(); ok {
		return cmp.Or(t.table.others[target], t.table.others[Account(user, AnyDomain)])
	}
	_, entry, _ := t.table.networks.LookupPrefixLPM(target.Prefix())
	return entry
}

// within returns an entry that lies inside of target; nil if there is none.
func (t *Trust) within(target Target) *Trusted {
	for _, entry := range t.table.networks.Subnets(target.Prefix()) {
		return entry
	}
	return nil
}

// Grant trusts a target from now on and unbans what it covers, in the order of
// targets. It replaces an earlier grant for the same target.
func (l *Ledger) Grant(g Trusted, now time.Time) []*Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grants.table.put(g.Target, &g)
	l.remind(g.Until, &g.Target)
	l.dirty = append(l.dirty, g.Target)
	return l.free([]Trusted{g}, now)
}

// Revoke ends the grant for exactly this target, and reports whether there was
// one.
func (l *Ledger) Revoke(target Target) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.grants.table.get(target)
	if ok {
		l.grants.table.remove(target)
		l.dirty = append(l.dirty, target)
	}
	return ok
}

// SetTrust replaces the trust and unbans what it covers, in the order of targets.
func (l *Ledger) SetTrust(trust *Trust, now time.Time) []*Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trust = trust
	return l.free(slices.Concat(trust.All(), l.grants.All()), now)
}

// free unbans what some entries of the trust forbid to ban. Other bans are not affected: a look at all of
// them for each of many grants would take minutes.
func (l *Ledger) free(entries []Trusted, now time.Time) []*Change {
	touched := slices.Collect(maps.Keys(l.bans.others))
	for _, e := range entries {
		network, _ := e.Target.Network() // an invalid one contains nothing
		for target := range l.bans.networks.Supernets(network) {
			touched = append(touched, Network(target))
		}
		for target := range l.bans.networks.Subnets(network) {
			touched = append(touched, Network(target))
		}
	}
	slices.SortFunc(touched, Target.Compare)
	var freed []*Change
	for _, target := range slices.Compact(touched) {
		if entry := l.trusted(target); entry != nil {
			freed = append(freed, l.unban(target, "trusted: "+entry.String(), now))
		}
	}
	return freed
}

// AllTrusted returns all entries, those that were given at run time after the others, in
// the order of their targets.
func (l *Ledger) AllTrusted() []Trusted {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(l.trust.All(), l.grants.All()...)
	slices.SortStableFunc(all, func(a, b Trusted) int { return a.Target.Compare(b.Target) })
	return all
}

// Trusted returns the entry that keeps anything in target from being banned; nil if there
// is none.
func (l *Ledger) Trusted(target Target) *Trusted {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trusted(target)
}

// TrustCovering returns the most specific entry that contains all of target, of all entries or of
// those that were given at run time; nil if there is none.
func (l *Ledger) TrustCovering(target Target, given bool) *Trusted {
	l.mu.Lock()
	defer l.mu.Unlock()
	written, grant := l.trust.Covers(target), l.grants.Covers(target)
	if given || written == nil || grant != nil && grant.Target != written.Target && (grant.Target.bits > written.Target.bits || grant.Target == target) {
		return grant
	}
	return written
}

func (l *Ledger) trusted(target Target) *Trusted {
	return cmp.Or(l.covers(target), l.trust.within(target), l.grants.within(target))
}

// covers returns the entry that contains all of target.
func (l *Ledger) covers(target Target) *Trusted {
	return cmp.Or(l.trust.Covers(target), l.grants.Covers(target))
}
