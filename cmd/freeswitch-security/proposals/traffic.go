package proposals

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/learn"
	"freeswitch-security/engine/regex"
	"freeswitch-security/engine/rule"
)

// maxCountries is how many unusual countries are shown.
const maxCountries = 30

// traffic writes what the calls of accounts show: usual countries, calls at once, hours and dialers.
func (d *draft) traffic(t *learn.Traffic, cfg *config.Config, days int) {
	if t.Accounts == 0 {
		return
	}
	d.comment("%s called. What follows is of the %d that called only from genuine addresses seen on %s,",
		terminal.Count(t.Accounts, "account"), t.Ordinary, terminal.Count(days, "day"))
	d.comment("hours and calls at once without those for which a rule fired. What few accounts did is uncertain: they may be stolen.")
	d.blank()
	d.countries(t.Countries, cfg)
	if on := reporting(cfg, event.CallEnded); t.Concurrent > 0 && on != "" {
		d.comment("The most calls at once of one account: %d, of %s.", t.Peak, t.PeakOf)
		fmt.Fprintf(d, "rule \"more calls at once than usual\" {\n  on = %s\n  match = \"event == 'call' and fields['variable_sip_authorized'] == 'true'\"\n\n"+
			"  threshold {\n    per = \"user@domain\"\n    concurrent = %d\n  }\n\n  alert {}\n}\n\n", on, t.Concurrent)
	}
	if t.Hours != "" {
		mark := ""
		d.comment("Nearly all calls are in these hours, in the zone that the rules have now.")
		if cfg.Numbered {
			mark = "# "
			d.comment("Put them into your numbering block:")
		}
		fmt.Fprintf(d, "%[1]snumbering {\n%[1]s  hours = %[2]q\n%[1]s}\n\n", mark, t.Hours)
	}
	for _, one := range t.Dialers {
		d.dialer(&one)
	}
}

// countries writes the usual countries: for the local that holds them, if a rule uses it, else as a
// rule that alerts about calls to others.
func (d *draft) countries(all []learn.Country, cfg *config.Config) {
	var usual []string
	others := 0
	for _, c := range all {
		text := fmt.Sprintf("  %s: %s of %s, on up to %s", c.Code, terminal.Count(c.Calls, "call"), terminal.Count(c.Accounts, "account"), terminal.Count(c.Days, "day"))
		if c.Usual {
			usual = append(usual, "'"+c.Code+"'")
		} else {
			text += ": uncertain"
			others++
		}
		if others <= maxCountries {
			d.comment("%s", text)
		}
	}
	slices.Sort(usual)
	if len(usual) == 0 {
		d.comment("No country is called by several accounts, for which no rule fired, on enough days.")
		d.blank()
		return
	}
	if slices.ContainsFunc(cfg.Rules, func(r *rule.Spec) bool { return strings.Contains(r.Match.String(), "local.usual_countries") }) {
		d.comment("Your rules take them from a local. Calls there count less as fraud, so leave out what you do not know:")
		d.comment("  usual_countries = [%s]", strings.ReplaceAll(strings.Join(usual, ", "), "'", "\""))
		d.blank()
		return
	}
	fmt.Fprintf(d, "rule \"call to an unusual country\" {\n  on = %s\n  match = \"event == 'call' and destination_country != '' and destination_country not in [%s]\"\n\n"+
		"  threshold {\n    per = \"user@domain\"\n    count = 1\n    within = \"1h\"\n  }\n\n  alert {}\n}\n\n", reporting(cfg, event.Call), strings.Join(usual, ", "))
}

// writable matches the accounts that can stand in a block. A directory may hold any text.
var writable = regex.New(`^[A-Za-z0-9._+-]+@[A-Za-z0-9._:\[\]-]+$`)

// dialer writes a block that trusts an account, as a comment if it is uncertain.
func (d *draft) dialer(one *learn.Dialer) {
	d.comment("%s calls like a dialer: %s on %s, up to %d in a minute, to different numbers of one country.",
		one.Name, terminal.Count(one.Calls, "call"), terminal.Count(one.Days, "day"), one.PerMinute)
	mark := ""
	if !one.Sure || !writable.Use().MatchString(one.Name) {
		mark = "# "
		d.comment("Uncertain: use it only if you know the account.")
	}
	name := terminal.Printable(one.Name)
	fmt.Fprintf(d, "%[1]strusted %[2]q {\n%[1]s  users   = [%[3]q]\n%[1]s  comment = \"learned: %[4]s\"\n%[1]s}\n\n", mark, "dialer "+name, name, terminal.Count(one.Days, "day"))
}

// reporting returns the enabled sources that report an event, as a list in HCL; "" if there is none.
func reporting(cfg *config.Config, name string) string {
	var refs []string
	for _, s := range cfg.Sources {
		if slices.Contains(s.Description.Events.Names(), name) && !s.Description.Log {
			refs = append(refs, "source."+s.Ref)
		}
	}
	if len(refs) == 0 {
		return ""
	}
	return "[" + strings.Join(refs, ", ") + "]"
}
