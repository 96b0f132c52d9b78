package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/geoip"
	"freeswitch-security/engine/numbering"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"
)

// decodeGeoIP reads the geoip block, and the databases that it names. Those that cannot be read are warned of:
// they may be downloaded later.
func (l *loader) decodeGeoIP(blocks []*settings.Block) {
	if len(blocks) == 0 {
		return
	}
	b := blocks[0]
	for _, extra := range blocks[1:] {
		extra.Skip()
		extra.Error("", "Set twice", fmt.Sprintf("There is one geoip block, set at %s. Put everything into that block.", settings.Where(b.Range)))
	}
	var country, asn string
	b.Path("country", &country)
	b.Path("asn", &asn)
	if country == "" && asn == "" && !b.Failed() {
		b.Error("", "No database", `Name at least one: country = "/usr/share/GeoIP/GeoLite2-Country.mmdb".`)
		return
	}
	l.cfg.GeoIP = geoip.Open(l.fsys, country, asn)
	for _, f := range l.cfg.GeoIP.Files() {
		if f.Error != "" {
			b.Warn(f.For[0], "Unusable database", fmt.Sprintf("%s: %s. Until it can be read, %s.", f.Path, f.Error, unknownWithout(f.For)))
		}
	}
}

// unknownWithout says which fields are empty without a database.
func unknownWithout(attributes []string) string {
	switch {
	case len(attributes) > 1:
		return "country, asn and as_name are empty"
	case attributes[0] == "country":
		return "country is empty"
	}
	return "asn and as_name are empty"
}

// unset says why the engine does not set a field of an event; "": it does.
func (l *loader) unset(field string) string {
	f := event.FieldNamed(field)
	if f == nil || f.Needs == "" || l.partial || l.cfg.GeoIP.Has(f.Needs) {
		return ""
	}
	return fmt.Sprintf("%q comes from a database, and no geoip block names one: geoip { %s = \"/usr/share/GeoIP/….mmdb\" }.", field, f.Needs)
}

// checkSet refuses to count by a field that the engine does not set.
func (l *loader) checkSet(b *settings.Block, t settings.Text) {
	if why := l.unset(t.Value); why != "" {
		b.ErrorAt(t.Range, rule.WithoutDatabase, why)
	}
}

// PlaceOf returns where an address is. One that stands for an IPv4 host is where that is. It is safe for concurrent use.
func (c *Config) PlaceOf(addr netip.Addr) event.Place {
	if c.GeoIP == nil {
		return event.Place{}
	}
	return c.GeoIP.Of(c.Security.NAT64.IPv4(addr))
}

// used says which fields that the engine sets are read by a rule, and of which events. The history of
// accounts needs the reading of all calls.
type used struct {
	reading              bool
	digits, clock, place readers
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
		place:   by("country", "asn", "as_name"),
	}
}

// Annotate sets the fields of an event that follow from the site's numbering: where the call goes, if the
// switch has verified the account, and when it is there; and from the databases of addresses, unless the event has them. It
// sets only what a rule reads of such an event.
//
// Without a verified account there is no reading: what is dialled then shows only what its sender knows of
// prefixes, and a carrier delivers the site's own numbers.
func (c *Config) Annotate(ev *event.Event) {
	if c.used.clock.of(ev.Name) {
		hour, weekday, night := c.Numbering.At(ev.Time)
		ev.Hour, ev.Weekday, ev.Night = uint8(hour), weekday, night
	}
	if c.GeoIP != nil && ev.Place == (event.Place{}) && c.used.place.of(ev.Name) {
		ev.Place = c.PlaceOf(ev.IP)
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
