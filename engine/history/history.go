package history

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// Settings are those of a history block.
type Settings struct {
	Days   int  // how long hours, days and attackers are kept
	Masked bool // numbers and accounts
}

// A History is safe for concurrent use.
type History struct {
	mu        sync.Mutex // guards everything below
	settings  Settings
	places    func(netip.Addr) event.Place
	now       time.Time // the latest that was counted
	names     names
	minutes   ring // of recordings: of ten seconds
	hours     ring
	tops      [2]topRing // of hours and of days
	incidents incidents
	dropped   map[ban.Target]uint64 // packets at the last look at the kernel; nil: there was none
	stored    *store                // nil: in memory only
}

// New returns an empty history in memory.
func New(s Settings) *History {
	h := &History{settings: s, places: func(netip.Addr) event.Place { return event.Place{} }, names: newNames(), incidents: incidents{all: map[string]*Incident{}}}
	h.minutes = newRing(time.Minute, minutesKept)
	h.hours = newRing(time.Hour, 0)
	h.tops = [2]topRing{newTopRing(time.Hour, topHoursKept), newTopRing(day, 0)}
	h.keep()
	return h
}

// Recorded returns an empty history of recordings, in memory. It counts by ten seconds: recordings may be short.
func Recorded(s Settings) *History {
	h := New(s)
	h.minutes = newRing(10*time.Second, 6*minutesKept)
	return h
}

const (
	day          = 24 * time.Hour
	minutesKept  = 1440
	topHoursKept = 48
)

// Configure changes the settings. What was counted stays as it was counted, and is shown masked if it is to be.
func (h *History) Configure(s Settings) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settings = s
	h.keep()
}

// SetPlaces sets what says where addresses are. It must return at once, and is called from any goroutine.
func (h *History) SetPlaces(of func(netip.Addr) event.Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.places = of
}

// Settings returns the settings.
func (h *History) Settings() Settings {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settings
}

func (h *History) keep() {
	h.hours.keep, h.tops[1].keep = int64(h.settings.Days)*24, int64(h.settings.Days)
}

// The kinds of counters. Those of changes are ban.Kinds.
const (
	KindEvent   = "event"   // by event name and source
	KindDropped = "dropped" // packets
)

// Observe counts an event at its time. One of the far past counts in the oldest minute that is kept.
func (h *History) Observe(ev *event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(Name{KindEvent, ev.Name, ev.From()}, ev.Time, 1)
	if !ev.Repeat && isAttack(ev) {
		for i := range dimensions {
			d := &dimensions[i]
			if name := d.of(h, ev); name != "" {
				if h.settings.Masked && d.private {
					name = Mask(name)
				}
				for level := range h.tops {
					h.tops[level].add(i, name, h.now)
				}
			}
		}
	}
}

// Decide counts a change, and adds it to what its target did.
func (h *History) Decide(c *ban.Change) {
	if c.Held || c.Standing {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	rule := c.Rule
	if rule == "" {
		rule = "by hand"
	}
	h.count(Name{Kind: string(c.Kind), Name: rule}, c.At, 1)
	h.incidents.add(c, h.settings)
}

// count adds to a counter, at a time.
func (h *History) count(name Name, at time.Time, n uint64) {
	if at.After(h.now) {
		h.now = at
	}
	h.minutes.add(at, h.now, h.names.id(name), n)
	if len(h.minutes.open) > maxOpen { // of a backlog, or a replay
		h.minutes.fold(&h.hours, h.now, &h.names)
	}
}

// maxOpen bounds the minutes whose counters are not yet encoded.
const maxOpen = 64

// Kernel counts the packets that were dropped since the last call: those of at most maxDropping targets.
// The first call counts none. It needs what the kernel has now.
func (h *History) Kernel(views []status.Kernel, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.dropped
	h.dropped = make(map[ban.Target]uint64, len(before))
	var sum uint64
	for i := range views {
		if views[i].Unread {
			h.dropped = before
			return
		}
		for _, e := range views[i].Entries {
			if e.Packets == 0 || len(h.dropped) == maxDropping {
				continue
			}
			h.dropped[e.Target] += e.Packets
		}
	}
	if before == nil {
		return
	}
	for target, packets := range h.dropped {
		last, known := before[target]
		switch {
		case !known && len(before) == maxDropping, packets == last:
			continue
		case packets > last:
			packets -= last
		} // else the entry is a new one
		sum += packets
		h.incidents.dropped(h.subject(target), packets)
	}
	if sum > 0 {
		h.count(Name{Kind: KindDropped}, now, sum)
	}
}

// maxDropping bounds the targets whose packets are compared.
const maxDropping = 8192

func (h *History) subject(target ban.Target) string { return subject(target, "", h.settings) }

// isAttack reports whether an event counts among the largest: a report that the switch refused something.
func isAttack(ev *event.Event) bool {
	return slices.Contains(attacks, ev.Name) || ev.Name == event.SIPRequest && ev.Answer >= 400 && ev.Answer != 401 && ev.Answer != 407
}

var attacks = []string{
	event.AuthFailure, event.AuthMalformed, event.UnknownUser, event.ACLReject, event.ESLDenied, event.WrongCallState, event.VertoLoginFailure,
	event.Malformed, event.UserAgentRejected, event.EmptyPassword, event.VertoTakeover, event.SIPMalformed, event.NotSIP, event.LogForgery,
}

// A dimension is by what attacks are counted.
type dimension struct {
	name    string
	private bool // it is a number or an account
	of      func(*History, *event.Event) string
}

// dimensions is the table of them. A further one is a row.
var dimensions = []dimension{
	{"networks", false, func(_ *History, ev *event.Event) string { return network(ev.IP) }},
	{"accounts", true, account},
	{"numbers", true, number},
	{"agents", false, func(_ *History, ev *event.Event) string { return ev.UserAgent }},
	{"countries", false, func(h *History, ev *event.Event) string { return h.places(ev.IP).Country }},
}

// network returns the /24 or the /48 of an address.
func network(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, _ := ip.Prefix(bits) // it is not too long
	return p.String()
}

func account(_ *History, ev *event.Event) string {
	switch {
	case ev.User == "":
		return ""
	case ev.Domain == "":
		return event.Fold(ev.User)
	}
	return event.Fold(ev.User + "@" + ev.Domain)
}

func number(_ *History, ev *event.Event) string {
	if ev.Destination == "" && ev.Method == "INVITE" {
		return ev.ToUser
	}
	return ev.Destination
}

// Mask returns a number or an account with its middle hidden: +4930*****7, 1**7@pbx.example.
func Mask(s string) string {
	user, domain, has := strings.Cut(s, "@")
	runes := []rune(user)
	shown := 1
	if len(runes) > 8 {
		shown = 5
	}
	for i := shown; i < len(runes)-1 || i == shown && i < len(runes); i++ {
		runes[i] = '*'
	}
	if user = string(runes); has {
		return user + "@" + domain
	}
	return user
}
