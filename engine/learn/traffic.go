package learn

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Traffic is what the accounts' calls show, without those of accounts that may be stolen.
type Traffic struct {
	Accounts, Ordinary int       // that called, and those of them that count
	Countries          []Country // the usual ones first, then by calls
	Peak               int       // the most calls at once of one account
	PeakOf             string
	Concurrent         int    // the proposed threshold; 0: the recording does not show when calls end
	Hours              string // in which nearly all calls are: "Mon-Fri 08:00-18:00"; "": too few calls, or all day
	Dialers            []Dialer
}

// A Country is where accounts called.
type Country struct {
	Code                  string
	Calls, Accounts, Days int // Days: of the account that called on the most
	Usual                 bool
	regular               int // accounts that called there on enough days, and for which no rule fired
}

// A Dialer is an account that calls faster than people do.
type Dialer struct {
	Name                   string // escaped
	Calls, Days, PerMinute int
	Sure                   bool // it calls from one address, which is trusted or a certain office
}

const (
	// minUsual is how many regular accounts make a country a usual one: two may be stolen.
	minUsual = 3

	// A dialer calls as often, in a minute or a day. Of its calls one in four may repeat a number, and
	// one in twenty leave the country: fraud repeats numbers, and goes abroad.
	dialsPerMinute, dialsPerDay = 20, 300
	repeatsOneIn, abroadOneIn   = 4, 20

	minTraffic    = 100 // calls, below which nothing is said of hours and calls at once
	strayOneIn    = 100 // calls before the hours of a day, and after them
	shortestNight = 4   // hours
)

// traffic concludes what the calls show.
func (r *Recorder) traffic() (t Traffic) {
	var ordinary, quiet []*caller
	for _, c := range slices.SortedFunc(maps.Values(r.callers), func(a, b *caller) int { return cmp.Compare(a.name, b.name) }) {
		if t.Accounts++; r.isOrdinary(c) {
			ordinary = append(ordinary, c)
			if !c.caught {
				quiet = append(quiet, c)
			}
		}
	}
	t.Ordinary = len(ordinary)
	t.Countries = r.countries(ordinary)
	for _, c := range ordinary {
		if r.isDialer(c, t.Countries) {
			t.Dialers = append(t.Dialers, Dialer{c.name, c.calls, c.seen.n, c.perMinute, r.atOffice(c)})
		}
	}
	var hours week
	opened, ended := 0, 0
	for _, c := range quiet {
		if slices.ContainsFunc(t.Dialers, func(d Dialer) bool { return d.Name == c.name }) {
			continue
		}
		opened, ended = opened+c.opened, ended+c.ended
		if c.peak > t.Peak {
			t.Peak, t.PeakOf = c.peak, c.name
		}
		for day := range hours {
			for hour := range hours[day] {
				hours[day][hour] += c.hours[day][hour]
			}
		}
	}
	if opened >= minTraffic && 2*ended >= opened && t.Peak > 0 {
		t.Concurrent = withMargin(t.Peak)
	}
	t.Hours = hours.text()
	return t
}

// countries lists where accounts called.
func (r *Recorder) countries(callers []*caller) (all []Country) {
	for _, c := range callers {
		for _, v := range c.visited {
			i := slices.IndexFunc(all, func(one Country) bool { return one.Code == v.code })
			if i < 0 {
				i = len(all)
				all = append(all, Country{Code: v.code})
			}
			one := &all[i]
			one.Calls, one.Accounts, one.Days = one.Calls+v.calls, one.Accounts+1, max(one.Days, v.seen.n)
			if !c.caught && v.seen.n >= r.Days {
				one.regular++
				one.Usual = one.regular >= minUsual
			}
		}
	}
	rank := map[bool]int{true: 0, false: 1}
	slices.SortFunc(all, func(a, b Country) int {
		return cmp.Or(cmp.Compare(rank[a.Usual], rank[b.Usual]), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Code, b.Code))
	})
	return all
}

// isDialer reports whether an account looks like a dialer in the country that is called the most.
func (r *Recorder) isDialer(c *caller, countries []Country) bool {
	if len(countries) == 0 || !countries[0].Usual || c.seen.n < r.Days || c.dear > 0 || c.again*repeatsOneIn > c.calls {
		return false
	}
	abroad := 0
	for _, v := range c.visited {
		if v.code != countries[0].Code {
			abroad += v.calls
		}
	}
	return abroad*abroadOneIn <= c.calls && (c.perMinute >= dialsPerMinute || c.calls >= dialsPerDay*c.seen.n)
}

// atOffice reports whether an account calls from one address, which is trusted or would be.
func (r *Recorder) atOffice(c *caller) bool {
	if len(c.hosts) != 1 {
		return false
	}
	a := r.addresses[c.hosts[0]]
	p := r.office(a)
	return r.isTrusted(a) || p != nil && p.Sure
}

// text returns the hours of the week in which nearly all calls are, as a numbering block has them.
func (w *week) text() string {
	var workdays [24]int
	total := 0
	for day, hours := range w {
		for hour, n := range hours {
			if total += n; 1 <= day && day <= 5 {
				workdays[hour] += n
			}
		}
	}
	from, to, n := span(workdays)
	if total < minTraffic || n == 0 || to-from > 24-shortestNight {
		return ""
	}
	parts := []string{fmt.Sprintf("Mon-Fri %02d:00-%02d:00", from, to)}
	for day, name := range map[int]string{6: "Sat", 0: "Sun"} {
		if from, to, n := span(w[day]); n*strayOneIn >= total {
			parts = append(parts, fmt.Sprintf("%s %02d:00-%02d:00", name, from, to))
		}
	}
	slices.Sort(parts) // Mon-Fri, Sat, Sun
	return strings.Join(parts, ", ")
}

// span returns the hours of a day without its first and last few calls, and how many calls there are.
func span(day [24]int) (from, to, n int) {
	for _, calls := range day {
		n += calls
	}
	early, late := day[0], day[23]
	for from < 23 && early*strayOneIn <= n {
		from++
		early += day[from]
	}
	for to = 24; to > from+1 && late*strayOneIn <= n; to-- {
		late += day[to-2]
	}
	return from, to, n
}
