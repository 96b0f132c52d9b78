package numbering

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/event"
)

//go:embed testdata/dialled.txt
var dialled string

// TestRead reads the table of what is dialled in eight countries.
func TestRead(t *testing.T) {
	read, countries := 0, map[string]*Plan{}
	for line := range strings.Lines(dialled) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		f := strings.Split(line, "|")
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		plan := countries[f[0]]
		if plan == nil {
			plan = planOf(t, Site{Country: f[0]})
			countries[f[0]] = plan
		}
		read++
		want := Reading{Number: f[2], Country: f[3], Type: f[4]}
		if got := plan.Read(f[1]); got != want {
			t.Errorf("%s %s: got %+v, want %+v", f[0], f[1], got, want)
		}
		if got := plan.Emergency(f[1]); got != (want.Type == "emergency") {
			t.Errorf("%s %s: emergency %t", f[0], f[1], got)
		}
	}
	if read < 200 || len(countries) < 8 {
		t.Errorf("%d texts of %d countries", read, len(countries))
	}
}

func planOf(t testing.TB, s Site) *Plan {
	t.Helper()
	plan, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestPrefixes reads by the prefixes that a site states.
func TestPrefixes(t *testing.T) {
	berlin := Reading{"+493023125001", "DE", "fixed_line"}
	greece := Reading{"+3023125001", "GR", "unknown"}
	for _, c := range []struct {
		site    Site
		dialled string
		want    Reading
	}{
		// Phones that always dial 0 for a line: there is one reading.
		{Site{Country: "DE", Line: []string{}, Trunk: []string{"00"}, International: []string{"000", "+"}}, "003023125001", berlin},
		{Site{Country: "DE", Line: []string{"0"}}, "003023125001", berlin}, // too short for Greece
		{Site{Country: "DE", Line: []string{}}, "003023125001", greece},
		{Site{Country: "DE", Line: []string{"0"}}, "00301234567890", Reading{"+301234567890", "GR", "unknown"}},
		{Site{Country: "DE", Line: []string{}}, "000493023125001", Reading{}},
		{Site{Country: "DE", Line: []string{"*31*"}}, "*31*03023125001", berlin},
		{Site{Country: "DE"}, "*31*03023125001", Reading{}},
		{Site{Country: "DE", Trunk: []string{"0", ""}}, "3023125001", berlin},
		{Site{Country: "DE", International: []string{"", "00"}}, "493023125001", berlin},
		// What follows the number may be dropped on the way.
		{Site{Country: "DE"}, "03023125001#", berlin},
		{Site{Country: "DE"}, "+493023125001,,1234", berlin},
		{Site{Country: "DE"}, "00 49 30 23125001 ext 12", berlin},
		{Site{Country: "DE"}, "x03023125001", Reading{}},
		{Site{Country: "DE", International: []string{"", "00"}}, "493023125001000000", Reading{}},
		{Site{}, "03023125001", Reading{}},
		{Site{}, "011493023125001", berlin},
		{Site{}, "9011493023125001", berlin},
		{Site{International: []string{"00"}}, "+493023125001", Reading{}},
		// Only the prefix of a premium number is known.
		{Site{Country: "DE"}, "09005", Reading{}},
		{Site{Country: "DE"}, "+4990055555", Reading{"+4990055555", "DE", "premium_rate"}},
		{Site{}, "+000012345678", Reading{}},
		{Site{}, "+2399876543", Reading{"+2399876543", "ST", "mobile"}},
		{Site{}, "+1876", Reading{}},
		{Site{}, "+18761", Reading{}},
		{Site{}, "+187611", Reading{}},
		{Site{}, "+1876110", Reading{"+1876110", "JM", "unknown"}},
		{Site{}, "+8816123", Reading{"+8816123", "001", "satellite"}},
		{Site{}, "+441865270000000000000000000000000000000000000000000000000000", Reading{"+441865270000", "GB", "fixed_line"}},
	} {
		if got := planOf(t, c.site).Read(c.dialled); got != c.want {
			t.Errorf("%+v %s: got %+v, want %+v", c.site, c.dialled, got, c.want)
		}
	}
}

// TestEmergency is exact: a number that only looks like one is none.
func TestEmergency(t *testing.T) {
	germany := planOf(t, Site{Country: "DE", Emergency: []string{"116117"}})
	anywhere := planOf(t, Site{Line: []string{"8"}})
	for _, c := range []struct {
		plan *Plan
		yes  string
		no   string
	}{
		{germany, "112 110 911 116117 0112 9112 0116117 112@pbx.example", "1120 00112 90112 1-1-2 112; 112;rn=+4930 +112 tel:112 sip:112@pbx 112;rn=1@pbx 999 19222 11 sos +49112"},
		{anywhere, "112 911 999 000 17 8112", "0112 12 8889"},
	} {
		for dialled := range strings.FieldsSeq(c.yes) {
			if !c.plan.Emergency(dialled) {
				t.Errorf("%s is no emergency number", dialled)
			}
		}
		for dialled := range strings.FieldsSeq(c.no) {
			if c.plan.Emergency(dialled) {
				t.Errorf("%s is an emergency number", dialled)
			}
		}
	}
}

func TestTail(t *testing.T) {
	for dialled, want := range map[string]string{
		"00972592123456": "592123456", "+972 59-212-3456": "592123456", "9011972592123456;x=1": "592123456", "1000": "1000",
		"": "", "sip:1000@198.51.100.7": "1000", "x": "", "*31*0049": "310049",
	} {
		if got := Tail(dialled); got != want {
			t.Errorf("%s: got %q, want %q", dialled, got, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{"Germany": `"DE"`, "de": `"DE"`, "UK": `"GB"`, "Untied States": `"US"`, "XX": "ISO 3166", "": "ISO 3166"} {
		if _, err := ParseCountry(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, bad := range []string{"a", "0 0", "0123456789", "-"} {
		if _, err := ParsePrefix(bad); err == nil {
			t.Errorf("%q is a prefix", bad)
		}
	}
	for _, bad := range []string{"", "112a", "123456789012345678901"} {
		if _, err := ParseEmergency(bad); err == nil {
			t.Errorf("%q is an emergency number", bad)
		}
	}
	if _, err := New(Site{Country: "Germany"}); err == nil {
		t.Error("a plan of Germany, not DE")
	}
}

// hostile are texts that an attacker may send as a number.
var hostile = []string{
	strings.Repeat("0", 256), strings.Repeat("9", 256), strings.Repeat("+", 256), strings.Repeat("0011", 64), strings.Repeat("1-", 128),
	strings.Repeat("%2B", 85), strings.Repeat(";rn=", 64), strings.Repeat("sip:", 64), "٠٠٤٩٣٠١٢٣٤٥٦٧", "００４９", "\x00112", "0049\r\n30", "+",
	"+" + strings.Repeat("4903", 63),
}

func FuzzRead(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	for line := range strings.Lines(dialled) {
		if _, rest, ok := strings.Cut(line, "|"); ok {
			text, _, _ := strings.Cut(rest, "|")
			f.Add(strings.TrimSpace(text))
		}
	}
	plans := []*Plan{planOf(f, Site{}), planOf(f, Site{Country: "DE"}), planOf(f, Site{Country: "US"}), planOf(f, Site{Country: "BR", International: []string{"", "00", "+"}})}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range plans {
			r := p.Read(text)
			digits, plus := strings.CutPrefix(r.Number, "+")
			switch {
			case r == Reading{}:
			case !slices.Contains(event.DestinationTypes, r.Type):
				t.Fatalf("%q has the type %q", text, r.Type)
			case p.Emergency(text) != (r.Type == event.Emergency):
				t.Fatalf("%q is %+v", text, r)
			case r.Type == event.Emergency && r.Number == "":
			case !plus || !allDigits(digits) || len(digits) < shortestE164-2 || len(digits) > 17 || !countryForm.MatchString(r.Country):
				t.Fatalf("%q is read as %+v", text, r)
			}
			if tail := Tail(text); len(tail) > tailDigits || !allDigits(tail) {
				t.Fatalf("%q ends in %q", text, tail)
			}
		}
	})
}

var countryForm = regexp.MustCompile(`^([A-Z]{2}|001)$`)

func TestAllocations(t *testing.T) {
	plan := planOf(t, Site{Country: "DE"})
	for _, text := range append(hostile, "03023125001", "+49 (0) 30 23125001", "00493023125001") {
		if n := testing.AllocsPerRun(10, func() { plan.Read(text); Tail(text) }); n > 10 {
			t.Errorf("%.0f allocations for %.40q", n, text)
		}
	}
}

// TestAbroad reads numbers as phones in a country, or in one that is not known, dial them.
func TestAbroad(t *testing.T) {
	for _, c := range []struct {
		country, dialled string
		want             bool
	}{
		{"DE", "0301234567", false}, {"DE", "+49301234567", false}, {"DE", "112", false}, {"DE", "1000", false}, {"DE", "00442079461234", true},
		{"DE", "+88216123456", true}, {"DE", "+80012345678", false}, {"", "+49301234567", true}, {"", "0301234567", false}, {"", "112", false},
	} {
		p, err := New(Site{Country: c.country})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Abroad(p.Read(c.dialled)); got != c.want {
			t.Errorf("%s %s: %v", c.country, c.dialled, got)
		}
	}
}
