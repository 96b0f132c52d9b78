package config

import (
	"fmt"
	"maps"
	"slices"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"
)

// decodeNumbering reads the numbering block. Without one, only numbers with an international prefix
// have a reading.
func (l *loader) decodeNumbering(blocks []*settings.Block) {
	var site numbering.Site
	if l.cfg.Numbered = len(blocks) > 0; l.cfg.Numbered {
		for _, extra := range blocks[1:] {
			extra.Skip()
			extra.Error("", "Set twice", fmt.Sprintf("There is one numbering plan, set at %s. Put everything into that block.", settings.Where(blocks[0].Range)))
		}
		site = decodeSite(blocks[0])
	}
	l.cfg.Numbering, _ = numbering.New(site) // its parts have been checked
}

// decodeSite reads a numbering block, of the site or of a test.
func decodeSite(b *settings.Block) (site numbering.Site) {
	if t, ok := b.Text("country"); ok {
		settings.Parse(b, t, &site.Country, numbering.ParseCountry, "Unknown country", `the code of a country, such as "DE"`)
	}
	const prefix = `a prefix, such as "00"`
	numbers(b, "international", &site.International, numbering.ParsePrefix, "Invalid prefix", prefix)
	numbers(b, "trunk", &site.Trunk, numbering.ParsePrefix, "Invalid prefix", prefix)
	numbers(b, "line", &site.Line, numbering.ParsePrefix, "Invalid prefix", prefix)
	numbers(b, "emergency", &site.Emergency, numbering.ParseEmergency, "Invalid number", `an emergency number, such as "116117"`)
	if t, ok := b.Text("hours"); ok {
		settings.Parse(b, t, &site.Hours, numbering.ParseHours, "Invalid hours", `days and times, such as "Mon-Fri 07:00-19:00"`)
	}
	b.Zone("timezone", &site.Zone)
	if site.Country == "" && len(site.Trunk) > 0 && !b.Failed() {
		b.Warn("trunk", "Trunk prefix without a country", "Numbers behind it can be read only if the country is known: set country = \"DE\", for example.")
	}
	return site
}

// numbers reads a list of prefixes or numbers. One that is empty stays so.
func numbers(b *settings.Block, name string, target *[]string, parse func(string) (string, error), summary, should string) {
	texts, ok := b.Texts(name)
	if !ok {
		return
	}
	if len(texts) > numbering.MaxPrefixes {
		b.Error(name, "Too many", fmt.Sprintf("A list has at most %d.", numbering.MaxPrefixes))
		return
	}
	*target = []string{}
	for _, t := range texts {
		var one string
		if settings.Parse(b, t, &one, parse, summary, should) {
			*target = append(*target, one)
		}
	}
}

// used says which fields that the engine sets are read by a rule, and of which events. The history of
// accounts needs the reading of all calls.
type used struct {
	reading       bool
	digits, clock readers
}

// readers are the names of the events of which rules read something.
type readers struct {
	names map[string]bool
	any   bool // a rule reads it of any event
}

func (r *readers) of(name string) bool { return r.any || r.names[name] }

// usedBy returns what the rules read.
func usedBy(rules []*rule.Spec) used {
	by := func(fields ...string) (r readers) {
		r.names = map[string]bool{}
		for _, s := range rules {
			if !slices.ContainsFunc(fields, s.Uses) {
				continue
			}
			events := s.Reads()
			r.any = r.any || events == nil
			maps.Copy(r.names, events)
		}
		return r
	}
	reading := by("destination_number", "destination_country", "destination_type", "abroad", "new_destination")
	return used{
		reading: reading.any || len(reading.names) > 0,
		digits:  by("destination_tail", "destination_start"),
		clock:   by("hour", "weekday", "night"),
	}
}

// Annotate sets the fields of an event that follow from the site's numbering: where the call goes, if the
// switch has verified the account, and when it is there. It sets only what a rule reads of such an event.
//
// Without a verified account there is no reading: what is dialled then shows only what its sender knows of
// prefixes, and a carrier delivers the site's own numbers.
func (c *Config) Annotate(ev *event.Event) {
	if c.used.clock.of(ev.Name) {
		hour, weekday, night := c.Numbering.At(ev.Time)
		ev.Hour, ev.Weekday, ev.Night = uint8(hour), weekday, night
	}
	if ev.Destination == "" {
		return
	}
	if c.used.digits.of(ev.Name) {
		ev.DestinationTail, ev.DestinationStart = numbering.Tail(ev.Destination), ev.Destination[:min(2, len(ev.Destination))]
	}
	if c.used.reading && ev.Verified() {
		r := c.Numbering.Read(ev.Destination)
		ev.DestinationNumber, ev.DestinationCountry, ev.DestinationType = r.Number, r.Country, r.Type
		ev.Abroad = c.Numbering.Abroad(r)
	}
}
