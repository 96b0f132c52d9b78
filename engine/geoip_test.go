package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/geoip/geoiptest"
	"freeswitch-security/engine/status"
)

// TestPlaces counts by where addresses are, and has it in changes, in the status and in problems.
func TestPlaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lite.mmdb")
	hosting := event.Place{Country: "RU", ASN: "AS64500", ASName: "Example Hosting"}
	geoiptest.Write(t, path, geoiptest.IPinfoLite, map[string]event.Place{
		"203.0.113.0/24": hosting, "198.51.100.0/24": {Country: "DE", ASN: "AS64501", ASName: "Beispiel"},
	})
	text := `
source "esl" "pbx" {}
action "iptables" "drop" {}
geoip {
  country = "` + path + `"
  asn     = "` + path + `"
}
rule "abroad" {
  on    = [source.esl.pbx]
  match = "event == 'auth_failure' and country != '' and not (country in ['DE', 'AT'])"
  threshold {
    per      = "as_name"
    distinct = "ip/32,128"
    count    = 2
    within   = "1h"
  }
  ban {}
}
`
	cfg := siteConfig(t, text)
	var changes []*ban.Change
	e := New(cfg, Options{OnChange: func(c *ban.Change) { changes = append(changes, c) }})
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, ip := range []string{"198.51.100.1", "198.51.100.2", "192.0.2.1", "192.0.2.2", "10.0.0.1", "203.0.113.1", "64:ff9b::203.0.113.2"} {
		at = at.Add(time.Second)
		ev := &event.Event{Name: event.AuthFailure, Source: "esl.pbx", Time: at}
		if err := ev.Set("ip", ip); err != nil {
			t.Fatal(err)
		}
		e.observe(ev, at)
	}
	if err := e.settle(); err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Target.String() != "64:ff9b::cb00:7102" || changes[0].Place != hosting {
		t.Fatalf("changes: %+v", changes)
	}
	if place := e.Ledger().PlaceOf(ban.Address(changes[0].Target.Prefix().Addr())); place != hosting {
		t.Errorf("the target is at %+v", place)
	}
	s := e.status()
	if !slices.Equal(s.Stats.Countries, []status.Country{{Name: "RU", Bans: 1}}) || len(s.GeoIP) != 1 || s.GeoIP[0].Built == "" {
		t.Errorf("countries %+v, databases %+v", s.Stats.Countries, s.GeoIP)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	cfg.GeoIP.Refresh()
	s = e.status()
	if !slices.ContainsFunc(status.Problems(&s, nil), func(p status.Problem) bool {
		return p.Severity == status.Warning && p.Subject == "geoip" && strings.Contains(p.Text, path) && strings.Contains(p.Text, "still in use")
	}) {
		t.Errorf("problems: %v", status.Problems(&s, nil))
	}
	e.Reload(siteConfig(t, text))
	if place := e.Ledger().PlaceOf(ban.Address(changes[0].Target.Prefix().Addr())); place != hosting {
		t.Errorf("after a reload while the file is missing the target is at %+v", place)
	}
}

// TestCountriesAreBounded counts more countries than there are.
func TestCountriesAreBounded(t *testing.T) {
	var all countries
	for i := range 2 * status.MaxCountries {
		all.count(string(rune('A'+i/26)) + string(rune('A'+i%26)))
	}
	if len(all) != status.MaxCountries+1 || all[len(all)-1] != (status.Country{Name: "other", Bans: status.MaxCountries}) {
		t.Errorf("%d countries, the last %+v", len(all), all[len(all)-1])
	}
}
