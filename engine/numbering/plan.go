package numbering

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// Site is what a site says of its numbering. A list that is nil has its default.
type Site struct {
	Country       string   // ISO 3166; "": not known
	International []string // what is dialled before a country calling code; default: the country's, and +
	Trunk         []string // before a number of the country; "": nothing; default: the country's
	Line          []string // for a line, before all others; default: 0 and 9
	Emergency     []string // numbers beside those of the country, 112 and 911
	Hours         Hours    // default: [DefaultHours]
	Zone          *time.Location
}

// Bounds of the lists of a site.
const (
	MaxPrefixes  = 64 // of one list; Brazil has 15 trunk prefixes
	maxPrefix    = 9  // characters
	maxEmergency = 20
	maxDigits    = 40 // of what was dialled
	maxE164      = 15
	shortestE164 = 7 // digits of a number abroad that the table does not know: Niue has 7
	tailDigits   = 9 // a subscriber number with its area code
)

// A Plan reads what is dialled at a site. It does not change, and goroutines may share it.
type Plan struct {
	country, code              string
	international, trunk, line []string
	emergency                  map[string]bool
	hours                      Hours
	zone                       *time.Location
}

// New returns the plan of a site. It fails if the country is unknown. Prefixes and numbers are those that
// [ParsePrefix] and [ParseEmergency] read.
func New(s Site) (*Plan, error) {
	c := country{international: []string{"00", "011"}}
	if s.Country != "" {
		var err error
		if c, err = findCountry(s.Country); err != nil {
			return nil, err
		}
	}
	p := &Plan{
		country: c.iso, code: c.code, hours: s.Hours, zone: cmp.Or(s.Zone, time.Local),
		international: s.International, trunk: s.Trunk, line: s.Line, emergency: map[string]bool{"112": true, "911": true},
	}
	if p.international == nil {
		p.international = append(c.international, "+")
	}
	if p.trunk == nil {
		p.trunk = c.trunk
	}
	if p.line == nil {
		p.line = []string{"0", "9"}
	}
	if p.hours == nil {
		p.hours, _ = ParseHours(DefaultHours)
	}
	for other := range everyCountry {
		if c.iso == "" || c.iso == other.iso {
			for _, number := range other.emergency {
				p.emergency[number] = true
			}
		}
	}
	for _, number := range s.Emergency {
		p.emergency[number] = true
	}
	p.line = append([]string{""}, p.line...)
	return p, nil
}

// ParseCountry reads the ISO 3166 code of a country.
func ParseCountry(text string) (string, error) {
	c, err := findCountry(text)
	return c.iso, err
}

// ParsePrefix reads what is dialled before a number: digits, *, # and +.
func ParsePrefix(text string) (string, error) {
	if len(text) > maxPrefix || strings.Trim(text, "0123456789*#+") != "" {
		return "", fmt.Errorf("%q is no prefix: write what is dialled before a number, at most %d of the characters 0 to 9, *, # and +", event.Bound(text, 64), maxPrefix)
	}
	return text, nil
}

// ParseEmergency reads an emergency number of a site.
func ParseEmergency(text string) (string, error) {
	if text == "" || len(text) > maxEmergency || strings.Trim(text, "0123456789*#+") != "" {
		return "", fmt.Errorf("%q is no emergency number: write it as it is dialled, without a line prefix, such as \"116117\"", event.Bound(text, 64))
	}
	return text, nil
}

// Emergency reports whether exactly an emergency number was dialled, alone or behind one line prefix.
// Only a host is left out, which some profiles add: of 112;rn=+9725… a switch may call the latter.
func (p *Plan) Emergency(dialled string) bool {
	dialled, _, _ = strings.Cut(dialled, "@")
	for _, line := range p.line {
		if rest, ok := strings.CutPrefix(dialled, line); ok && p.emergency[rest] {
			return true
		}
	}
	return false
}

// EmergencyNumbers lists what [Plan.Emergency] goes by: two plans with the same text agree.
func (p *Plan) EmergencyNumbers() string {
	return strings.Join(p.line, " ") + "|" + strings.Join(slices.Sorted(maps.Keys(p.emergency)), " ")
}

