package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/geoip/geoiptest"
	"freeswitch-security/engine/status"
)

// TestPlaceSample loads the sample with databases beside the shipped rules, and runs its tests.
func TestPlaceSample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	places := map[string]event.Place{"203.0.113.0/24": {Country: "RU", ASN: "AS64500", ASName: "Example"}}
	geoiptest.Write(t, filepath.Join(dir, "GeoLite2-Country.mmdb"), geoiptest.MaxMindCountry, places)
	geoiptest.Write(t, filepath.Join(dir, "GeoLite2-ASN.mmdb"), geoiptest.MaxMindASN, places)
	for _, path := range []string{shippedRules + "/00-site.hcl", samples + "/geoip/50-geoip.hcl"} {
		text := strings.ReplaceAll(readGuide(t, path), "/usr/share/GeoIP", dir)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, diags, _ := config.Load(dir, kinds, func(string) (string, bool) { return "", false })
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if len(cfg.Tests) != 6 {
		t.Errorf("%d tests", len(cfg.Tests))
	}
	for _, test := range cfg.Tests {
		if differences, err := engine.RunTest(cfg, test); err != nil || len(differences) > 0 {
			t.Errorf("%s: %s: %v %q", test.Rule, test.Name, err, differences)
		}
	}
	for _, warning := range config.Lint(cfg) {
		if strings.Contains(warning.Subject.Filename, "geoip") {
			t.Error(warning)
		}
	}
}

// TestShowPlace has where an address is, and no line without a database. What its network is called is escaped.
func TestShowPlace(t *testing.T) {
	target, err := ban.ParseTarget("203.0.113.7")
	if err != nil {
		t.Fatal(err)
	}
	p := picture{Target: "203.0.113.7", Ban: &status.Ban{Ban: ban.Ban{Target: target}}}
	for place, want := range map[event.Place]string{
		{}:                                  "",
		{Country: "RU"}:                     "RU",
		{ASN: "AS64500", ASName: "Example"}: "AS64500 Example",
		{Country: "RU", ASN: "AS64500", ASName: "\x1b[31mred"}: `RU AS64500 \x1b[31mred`,
	} {
		p.Ban.Place = place
		var out strings.Builder
		if err := p.print(&out, 0, 10, time.Now()); err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(out.String(), "\nfrom ")
		line, _, _ := strings.Cut(rest, "\n")
		if found != (want != "") || strings.TrimSpace(line) != want {
			t.Errorf("%+v: %q, want %q", place, line, want)
		}
	}
}
