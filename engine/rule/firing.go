package rule

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"
)

// MaxEvidence bounds the evidence of a firing: the firing event and the newest of the
// matches before it.
const MaxEvidence = 100

// A Firing is a rule that has reached its threshold. It is valid until the function to which it is passed returns.
type Firing struct {
	Spec   *Spec
	Event  *event.Event // the last one
	Key    string       // readable: "203.0.113.7", "1000@pbx"; "" without a key
	Reason string       // "5 in 10m, per ip 203.0.113.7"; "dialled 0097259…; 3 in 10m, per ip …"; "12 calls at once, per …"
	// Orders are the bans to order, those of accounts first; nil if the rule only alerts or there is
	// nothing to ban.
	Orders []ban.Order
	// NoAccount says why the rule, which bans accounts, bans none; "" otherwise.
	NoAccount string
	Alert     bool
	// Evidence has at most MaxEvidence entries, oldest first, the last one for Event.
	// Address, account and text of earlier ones may be overwritten.
	Evidence []ban.Evidence

	// Keep, set by the function that is passed the firing, leaves the window full: the next
	// match of the key fires again.
	Keep bool
}

// firing makes the firing of an event, in the room of the rule. earlier has the other matches in the window, of n in all,
// oldest first.
func (r *rule) firing(ev *event.Event, earlier []counted, n int, ring *ring) *Firing {
	f := &r.firingRoom
	*f = Firing{Spec: r.spec, Event: ev, Alert: r.spec.Alert != nil, Evidence: evidence(ev, earlier, ring)}
	f.Key, f.Reason = r.describe(ev, n)
	if fact := r.spec.Fact.of(ev); fact != "" {
		f.Reason = fact + "; " + f.Reason
	}
	if !r.spec.Bans() {
		return f
	}
	if r.spec.Ban.Account {
		f.Orders, f.NoAccount = r.ordersForAccounts(f, earlier, ring)
	}
	if r.spec.Ban.All {
		f.Orders = append(f.Orders, r.ordersForAll(f, earlier, ring)...)
	} else if target, ok := r.spec.Ban.Network.Of(ev.IP, r.spec.NAT64); ok {
		proven := ev.Proven && allProven(earlier)
		order := r.order(f, ban.Network(target), ev.IP, f.Evidence, proven)
		if f.Orders == nil {
			f.Orders = r.orderRoom[:0]
		}
		f.Orders = append(f.Orders, order)
	}
	return f
}

// pass passes a firing on, and reports what it is to keep.
func (r *rule) pass(f *Firing, fire func(*Firing)) (keep bool) {
	fire(f)
	keep = f.Keep
	r.firingRoom, r.orderRoom[0] = Firing{}, ban.Order{} // they hold texts
	return keep
}

// ordersForAccounts returns an order for the account of the event, or for each account in the window,
// in the order of their first matches; or else why there is none. Any caller may name an account, so
// the switch must have verified its password. Of all accounts, the evidence has the account's matches.
func (r *rule) ordersForAccounts(f *Firing, earlier []counted, ring *ring) (orders []ban.Order, why string) {
	var targets []ban.Target
	groups := map[ban.Target][]ban.Evidence{}
	add := func(e ban.Evidence) {
		if !e.Proven {
			why = cmp.Or(why, "no account is banned: the switch has not verified its password, and any caller may name an account")
			return
		}
		target, err := ban.ParseAccount(e.User, e.Domain)
		if err != nil {
			why = cmp.Or(why, "no account is banned: "+err.Error())
			return
		}
		if groups[target] == nil {
			targets = append(targets, target)
		}
		groups[target] = append(groups[target], e)
	}
	if r.spec.Ban.All {
		for _, c := range earlier {
			add(matched(c, f.Event, ring))
		}
	}
	add(EvidenceOf(f.Event))
	for _, target := range targets {
		found := f.Evidence
		if r.spec.Ban.All {
			found = groups[target]
			found = found[max(0, len(found)-MaxEvidence):]
		}
		orders = append(orders, r.order(f, target, netip.Addr{}, found, true))
	}
	if len(orders) > 0 {
		why = ""
	}
	return orders, why
}

func allProven(matches []counted) bool {
	return !slices.ContainsFunc(matches, func(c counted) bool { return !c.proven })
}

// describe returns the key and the reason of a firing with n matches.
func (r *rule) describe(ev *event.Event, n int) (key, reason string) {
	from := ""
	if ev.IP.IsValid() {
		key = ev.IP.String()
		from = " from " + key
	}
	th := r.spec.Threshold
	if th == nil {
		return key, ev.Name + from
	}
	if th.Then != nil {
		n = th.Count // the event may be one of them
	}
	reason = strconv.Itoa(n)
	if th.Distinct != "" {
		reason += " different values of " + th.Distinct
	}
	key = r.keyer.text(ev)
	if th.Concurrent {
		return key, reason + " calls at once, per " + th.Per.String() + " " + key
	}
	reason += " in " + ban.FormatDuration(th.Within) + ", per " + th.Per.String() + " " + key
	if th.Then != nil {
		reason += ", then " + ev.Name + from
	}
	return key, reason
}

func (r *rule) order(f *Firing, target ban.Target, addr netip.Addr, evidence []ban.Evidence, proven bool) ban.Order {
	b := r.spec.Ban
	return ban.Order{
		Target: target, Address: addr,
		Rule: r.spec.Name, Source: f.Event.Source, Author: ban.ByRule, Reason: f.Reason, Key: f.Key,
		At: f.Event.Time, Terms: b.Terms, Forget: b.Forget, Actions: b.Actions, Evidence: evidence, Proven: proven,
	}
}