// A Reading is where a call goes. The zero value is no reading.
type Reading struct {
	Number  string // E.164: "+49301234567"; "" of an emergency number
	Country string // ISO 3166, "001" for international networks
	Type    string // one of event.DestinationTypes
}

// Abroad reports whether a number is of another country than the site, and a call to it costs the caller.
// If the site's country is not known, each number with an international prefix is.
func (p *Plan) Abroad(r Reading) bool {
	return r.Number != "" && r.Country != p.country && r.Type != event.TollFree
}

// Read returns the reading of what a verified account dialled: the dearest, where several prefixes
// fit. A number without a prefix of the plan has none. Digits behind a whole number do not count:
// exchanges ignore them, and a fraudster could hide the number with them.
func (p *Plan) Read(dialled string) Reading {
	if p.Emergency(dialled) {
		return Reading{Country: p.country, Type: event.Emergency}
	}
	number, params, _ := strings.Cut(dialled, ";")
	best, highest := p.readAll(number)
	if _, routing, ok := strings.Cut(params, "rn="); ok { // RFC 4694: the call is routed by this
		routing, _, _ = strings.Cut(routing, ";")
		if r, cost := p.readAll(routing); cost > highest {
			best = r
		}
	}
	return best
}

// readAll tries the prefixes of the plan.
func (p *Plan) readAll(text string) (best Reading, highest int) {
	dialled := plain(text)
	take := func(r Reading, cost int) {
		if cost > highest {
			best, highest = r, cost
		}
	}
	for _, line := range p.line {
		number, ok := strings.CutPrefix(dialled, line)
		if !ok {
			continue
		}
		for _, prefix := range p.international {
			if rest, ok := strings.CutPrefix(number, prefix); ok {
				take(p.abroad(rest, prefix == ""))
			}
		}
		for _, prefix := range p.trunk {
			if rest, ok := strings.CutPrefix(number, prefix); ok && p.code != "" {
				r := p.national(rest, prefix == "")
				take(r, p.cost(r))
			}
		}
	}
	return best, highest
}

// plain returns what was dialled up to the first character of no number, without its scheme and separators.
func plain(text string) string {
	for _, scheme := range []string{"tel:", "sip:", "sips:"} {
		if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			text = text[len(scheme):]
		}
	}
	text, _, _ = strings.Cut(text, "@")
	if strings.Trim(text, "0123456789*#+") == "" {
		return text[:min(len(text), maxDigits)]
	}
	var b [maxDigits]byte
	n := 0
	for i := 0; i < len(text) && n < len(b); i++ {
		switch c := text[i]; {
		case '0' <= c && c <= '9' || c == '+' || c == '*' || c == '#':
			b[n] = c
			n++
		case c == '%' && strings.HasPrefix(text[i:], "%2B"), c == '%' && strings.HasPrefix(text[i:], "%2b"):
			b[n] = '+'
			n++
			i += 2
		case strings.IndexByte(" -.()/", c) < 0:
			return string(b[:n])
		}
	}
	return string(b[:n])
}

// abroad reads a number behind an international prefix, and returns its cost; exact: behind none. One that
// is shorter than all of its country counts only if nothing else fits: 0 for a line and 030… is in Berlin.
func (p *Plan) abroad(digits string, exact bool) (r Reading, cost int) {
	// +0049… and +01149…: the country calling code follows the last prefix.
	for _, prefix := range p.international {
		if rest, ok := strings.CutPrefix(digits, prefix); ok && strings.HasPrefix(prefix, "0") {
			digits = rest
		}
	}
	digits = leadingDigits(digits)
	m, ok := lookup(digits)
	if !ok {
		return Reading{}, 0
	}
	if m.valid == 0 && m.code < len(digits) && digits[m.code] == '0' { // +49 (0) 30…
		without := digits[:m.code] + digits[m.code+1:]
		if again, _ := lookup(without); again.valid > 0 {
			digits, m = without, again
		}
	}
	switch {
	case exact && m.valid != len(digits), m.valid == 0 && len(digits) < shortestE164:
		return Reading{}, 0
	case m.valid > 0:
		r = reading(digits[:m.valid], m.region(), m.kind())
		return r, p.cost(r)
	}
	r = reading(digits[:min(len(digits), maxE164)], m.region(), unallocated(m.kind()))
	if len(digits) < m.least {
		return r, tooShort
	}
	return r, p.cost(r)
}

