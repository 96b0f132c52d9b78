package learn

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/rule"
)

// recorded reads the events decoded from the event stream and the debug log of an
// attacked switch: some 450 attackers, 37 phones, and two offices in which one phone
// has an old password. testdata/roles.json holds the true role of each address.
func recorded(t *testing.T) []event.Event {
	t.Helper()
	var events []event.Event
	for lines := json.NewDecoder(bytes.NewReader(golden.Read(t, "testdata/recorded.events.gz"))); ; {
		var l struct {
			Micros      int64      `json:"t"`
			Name        string     `json:"n"`
			Source      string     `json:"s"`
			IP          netip.Addr `json:"ip"`
			User        string     `json:"u"`
			Domain      string     `json:"d"`
			Method      string     `json:"m"`
			Destination string     `json:"to"`
			UserAgent   string     `json:"ua"`
			Shown       string     `json:"a"` // "true" or "false"
			Repeat      bool       `json:"r"`
		}
		if err := lines.Decode(&l); errors.Is(err, io.EOF) {
			return events
		} else if err != nil {
			t.Fatal(err)
		}
		events = append(events, event.Event{
			Time: time.UnixMicro(l.Micros).UTC(), Name: l.Name, Source: l.Source, IP: l.IP, User: l.User, Domain: l.Domain,
			Method: l.Method, Destination: l.Destination, UserAgent: l.UserAgent, Repeat: l.Repeat,
			Fields: map[string]string{"authenticated": l.Shown},
		})
	}
}

func roles(t *testing.T) map[string][]netip.Addr {
	t.Helper()
	content, err := os.ReadFile("testdata/roles.json")
	if err != nil {
		t.Fatal(err)
	}
	var known map[string][]netip.Addr
	if err := json.Unmarshal(content, &known); err != nil {
		t.Fatal(err)
	}
	return known
}

// rulesOf returns rules like the shipped ones.
func rulesOf(t *testing.T) []*rule.Spec {
	spraying := perIP(5, time.Hour)
	spraying.Distinct = "user"
	return []*rule.Spec{
		guessing(t),
		spec(t, "spraying", "event == 'auth_failure'", spraying),
		spec(t, "access list", "event == 'acl_reject'", perIP(5, 10*time.Minute)),
	}
}

// playRecorded plays the events that pass on each of several days, as if every
// attacker came back each morning.
func playRecorded(t *testing.T, days int, passes func(*event.Event) bool) *Findings {
	t.Helper()
	events := recorded(t)
	r := record(t, rulesOf(t)...)
	for day := range days {
		for i := range events {
			ev := events[i]
			ev.Time = ev.Time.AddDate(0, 0, day)
			if passes(&ev) {
				r.play(&ev)
			}
		}
	}
	return r.Conclude()
}

// TestNoAttackerIsProposed compares the proposals with the true roles: not even an
// uncertain one is an attacker. The two offices are uncertain: one phone of six fails
// in each, and their accounts are used elsewhere, too.
func TestNoAttackerIsProposed(t *testing.T) {
	known := roles(t)
	for name, passes := range map[string]func(*event.Event) bool{
		"stream":         func(ev *event.Event) bool { return ev.Source == stream },
		"stream and log": func(*event.Event) bool { return true },
	} {
		t.Run(name, func(t *testing.T) {
			f := playRecorded(t, 4, passes)
			var offices []netip.Addr
			for _, p := range f.Proposals {
				if slices.ContainsFunc(known["attack"], p.Network.Contains) {
					t.Errorf("an attacker is proposed: %+v", p)
				}
				if p.Kind == Office {
					offices = append(offices, p.Network.Addr())
				}
			}
			if !slices.Equal(offices, known["ambiguous_nat"]) {
				t.Errorf("the offices are %v, want %v", offices, known["ambiguous_nat"])
			}
			if f.Genuine < len(known["benign"])*4/5 || f.Genuine+f.Suspect > len(known["benign"])+4 {
				t.Errorf("%d genuine and %d suspect, of %d phones", f.Genuine, f.Suspect, len(known["benign"]))
			}
			if f.Attackers < 40 {
				t.Errorf("%d attackers were caught", f.Attackers)
			}
		})
	}
	t.Run("log", func(t *testing.T) {
		f := playRecorded(t, 4, func(ev *event.Event) bool { return ev.Source == log })
		wantNone(t, f)
		if f.Genuine != 0 || f.Rules[0].Advice != Unknown {
			t.Errorf("a log does not report registrations: %+v", f)
		}
	})
	t.Run("one day", func(t *testing.T) {
		f := playRecorded(t, 1, func(*event.Event) bool { return true })
		wantNone(t, f)
		if f.TooBrief != 2 || !f.Short() {
			t.Errorf("%+v", f)
		}
	})
}

// TestRecordedThresholds finds the two offices with a phone that fails six times in a
// row, and no attacker, among the genuine addresses.
func TestRecordedThresholds(t *testing.T) {
	known := roles(t)
	for _, found := range playRecorded(t, 1, func(ev *event.Event) bool { return ev.Source == stream }).Rules {
		for _, v := range found.Victims {
			if !v.Suspect && slices.ContainsFunc(known["attack"], v.Network.Contains) {
				t.Errorf("rule %s: an attacker counts as genuine: %+v", found.Spec.Name, v)
			}
		}
		if found.Spec.Name == "guessing" &&
			(found.Innocent() != 2 || found.Advice != Raise || found.Peak != 6 || found.Count != 9) {
			t.Errorf("%+v", found)
		}
	}
}