// ordersForAll returns one order for each network with a match in the window, in the
// order of their first matches. Its evidence has the network's matches and the firing
// event.
func (r *rule) ordersForAll(f *Firing, earlier []counted, ring *ring) []ban.Order {
	type group struct {
		addr    netip.Addr // of the latest match
		matches []counted
	}
	var targets []netip.Prefix
	groups := map[netip.Prefix]*group{}
	add := func(addr netip.Addr, matches ...counted) {
		target, ok := r.spec.Ban.Network.Of(addr, r.spec.NAT64)
		if !ok {
			return
		}
		g := groups[target]
		if g == nil {
			g = &group{}
			groups[target] = g
			targets = append(targets, target)
		}
		g.addr, g.matches = addr, append(g.matches, matches...)
	}
	for _, c := range earlier {
		add(c.addr, c)
	}
	add(f.Event.IP)
	own, _ := r.spec.Ban.Network.Of(f.Event.IP, r.spec.NAT64)
	var orders []ban.Order
	for _, target := range targets {
		g := groups[target]
		proven := allProven(g.matches) && (target != own || f.Event.Proven)
		orders = append(orders, r.order(f, ban.Network(target), g.addr, evidence(f.Event, g.matches, ring), proven))
	}
	return orders
}

// evidence looks up earlier matches in the ring, and adds the event.
func evidence(ev *event.Event, earlier []counted, ring *ring) []ban.Evidence {
	earlier = earlier[max(0, len(earlier)-(MaxEvidence-1)):]
	out := make([]ban.Evidence, 0, len(earlier)+1)
	for _, c := range earlier {
		out = append(out, matched(c, ev, ring))
	}
	return append(out, EvidenceOf(ev))
}

// matched returns the evidence of a match before an event.
func matched(c counted, ev *event.Event, ring *ring) ban.Evidence {
	e, kept := ring.at(c.place)
	if !kept {
		e.IP, e.Lost = c.addr, true
	}
	if e.Time, e.Event = time.UnixMicro(c.time).In(ev.Time.Location()), c.name; !c.foreign {
		e.Source = ev.Source
	}
	return e
}

// EvidenceOf makes the evidence of an event.
func EvidenceOf(ev *event.Event) ban.Evidence {
	return ban.Evidence{
		Time: ev.Time, Event: ev.Name, Source: ev.From(), IP: ev.IP, User: ev.User, Domain: ev.Domain, Proven: ev.Verified(), Text: ev.Text,
	}
}

// A Fact is what a rule says about the event that fires it, with its fields in angle brackets:
// "attack tool: <user_agent>". The reason of the firing begins with it.
type Fact string

// Bounds of a fact: of the text and of each value, in bytes, and of the fields in it.
const (
	maxFact       = 128
	maxFactValue  = 64
	maxFactFields = 4
)

// ParseFact checks a fact. Its error says what is wrong.
func ParseFact(text string) (Fact, error) {
	f := Fact(text)
	switch {
	case text == "" || len(text) > maxFact:
		return "", fmt.Errorf("a reason has 1 to %d bytes", maxFact)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "", errors.New("a reason is one line, without control characters")
	case len(f.Fields()) > maxFactFields:
		return "", fmt.Errorf("a reason names at most %d fields", maxFactFields)
	}
	for _, name := range f.Fields() {
		switch field := event.FieldNamed(name); {
		case field == nil:
			return "", fmt.Errorf("there is no field %q.%s", name, event.MeantField(name))
		case field.Kind == event.Time || field.Kind == event.Map:
			return "", fmt.Errorf("the field %q cannot be shown in a reason", name)
		}
	}
	return f, nil
}

var factField = regex.New(`<([^<>]*)>`)

// Fields returns the names of the fields in the fact.
func (f Fact) Fields() (names []string) {
	for _, found := range factField.Use().FindAllStringSubmatch(string(f), -1) {
		names = append(names, found[1])
	}
	return names
}

// of returns the fact about an event; "" if the event lacks a field of it.
func (f Fact) of(ev *event.Event) string {
	if f == "" {
		return ""
	}
	lacks := false
	fact := factField.Use().ReplaceAllStringFunc(string(f), func(found string) string {
		field := event.FieldNamed(found[1 : len(found)-1])
		value := field.Get(ev)
		lacks = lacks || value == ""
		return factValue(field, value)
	})
	if lacks {
		return ""
	}
	return fact
}

var (
	plainValue  = regex.New(`^[A-Za-z0-9+][A-Za-z0-9._+:/-]*$`)
	plainNumber = regex.New(`^[+]?[0-9]{5,}$`)
)

// factValue writes a value, which the attacker may have chosen, in quotes and escaped, unless it is one plain
// word. Accounts and what is dialled are in quotes or are numbers: history.MaskReason hides both.
func factValue(field *event.Field, value string) string {
	more := ""
	if len(value) > maxFactValue {
		value, more = strings.ToValidUTF8(value[:maxFactValue], ""), "…"
	}
	plain := plainValue
	if field.Private {
		plain = plainNumber
	}
	if !plain.Use().MatchString(value) {
		value = strconv.Quote(value)
	}
	return value + more
}