// unallocated returns the type of a number that is not in use, if all that begin like it have the given
// one. Fraudsters route such numbers, so a dear type counts.
func unallocated(kind string) string {
	if kind == event.PremiumRate {
		return kind
	}
	return event.UnknownType
}

// national reads a number of the site's country behind its trunk prefix; exact: behind none, so that
// it must not have further digits.
func (p *Plan) national(rest string, exact bool) Reading {
	if rest = leadingDigits(rest); rest == "" {
		return Reading{}
	}
	digits := p.code + rest
	m, _ := lookup(digits)
	switch {
	case exact && m.valid != len(digits):
		return Reading{}
	case m.valid > 0:
		r := reading(digits[:m.valid], m.region(), m.kind())
		if m.valid < len(digits) && p.cost(r) < costs[event.SharedCost] {
			return Reading{} // nothing to hide: it is another number
		}
		return r
	case unallocated(m.kind()) == event.PremiumRate && len(digits) >= shortestE164:
		return reading(digits[:min(len(digits), maxE164)], m.region(), event.PremiumRate)
	}
	return Reading{}
}

// leadingDigits returns the digits at the beginning: what follows, such as a # at the end, may be dropped
// on the way.
func leadingDigits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}

func allDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// networks is the country of international networks.
const networks = "001"

// satellites are the international networks whose calls end at satellites, or on ships and aircraft behind
// them, from ITU-T's list of codes (E.164, shared country codes): Inmarsat, global mobile satellite
// systems, Telespazio, Thuraya, ACeS, Maritime Communications Partner, OnAir and AeroMobile.
var satellites = []string{"870", "881", "88213", "88216", "88220", "88232", "88298", "88299"}

// reading makes a reading of the digits of an E.164 number.
func reading(digits, country, kind string) Reading {
	if country == networks && slices.ContainsFunc(satellites, func(prefix string) bool { return strings.HasPrefix(digits, prefix) }) {
		kind = event.Satellite
	}
	return Reading{Number: "+" + digits, Country: country, Type: kind}
}

// costs orders readings of one number by what a call costs the site's owner, and pays a fraudster.
// Where two readings fit, the dearest is what a thief means.
var costs = map[string]int{
	event.Satellite:         40, // several euros a minute, everywhere
	event.PremiumRate:       35, // the called party is paid by law
	event.SharedCost:        9,
	event.PersonalNumber:    9, // forwards to any number
	event.Mobile:            8, // costs more than a fixed line
	event.FixedLineOrMobile: 8,
	event.UnknownType:       8, // fraudsters hijack ranges that are not in use
	event.Pager:             7,
	event.UAN:               6,
	event.VoIP:              5,
	event.FixedLine:         4,
	event.Voicemail:         4,
	event.TollFree:          2, // costs the caller nothing, also abroad
}

// Costs by country.
const (
	ofNetwork = 30 // of an international network: no country regulates its prices
	ofAbroad  = 20 // more: termination fees are shared with fraudsters
)

// tooShort is the cost of a number abroad that is shorter than all of its country: less than any number of
// the site's country.
const tooShort = 1

// cost compares readings; 0: no reading.
func (p *Plan) cost(r Reading) int {
	c := costs[r.Type]
	switch {
	case c <= costs[event.TollFree] || c > ofNetwork:
		return c
	case r.Country == networks:
		return ofNetwork
	case r.Country != p.country:
		return c + ofAbroad
	}
	return c
}

// Tail returns the last nine digits of what was dialled, whatever separates them.
func Tail(dialled string) string {
	number, _, _ := strings.Cut(dialled, ";")
	number, _, _ = strings.Cut(number, "@")
	if n := len(number); allDigits(number) || n > tailDigits && allDigits(number[n-tailDigits:]) {
		return number[max(0, n-tailDigits):]
	}
	var b [tailDigits]byte
	at := len(b)
	for i := len(number) - 1; i >= 0 && at > 0; i-- {
		if c := number[i]; '0' <= c && c <= '9' {
			at--
			b[at] = c
		}
	}
	return string(b[at:])
}
