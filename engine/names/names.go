package names

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of names.
const (
	MaxAddresses = 16 // of a name

	every   = 5 * time.Minute  // from an answer to the next lookup
	retry   = 30 * time.Second // from a failure to the next lookup
	timeout = 5 * time.Second  // of a lookup
)

// A Resolver returns the addresses of a host. network is "ip4" or "ip6"; see [net.Resolver.LookupNetIP].
type Resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

// families are the networks of a lookup: A and AAAA.
var families = []string{"ip4", "ip6"}

// An Answer is the outcome of one lookup.
type Answer struct {
	name  string
	addrs [2][]netip.Addr // by family
	errs  [2]error        // likewise
}

// LookUp asks for the IPv4 and the IPv6 addresses of a name at once. It returns after 5 s at the latest.
func LookUp(ctx context.Context, resolve Resolver, name string) Answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a := Answer{name: name}
	var wait sync.WaitGroup
	for i, family := range families {
		wait.Go(func() { a.addrs[i], a.errs[i] = resolve(ctx, family, name+".") }) // the dot: no search domain is tried
	}
	wait.Wait()
	return a
}

// A Table holds what names resolve to. The zero value has no names.
type Table struct {
	names map[string]*name
}

type name struct {
	addrs  []netip.Addr // sorted
	beyond int          // addresses of the answer that are not in addrs
	err    error        // of the latest lookup; nil: it succeeded
	due    time.Time    // the next lookup
	asked  bool         // a lookup is under way
}

// SetNames sets which names there are. Those that stay keep their addresses.
func (t *Table) SetNames(all []string) {
	kept := map[string]*name{}
	for _, one := range all {
		if kept[one] = t.names[one]; kept[one] == nil {
			kept[one] = &name{}
		}
	}
	t.names = kept
}

// Due returns the names to look up at the time now. Each must be looked up and passed to Take.
func (t *Table) Due(now time.Time) (due []string) {
	for host, n := range t.names {
		if !n.asked && !now.Before(n.due) {
			n.asked = true
			due = append(due, host)
		}
	}
	return due
}

// A Change says what an answer changed.
type Change struct {
	Name           string
	Added, Removed []netip.Addr
	Failed         error // set by the first of several failures in a row
}

// Take takes an answer at the time now. The answer for a name that a reload has removed changes nothing.
func (t *Table) Take(a Answer, now time.Time) Change {
	c := Change{Name: a.name}
	n := t.names[a.name]
	if n == nil {
		return c
	}
	addrs, err := n.merge(a)
	if n.asked, n.due = false, now.Add(every); err != nil {
		n.due = now.Add(retry)
		if n.err == nil {
			c.Failed = err
		}
	}
	n.err, n.beyond = err, max(0, len(addrs)-MaxAddresses)
	addrs = addrs[:len(addrs)-n.beyond]
	c.Added, c.Removed = missing(addrs, n.addrs), missing(n.addrs, addrs)
	n.addrs = addrs
	return c
}

// merge returns the addresses after an answer, sorted. A family whose lookup failed keeps those it had. One that
// does not exist has none if the other one has, and keeps them otherwise.
func (n *name) merge(a Answer) (addrs []netip.Addr, err error) {
	var none, refused error
	for i := range families {
		var dns *net.DNSError
		if errors.As(a.errs[i], &dns) && dns.IsNotFound {
			none = a.errs[i]
			continue
		}
		if a.errs[i] != nil {
			err = a.errs[i]
			for _, addr := range n.addrs {
				if addr.Is4() == (families[i] == "ip4") {
					addrs = append(addrs, addr)
				}
			}
			continue
		}
		for _, addr := range a.addrs[i] {
			if addr = addr.Unmap().WithZone(""); addr.IsGlobalUnicast() { // not 0.0.0.0, as filters answer
				addrs = append(addrs, addr)
			} else {
				refused = fmt.Errorf("the answer %s is the address of no host on a network", addr)
			}
		}
	}
	if len(addrs) == 0 {
		return n.addrs, cmp.Or(err, refused, none, errors.New("the answer has no address"))
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), err
}

// missing returns which addresses are not among others.
func missing(addrs, others []netip.Addr) (all []netip.Addr) {
	for _, addr := range addrs {
		if !slices.Contains(others, addr) {
			all = append(all, addr)
		}
	}
	return all
}

// Addresses returns what a name resolved to last.
func (t *Table) Addresses(host string) []netip.Addr {
	if n := t.names[host]; n != nil {
		return n.addrs
	}
	return nil
}

// Problem says what is wrong with a name; "" if nothing is.
func (t *Table) Problem(host string) string {
	switch n := t.names[host]; {
	case n == nil:
		return ""
	case n.err != nil && len(n.addrs) == 0:
		return fmt.Sprintf("%s is not resolved, and none of its addresses is trusted: %v", host, n.err)
	case n.err != nil:
		return fmt.Sprintf("%s is not resolved, and the addresses of its last answer (%d) stay trusted: %v", host, len(n.addrs), n.err)
	case n.beyond > 0:
		return fmt.Sprintf("%s has more than %d addresses, and %d are not trusted: trust their networks instead", host, MaxAddresses, n.beyond)
	}
	return ""
}

// MarshalBinary encodes the addresses.
func (t *Table) MarshalBinary() ([]byte, error) {
	saved := map[string][]netip.Addr{}
	for host, n := range t.names {
		saved[host] = n.addrs
	}
	return json.Marshal(saved)
}

// UnmarshalBinary sets the addresses of the names that there are.
func (t *Table) UnmarshalBinary(b []byte) error {
	var saved map[string][]netip.Addr
	if err := json.Unmarshal(b, &saved); err != nil {
		return err
	}
	for host, n := range t.names {
		n.addrs = saved[host][:min(len(saved[host]), MaxAddresses)]
	}
	return nil
}
