package registrations

import (
	"container/list"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"

	"github.com/gaissmai/bart"
)

const (
	dialogueAge = 24 * time.Hour // how long a dialogue is remembered

	// maxDialogues bounds the hosts with a dialogue. Beyond it the one whose last dialogue is the
	// longest ago is evicted. To evict a phone that registers once an hour, an attacker needs as
	// many addresses of its own, and a login accepted or a call answered at each, within that hour.
	maxDialogues = 100_000

	// maxPerSite bounds the hosts of one IPv6 /48. Further ones are not remembered, or one
	// customer of a provider had addresses enough to evict all others.
	maxPerSite = 1024
)

// Dialogues holds the hosts that lately completed a dialogue with the switch, and when. It is
// safe for use by several goroutines.
type Dialogues struct {
	mu    sync.Mutex                // guards all fields
	at    bart.Table[*list.Element] // by host
	order list.List                 // of dialogue, the latest first
	sites map[netip.Prefix]int      // hosts in each IPv6 /48
	limit int                       // maxDialogues, except in tests
	base  time.Duration             // what is added to the times
	nat64 ban.NAT64                 // of the site
}

type dialogue struct {
	host netip.Prefix
	at   time.Time
}

// NewDialogues returns an empty set.
func NewDialogues() *Dialogues {
	return &Dialogues{sites: map[netip.Prefix]int{}, limit: maxDialogues}
}

// SetNAT64 sets the site's prefixes for the hosts of later calls.
func (d *Dialogues) SetNAT64(nat64 ban.NAT64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nat64 = nat64
}

// Learn takes an event, and ignores those that are no dialogue.
func (d *Dialogues) Learn(ev *event.Event, now time.Time) {
	if ev.Name != event.Dialogue || !ev.IP.IsValid() {
		return
	}
	at := ev.Time
	if ev.Live {
		at = now
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for last := d.order.Back(); last != nil && now.Sub(d.time(last)) > dialogueAge; last = d.order.Back() {
		d.drop(last)
	}
	d.put(dialogue{d.nat64.Host(ev.IP), at.Add(-d.base)})
}

// put notes a dialogue, unless a later one of its host is known.
func (d *Dialogues) put(one dialogue) {
	if known, ok := d.at.Get(one.host); ok {
		if one.at.After(known.Value.(dialogue).at) {
			known.Value = one
			d.order.MoveToFront(known)
		}
		return
	}
	if site, is6 := d.siteOf(one.host); is6 {
		if d.sites[site] >= maxPerSite {
			return
		}
		d.sites[site]++
	}
	if d.order.Len() >= d.limit {
		d.drop(d.order.Back())
	}
	d.at.Insert(one.host, d.order.PushFront(one))
}

func (d *Dialogues) time(e *list.Element) time.Time { return e.Value.(dialogue).at.Add(d.base) }

func (d *Dialogues) drop(e *list.Element) {
	host := d.order.Remove(e).(dialogue).host
	d.at.Delete(host)
	if site, is6 := d.siteOf(host); is6 {
		if d.sites[site]--; d.sites[site] == 0 {
			delete(d.sites, site)
		}
	}
}

// Latest returns when a host in a network, or the host that holds it, last completed a dialogue.
// It leaves out the host of except, which may be invalid. ok is false if none did in the 24
// hours before now.
func (d *Dialogues) Latest(network netip.Prefix, except netip.Addr, now time.Time) (at time.Time, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if host := d.nat64.Host(network.Addr()); network.Bits() > host.Bits() {
		network = host
	}
	for host, e := range d.at.Subnets(network) {
		if t := d.time(e); now.Sub(t) <= dialogueAge && t.After(at) && !host.Contains(except) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Hosts lists the hosts in a network that completed a dialogue in the 24 hours before now.
func (d *Dialogues) Hosts(network netip.Prefix, now time.Time) (hosts []netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for host, e := range d.at.Subnets(network) {
		if now.Sub(d.time(e)) <= dialogueAge {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// Step moves all times by a step of the host's clock.
func (d *Dialogues) Step(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base += by
}

// A savedDialogue is a dialogue as it is kept across restarts.
type savedDialogue struct {
	Host [16]byte
	At   int64 // in microseconds since 1970
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (d *Dialogues) MarshalBinary() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]savedDialogue, 0, d.order.Len())
	for e := d.order.Back(); e != nil; e = e.Prev() {
		all = append(all, savedDialogue{e.Value.(dialogue).host.Addr().As16(), d.time(e).UnixMicro()})
	}
	return binary.Append(nil, binary.BigEndian, all)
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. It adds what was saved.
func (d *Dialogues) UnmarshalBinary(saved []byte) error {
	all := make([]savedDialogue, len(saved)/binary.Size(savedDialogue{}))
	if _, err := binary.Decode(saved, binary.BigEndian, all); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range all {
		d.put(dialogue{d.nat64.Host(netip.AddrFrom16(one.Host).Unmap()), time.UnixMicro(one.At).Add(-d.base)})
	}
	return nil
}

// Size is the number of hosts.
func (d *Dialogues) Size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.order.Len()
}

// siteOf returns the network of the site of an IPv6 host. One that stands for an IPv4 host is a site
// of its own.
func (d *Dialogues) siteOf(host netip.Prefix) (site netip.Prefix, is6 bool) {
	return d.nat64.Around(host.Addr(), 32, 48), host.Addr().Is6()
}
