package learn

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// Bounds of what is recorded of calls.
const (
	maxCalling   = 20_000  // accounts
	maxHosts     = 4       // of one account
	maxCountries = 32      // likewise
	maxLately    = 64      // numbers that an account called last
	maxOpen      = 100_000 // calls
)

// A caller is the record of an account that called, and whose password the switch verified.
type caller struct {
	name   string
	source string         // whose reports count: two sources report one call
	hosts  []netip.Prefix // that it called from
	spread bool           // there were more
	caught bool           // a rule fired for it

	seen    days
	calls   int
	dear    int // calls of premium and satellite numbers
	again   int // calls of numbers among those that it called last
	lately  [maxLately]uint64
	visited []country

	minute              int64 // of the last call, since 1970
	inMinute, perMinute int   // calls in it, and the most in any
	opened, ended       int   // calls with a uuid, and those of them whose end was reported
	open, peak          int   // calls at once: now, and the most
	hours               week
}

// A country is what an account called there.
type country struct {
	code  string
	calls int
	seen  days
}

// A week counts calls by weekday, Sunday first, and hour.
type week [7][24]int

// days counts the days of UTC on which something was seen.
type days struct{ n, last int }

func (d *days) see(at time.Time) {
	const secondsADay = 24 * 60 * 60
	if day := int(at.Unix() / secondsADay); d.n == 0 || day > d.last {
		d.n, d.last = d.n+1, day
	}
}

// call records a call of an account. Callers can write the lines of a log.
func (r *Recorder) call(ev *event.Event) {
	if !ev.Verified() || ev.User == "" || r.Forgeable(ev.Source) {
		return
	}
	c := r.callers[r.accountOf(ev.User, ev.Domain)]
	if c == nil {
		if len(r.callers) >= maxCalling {
			return
		}
		c = &caller{name: event.Printable(event.Fold(ev.User)) + "@" + event.Printable(event.Fold(ev.Domain)), source: ev.Source}
		r.callers[r.accountOf(ev.User, ev.Domain)] = c
	}
	if c.source != ev.Source && c.opened == 0 && ev.UUID != "" { // the wire reports no ends
		*c = caller{name: c.name, source: ev.Source, caught: c.caught}
	}
	if c.source == ev.Source {
		c.record(ev, r)
	}
}

func (c *caller) record(ev *event.Event, r *Recorder) {
	c.calls++
	c.seen.see(ev.Time)
	if a := r.address(ev.IP); a != nil && !slices.Contains(c.hosts, a.network) {
		if c.spread = len(c.hosts) >= maxHosts; !c.spread {
			c.hosts = append(c.hosts, a.network)
		}
	}
	if minute := ev.Time.Unix() / 60; minute != c.minute {
		c.minute, c.inMinute = minute, 0
	}
	c.inMinute++
	c.perMinute = max(c.perMinute, c.inMinute)
	hour, weekday, _ := r.Numbering.At(ev.Time)
	c.hours[slices.Index(event.Weekdays, weekday)][hour]++
	if number := r.hash(ev.Destination); slices.Contains(c.lately[:], number) {
		c.again++
	} else {
		c.lately[c.calls%maxLately] = number
	}
	if to := r.Numbering.Read(ev.Destination); to.Country != "" {
		c.visit(to.Country, ev.Time)
		if to.Type == event.PremiumRate || to.Type == event.Satellite {
			c.dear++
		}
	}
	if ev.UUID != "" && len(r.open) < maxOpen {
		c.opened++
		r.open[ev.UUID] = c
		c.open++
		c.peak = max(c.peak, c.open)
	}
}

func (c *caller) visit(code string, at time.Time) {
	i := slices.IndexFunc(c.visited, func(v country) bool { return v.code == code })
	if i < 0 {
		if i = len(c.visited); i >= maxCountries {
			return
		}
		c.visited = append(c.visited, country{code: code})
	}
	c.visited[i].calls++
	c.visited[i].seen.see(at)
}

// end records that a call has ended, or all calls if the event names none.
func (r *Recorder) end(ev *event.Event) {
	if ev.UUID == "" {
		for _, c := range r.open {
			c.open = 0
		}
		clear(r.open)
	}
	if c := r.open[ev.UUID]; c != nil {
		c.ended++
		c.open--
		delete(r.open, ev.UUID)
	}
}

func (r *Recorder) accountOf(user, domain string) uint64 { return r.hash(user + "@" + domain) }

// isOrdinary reports whether an account called only from genuine addresses, seen for long enough. A
// thief may be at one: what a rule noticed, and what a single account did, is not taken as good.
func (r *Recorder) isOrdinary(c *caller) bool {
	return !c.spread && len(c.hosts) > 0 && !slices.ContainsFunc(c.hosts, func(host netip.Prefix) bool {
		a := r.addresses[host]
		return a == nil || a.class() != genuine || r.isGuesser(a) || r.isBanned(a) || !r.isLong(a)
	})
}
