package config

import (
	"fmt"

	"freeswitch-security/engine/numbering"
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
