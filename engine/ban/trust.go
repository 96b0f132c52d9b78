package ban

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A Trusted is a network that is never banned.
type Trusted struct {
	Network netip.Prefix // masked, IPv4-mapped IPv6 unmapped
	Name    string       // "security.trusted_networks", "carriers"
	Comment string       // the operator's; may be empty
	Where   string       // file and line; empty for what is built in
}

// String returns the entry for people: what it is, and where it is written.
func (t Trusted) String() string {
	s := t.Name
	if t.Comment != "" {
		s += ", " + t.Comment
	}
	if t.Where != "" {
		s += " (" + t.Where + ")"
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
// rule file needs to name. It does not change.
type Trust struct {
	table bart.Table[Trusted]
}

// NewTrust returns the trust in entries and in loopback and link-local addresses. The
// first of two entries for one network counts.
func NewTrust(entries []Trusted) *Trust {
	t := &Trust{}
	for _, e := range slices.Concat(entries, builtinTrust) {
		if _, known := t.table.Get(e.Network); !known {
			t.table.Insert(e.Network, e)
		}
	}
	return t
}

// All returns the entries in the order of their networks.
func (t *Trust) All() []Trusted {
	var all []Trusted
	for _, entry := range t.table.AllSorted() {
		all = append(all, entry)
	}
	return all
}

// Covers returns the most specific entry that contains all of p.
func (t *Trust) Covers(p netip.Prefix) (Trusted, bool) {
	_, entry, ok := t.table.LookupPrefixLPM(p)
	return entry, ok
}

// Within returns an entry that lies inside of p without covering it.
func (t *Trust) Within(p netip.Prefix) (Trusted, bool) {
	for _, entry := range t.table.Subnets(p) {
		return entry, true
	}
	return Trusted{}, false
}
