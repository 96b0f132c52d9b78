package numbering

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
)

// countries has a line for each country, sorted: its ISO code, its calling code, then what its phones
// dial before a number of the country and before one abroad, its emergency numbers, and its name.
//
//go:embed countries.txt
var countries string

// A country is a line of countries. A trunk prefix of "" means that numbers are dialled without one.
type country struct {
	iso, code                       string
	trunk, international, emergency []string
	name                            string
}

// noPrefix stands for "" in countries.
const noPrefix = "-"

// everyCountry yields the lines of countries.
func everyCountry(yield func(country) bool) {
	for line := range strings.Lines(countries) {
		if f := strings.Split(strings.TrimSpace(line), "|"); f[0][0] != '#' && !yield(country{
			iso: f[0], code: f[1], trunk: prefixes(f[2]), international: prefixes(f[3]), emergency: strings.Fields(f[4]), name: f[5],
		}) {
			return
		}
	}
}

func prefixes(text string) []string {
	list := strings.Fields(text)
	for i := range list {
		if list[i] == noPrefix {
			list[i] = ""
		}
	}
	return list
}

// alike are names of countries under which operators may know them.
var alike = map[string]string{"UK": "GB", "ENGLAND": "GB", "USA": "US", "AMERICA": "US", "HOLLAND": "NL", "DEUTSCHLAND": "DE", "UAE": "AE"}

// findCountry returns the country of an ISO 3166 code. The error proposes one for a name.
func findCountry(text string) (country, error) {
	var names, codes []string
	for c := range everyCountry {
		if c.iso == text {
			return c, nil
		}
		names, codes = append(names, c.name, c.iso), append(codes, c.iso, c.iso)
	}
	code := alike[strings.ToUpper(text)]
	if i := slices.Index(names, event.Nearest(text, names)); code == "" && i >= 0 && (len(text) > 2 || strings.EqualFold(names[i], text)) {
		code = codes[i]
	}
	if code != "" {
		return country{}, fmt.Errorf("%q is not the code of a country: write %q", event.Bound(text, 64), code)
	}
	return country{}, fmt.Errorf("%q is not the code of a country: write its two letters of ISO 3166, such as \"DE\"", event.Bound(text, 64))
}
