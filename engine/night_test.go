package engine

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// A night is a run of the shipped rules over what a simulated switch reports.
type night struct {
	*Engine
	*nightSwitch
	t      *testing.T
	ends   map[string]*event.Event // reports of the ends of calls, by the switch's name
	open   map[ban.Target]map[string]bool
	cuts   map[*nightCall]cutting
	thefts map[string]*thief    // by account
	banned map[*thief]time.Time // when the first of its accounts was
	alerts map[string]int       // about customers, by rule and manner of life
}

// A cutting is the end of a call by a ban.
type cutting struct {
	at   time.Time
	rule string
}

// decoded returns the events that source esl reads in what a switch reports.
func decoded(t *testing.T, cfg *config.Config, s *nightSwitch) (events []*event.Event) {
	t.Helper()
	i := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == onStream })
	_, err := cfg.Sources[i].Source.Replay(context.Background(), plugin.Recording{Name: "night", R: s.recording()}, nil, func(ev *event.Event) error {
		events = append(events, ev)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// run passes events of a switch to the rules. A ban of an account ends its calls, as the switch would.
func run(t *testing.T, cfg *config.Config, s *nightSwitch, events []*event.Event) *night {
	n := &night{
		nightSwitch: s, t: t, ends: map[string]*event.Event{}, open: map[ban.Target]map[string]bool{}, cuts: map[*nightCall]cutting{},
		thefts: map[string]*thief{}, banned: map[*thief]time.Time{}, alerts: map[string]int{},
	}
	for _, one := range s.thieves {
		for _, c := range one.calls {
			n.thefts[c.user] = one
		}
	}
	for _, ev := range events {
		if ev.Name == event.CallEnded {
			n.ends[ev.UUID] = ev
		}
	}
	n.Engine = New(cfg, Options{OnChange: n.changed})
	n.dry = true
	for _, was := range events {
		n.pass(was)
	}
	return n
}

// pass passes an event on, unless its call has been ended before.
func (n *night) pass(was *event.Event) {
	uuid := was.UUID
	c := n.nightSwitch.calls[uuid]
	if c == nil {
		n.see(was, was.Time)
		return
	}
	if _, is := n.cuts[c]; is {
		return
	}
	n.see(was, was.Time)
	switch of := c.account(); {
	case was.Name == event.Call:
		if n.open[of] == nil {
			n.open[of] = map[string]bool{}
		}
		n.open[of][uuid] = true
		if b, banned := n.ledger.Covering(of); banned {
			n.end(&b)
		}
	case was.Name == event.CallEnded:
		delete(n.open[of], uuid)
	}
}

// see shows a copy of an event to the engine, which changes it.
func (n *night) see(was *event.Event, at time.Time) {
	ev := *was
	ev.Time, ev.Fields = at, maps.Clone(was.Fields)
	n.observe(&ev, at)
	if err := n.settle(); err != nil {
		n.t.Fatal(err)
	}
}

// changed takes a decision.
func (n *night) changed(c *ban.Change) {
	user := ""
	if last := len(c.Evidence) - 1; last >= 0 {
		user = c.Evidence[last].User
	}
	t := n.thefts[user]
	stolen := t != nil && !c.At.Before(t.calls[0].at)
	switch {
	case c.InForce() && c.Target.Kind() == ban.TargetAccount:
		if _, before := n.banned[t]; stolen && !before {
			n.banned[t] = c.At
		}
		n.end(&c.Ban)
	case c.Kind == ban.KindAlert && !stolen:
		n.alerts[c.Rule+": "+n.lived[user]]++
	}
}

// end ends the calls of a banned account.
func (n *night) end(b *ban.Ban) {
	open := slices.Sorted(maps.Keys(n.open[b.Target]))
	delete(n.open, b.Target)
	for _, uuid := range open {
		n.cuts[n.nightSwitch.calls[uuid]] = cutting{n.now, b.Rule}
	}
	for _, uuid := range open {
		if ended := n.ends[uuid]; ended != nil {
			n.see(ended, n.now)
		}
	}
}

// up returns how long a call was up.
func (n *night) up(c *nightCall) time.Duration {
	end := c.ends
	if cut, is := n.cuts[c]; is {
		end = cut.at
	}
	if c.answered.IsZero() || !c.answered.Before(end) {
		return 0
	}
	return end.Sub(c.answered)
}

// A nightCell is what a thief had: how many calls were up in all, and for how long, and how many of them until
// the first ban of its accounts.
type nightCell struct {
	calls, until int
	up           time.Duration
	banned       bool
}

func (n *night) cell(t *thief) (c nightCell) {
	at, banned := n.banned[t]
	c.banned = banned
	for _, call := range t.calls {
		one := n.up(call)
		if one == 0 {
			continue
		}
		c.calls++
		c.up += one
		if call.answered.Before(at) {
			c.until++
		}
	}
	return c
}

func (c nightCell) String() string {
	until := "no ban"
	if c.banned {
		until = strconv.Itoa(c.until)
	}
	return fmt.Sprintf("%s; %d, %.0f min", until, c.calls, math.Ceil(c.up.Minutes()))
}

// wronged returns the calls of customers that a ban ended, and those of the owners of stolen accounts after
// the theft.
func (n *night) wronged() (customers, owners []string) {
	for c, cut := range n.cuts {
		text := fmt.Sprintf("%s: %s %s to %s at %s", cut.rule, n.lived[c.user], c.user, c.number, c.at.Format("Mon Jan 2 15:04"))
		switch t := n.thefts[c.user]; {
		case c.thief != nil:
		case t == nil || c.at.Before(t.calls[0].at):
			customers = append(customers, text)
		default:
			owners = append(owners, text)
		}
	}
	return customers, owners
}

// nightSite loads the shipped rules for the simulated site.
func nightSite(t *testing.T, bans bool, numbering string) *config.Config {
	t.Helper()
	return loadShipped(t, []string{onStream}, func(text string) string {
		text = strings.Replace(text, "fraud_bans = false", "fraud_bans = "+strconv.FormatBool(bans), 1)
		return strings.Replace(text, "\nnumbering {\n", "\nnumbering {\n"+numbering+"\n", 1)
	}, "trusted \"dialers\" { users = [\"2000@"+nightDomain+"\"] }\n")
}

// nightColumns are how the shipped rules are set up. Those with a name are the columns of the table; in the
// others the country is known.
var nightColumns = []struct {
	name      string
	bans      bool
	numbering string
}{
	{"as shipped", false, `timezone = "UTC"`},
	{"`fraud_bans = true`", true, `timezone = "UTC"`},
	{"", false, "country = \"DE\"\ntimezone = \"UTC\""},
	{"", true, "country = \"DE\"\ntimezone = \"UTC\""},
}

// A nightLimit is the most that a thief may have in a column, and why it is more than a few calls.
type nightLimit struct {
	until   int // calls until the first ban; -1: there may be none
	minutes float64
	why     string
}

const (
	longCalls = "Its calls are long, and three of them are up when the fourth is dialled"
	fewAtOnce = "A person makes a few calls to such numbers too, so ten in half an hour are needed; with `fraud_bans` three in ten minutes"
	noSign    = "One call of an account to a mobile of a country that customers call shows nothing: it is told, and banned with `fraud_bans` from the fourth account on"
	often     = "The account called mobiles of that country before, and the thief has been in its network for a week: the alerts are what is left. With `fraud_bans`, six calls at once at night"
	spread    = "Two of the accounts have called when the third one does"
)

// nightLimits are the limits by manner and goal, for each column with a name.
var nightLimits = map[string][2]nightLimit{
	"parallel: premium":       {{0, 1, ""}, {0, 1, ""}},
	"parallel: ordinary":      {{0, 1, ""}, {0, 1, ""}},
	"steady: premium":         {{3, 30, ""}, {3, 30, ""}},
	"steady: ordinary":        {{10, 120, fewAtOnce}, {3, 30, ""}},
	"many accounts: premium":  {{2, 60, spread}, {0, 1, ""}},
	"many accounts: ordinary": {{-1, 12 * 31, noSign}, {4, 90, ""}},
	"rotating: premium":       {{3, 60, longCalls}, {0, 1, ""}},
	"rotating: ordinary":      {{3, 60, longCalls}, {3, 60, longCalls}},
	"patient: premium":        {{3, 90, longCalls}, {3, 60, longCalls}},
	"patient: ordinary":       {{-1, 2500, often}, {6, 200, often}},
}

// check fails if a thief has more than the limit.
func (l nightLimit) check(t *testing.T, name string, c nightCell) {
	t.Helper()
	switch {
	case l.until >= 0 && (!c.banned || c.until > l.until):
		t.Errorf("%s: %v, want a ban after %d calls", name, c, l.until)
	case c.up.Minutes() > l.minutes:
		t.Errorf("%s: %v, want at most %.0f minutes", name, c, l.minutes)
	}
}

const markNight = "<!-- go test ./engine -run FraudNight -update -->\n"

// TestFraudNight holds the shipped rules to the limits of the simulated nights, and DESIGN to what they
// give.
func TestFraudNight(t *testing.T) {
	s := simulated(14, true)
	var events []*event.Event
	rows := make([]string, len(s.thieves))
	var notes, ends []string
	for i, column := range nightColumns {
		cfg := nightSite(t, column.bans, column.numbering)
		if events == nil {
			events = decoded(t, cfg, s)
		}
		n := run(t, cfg, s, events)
		customers, owners := n.wronged()
		if len(customers) > 0 {
			t.Errorf("%+v: calls of customers were ended:\n%s", column, strings.Join(customers, "\n"))
		}
		t.Logf("alerts about customers: %v", n.alerts)
		for k, one := range s.thieves {
			name := one.manner + ": " + one.goal
			limit, cell := nightLimits[name][i%2], n.cell(one)
			limit.check(t, fmt.Sprintf("%+v: %s", column, name), cell)
			if column.name == "" {
				continue
			}
			text := cell.String()
			if limit.why != "" {
				if !slices.Contains(notes, limit.why) {
					notes = append(notes, limit.why)
				}
				text += fmt.Sprintf(" [%d]", slices.Index(notes, limit.why)+1)
			}
			rows[k] += " | " + text
		}
		if column.name != "" {
			ends = append(ends, fmt.Sprintf("%d; %d alerts; %d", len(customers), sum(n.alerts), len(owners)))
		}
	}
	compareGenerated(t, markNight, nightTable(s.thieves, rows, ends, notes))
}

func sum(counts map[string]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}

// nightTable writes the table.
func nightTable(thieves []*thief, rows, ends, notes []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| calls until the first ban; calls and minutes in all | %s | %s |\n| --- | --- | --- |\n", nightColumns[0].name, nightColumns[1].name)
	for k, one := range thieves {
		fmt.Fprintf(&b, "| %s, %s%s |\n", one.manner, one.goal, rows[k])
	}
	fmt.Fprintf(&b, "| calls of customers that a ban ended; alerts about customers; calls of owners of stolen accounts that a ban ended | %s |\n\n", strings.Join(ends, " | "))
	for i, note := range notes {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, note)
	}
	return b.String() + "\n"
}

// TestFraudNightCustomers ends no call of a customer with other seeds: as many as $NIGHTS says.
func TestFraudNightCustomers(t *testing.T) {
	seeds, _ := strconv.ParseUint(os.Getenv("NIGHTS"), 10, 16)
	for seed := range max(1, seeds) {
		s := simulated(100+seed, false)
		var events []*event.Event
		for _, column := range nightColumns {
			if seeds == 0 && !column.bans { // of those that ban less
				continue
			}
			cfg := nightSite(t, column.bans, column.numbering)
			if events == nil {
				events = decoded(t, cfg, s)
			}
			if customers, _ := run(t, cfg, s, events).wronged(); len(customers) > 0 {
				t.Errorf("seed %d, %+v: calls of customers were ended:\n%s", 100+seed, column, strings.Join(customers, "\n"))
			}
		}
	}
}
