package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"freeswitch-security/actions/iptables"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/esl"
	"freeswitch-security/sources/logfile"
)

// site has rules about where calls go and when, with their tests.
const site = `
source "esl" "pbx" {}
action "iptables" "drop" {}
numbering {
  country  = "DE"
  hours    = "Mon-Fri 07:00-19:00"
  timezone = "Europe/Berlin"
}
rule "expensive" {
  on    = [source.esl.pbx]
  match = "event == 'call' and destination_type in ['premium_rate', 'satellite']"
  alert { every = "0s" }
  test "a satellite, and premium numbers here and abroad" {
    numbering { country = "DE" }
    given {
      event       = "call"
      destination = "0088216123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      destination = "+37190001234"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      destination = "0 0900 1 234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    alerts = { "203.0.113.7" = 3 }
  }
  test "a premium number of a country that the test does not name" {
    given {
      event       = "call"
      destination = "09001234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    alerts = {}
  }
  test "without a verified account there is no reading" {
    given {
      event       = "call"
      destination = "0088216123456<n>"
      ip          = "203.0.113.7"
      times       = 9
    }
    alerts = {}
  }
}
rule "one number behind many prefixes" {
  on    = [source.esl.pbx]
  match = "event == 'call' and destination startsWith '9'"
  threshold {
    per      = "destination_tail"
    distinct = "destination"
    count    = 3
    within   = "1m"
  }
  alert {}
  test "without a verified account" {
    given {
      event       = "call"
      destination = "9<n>972592123456"
      ip          = "203.0.113.7"
      times       = 3
    }
    alerts = ["203.0.113.7"]
  }
}
rule "abroad at night" {
  on    = [source.esl.pbx]
  match = "event == 'call' and night and destination_type != 'emergency' and destination_country not in ['', 'DE']"
  threshold {
    per    = ["user", "destination_country"]
    count  = 2
    within = "1h"
  }
  alert {}
  test "at night" {
    given {
      at          = "Tue 03:00"
      event       = "call"
      user        = "1007"
      destination = "00972592123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
    }
    alerts = ["203.0.113.7"]
  }
  test "two countries at night, one at noon and a number of the country" {
    given {
      at          = "Tue 03:00"
      event       = "call"
      user        = "1007"
      destination = "0097<n>592123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
    }
    given {
      at          = "Tue 12:00"
      event       = "call"
      user        = "1007"
      destination = "00972592123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    given {
      at          = "Sat 12:00"
      event       = "call"
      user        = "1007"
      destination = "03023125001"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    alerts = {}
  }
}
`

func siteConfig(t testing.TB, rules string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(dir, config.Kinds{
		Sources: []plugin.SourceKind{esl.Kind(logfile.Builtin, logfile.Framed)}, Actions: []plugin.ActionKind{iptables.Kind},
	}, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return cfg
}

func TestNumberingInRules(t *testing.T) {
	cfg := siteConfig(t, site)
	for _, test := range cfg.Tests {
		differences, err := RunTest(cfg, test)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			t.Errorf("%s: %s: %s", test.Rule, test.Name, d)
		}
	}
	if len(cfg.Tests) != 6 {
		t.Errorf("%d tests", len(cfg.Tests))
	}
}

// called is a call of a verified account.
func called() *event.Event {
	return &event.Event{Name: event.Call, Source: "esl.pbx", Destination: "00972592123456", Time: time.Date(2026, 7, 1, 1, 0, 0, 0, time.UTC),
		Fields: map[string]string{"variable_sip_authorized": "true"}}
}

// TestAnnotateUsed sets only what a rule reads, in any part of it, and what comes with it.
func TestAnnotateUsed(t *testing.T) {
	const rule = `
source "esl" "pbx" {}
action "iptables" "drop" {}
rule "r" {
  on    = [source.esl.pbx]
  match = "event == 'call'"
  threshold {
    count  = 2
    within = "1m"
    `
	for text, want := range map[string]event.Event{
		``:                                        {},
		`per = "destination_number"`:              {DestinationNumber: "+972592123456", DestinationCountry: "IL", DestinationType: "mobile"},
		`distinct = "destination_tail"`:           {DestinationTail: "592123456"},
		`then = "night and event == 'call'"`:      {Hour: 1, Weekday: "Wed", Night: true},
		`per = ["weekday", "destination_tail"]`:   {Hour: 1, Weekday: "Wed", Night: true, DestinationTail: "592123456"},
		`distinct = "destination_country"`:        {DestinationNumber: "+972592123456", DestinationCountry: "IL", DestinationType: "mobile"},
		`then = "destination_type == 'mobile'"`:   {DestinationNumber: "+972592123456", DestinationCountry: "IL", DestinationType: "mobile"},
		`then = "hour > 1 or destination == '1'"`: {Hour: 1, Weekday: "Wed", Night: true},
	} {
		got, plain := called(), called()
		cfg := siteConfig(t, "numbering { timezone = \"UTC\" }\n"+rule+text+"\n  }\n  alert {}\n}\n")
		cfg.Annotate(got)
		plain.DestinationNumber, plain.DestinationCountry, plain.DestinationType = want.DestinationNumber, want.DestinationCountry, want.DestinationType
		plain.Abroad = want.DestinationNumber != ""
		if want.DestinationTail != "" {
			plain.DestinationStart = "00"
		}
		plain.DestinationTail, plain.Hour, plain.Weekday, plain.Night = want.DestinationTail, want.Hour, want.Weekday, want.Night
		for _, f := range event.Fields {
			if f.Get(got) != f.Get(plain) {
				t.Errorf("%q: %s is %q, want %q", text, f.Name, f.Get(got), f.Get(plain))
			}
		}
	}
}
