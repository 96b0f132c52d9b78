package history_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/rule"

	"go.etcd.io/bbolt"
)

// TestExtremes: whatever is asked for, the answer is bounded and can be written, or an error.
func TestExtremes(t *testing.T) {
	t.Parallel()
	h := history.New(settings)
	fill(h)
	year := func(y int) time.Time { return time.Date(y, 6, 1, 0, 0, 0, 0, time.UTC) }
	for _, from := range []time.Time{year(1), {}, year(-5), year(1900), time.Unix(0, 0), year(2016), noon.Add(-time.Hour), year(9999)} {
		for _, to := range []time.Time{year(1), time.Unix(1, 0), noon.Add(6 * time.Hour), year(2300), year(9000), year(9999), year(99999)} {
			for _, step := range []time.Duration{-time.Hour, 0, 1, time.Minute, 7 * time.Minute, time.Hour, 60 * day, ban.MaxDuration, time.Duration(ban.Permanent)} {
				s, err := h.Between(from, to, step)
				if err != nil {
					continue
				}
				if _, err := json.Marshal(s); err != nil {
					t.Errorf("%s to %s by %s: %v", from, to, step, err)
				}
				for _, one := range s.Series {
					if len(one.Values) > history.MaxValues {
						t.Errorf("%s to %s by %s: %d values", from, to, step, len(one.Values))
					}
					if one.Kind == history.KindEvent && from.Before(noon) && to.After(noon) && one.Total() != 600 {
						t.Errorf("%s to %s by %s: %d events", from, to, step, one.Total())
					}
				}
			}
		}
	}
	// 60 days do not divide the years since 1970: what happened in May 2026 is shown there.
	s, err := h.Between(year(1980), year(2030), 60*day)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(series(t, s, "event", event.AuthFailure), func(n uint64) bool { return n > 0 })
	if at := s.From.Add(time.Duration(i) * 60 * day); at.After(noon) || at.Add(60*day).Before(noon) {
		t.Errorf("shown at %s", at)
	}
}

// TestClock: a clock that was a day ahead is no reason to count in wrong minutes for a day.
func TestClock(t *testing.T) {
	t.Parallel()
	h := history.New(settings)
	save := func(now time.Time) {
		t.Helper()
		if err := h.Save(now); err != nil {
			t.Fatal(err)
		}
	}
	h.Observe(failure(noon, "192.0.2.1", "1000"))
	h.Observe(failure(noon.Add(day), "192.0.2.1", "1000"))
	save(noon.Add(day))
	for i := range 3 { // it is set back
		h.Observe(failure(noon.Add(time.Duration(i+1)*time.Minute), "192.0.2.1", "1000"))
		save(noon.Add(time.Duration(i+1) * time.Minute))
	}
	s, err := h.Between(noon.Add(4*time.Minute-day), noon.Add(4*time.Minute), 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Step != 15*60 {
		t.Errorf("the last day is known by %d seconds", s.Step)
	}
	s, err = h.Between(noon, noon.Add(4*time.Minute), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := series(t, s, "event", event.AuthFailure); !slices.Equal(got[1:], []uint64{1, 1, 1}) {
		t.Errorf("%d", got)
	}
}

// TestDamagedNames: counters whose names are lost, or of numbers that no name has, are not shown as others,
// and what is counted from then on is right.
func TestDamagedNames(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*bbolt.Tx) error{
		"no names":    func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("names")) },
		"wrong names": func(tx *bbolt.Tx) error { return tx.Bucket([]byte("names")).Put([]byte("names"), []byte("{")) },
		"few names": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("names")).Put([]byte("names"), []byte(`[{"kind":"event","name":"auth_failure","source":"log.freeswitch"}]`))
		},
	} {
		path := filepath.Join(t.TempDir(), "history.db")
		h := history.New(settings)
		if err := h.Open(path); err != nil {
			t.Fatal(err)
		}
		for i := range 200 { // more than a span has counters
			ev := failure(noon, "192.0.2.1", "1000")
			ev.Name = fmt.Sprint("event ", i)
			h.Observe(ev)
		}
		if err := cmp.Or(h.Save(noon), h.Close()); err != nil {
			t.Fatal(err)
		}
		f, err := dbfile.Open(path, time.Second, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmp.Or(f.Update(damage), f.Close()); err != nil {
			t.Fatal(err)
		}
		h = history.New(settings)
		if err := h.Open(path); err != nil {
			t.Fatal(err)
		}
		h.Observe(failure(noon, "192.0.2.1", "1000"))
		got := between(t, h, time.Hour)
		if n := series(t, got, "event", event.AuthFailure)[0]; name != "few names" && n != 1 {
			t.Errorf("%s: %d events", name, n)
		}
		if err := cmp.Or(h.Save(noon), h.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestMaskedTexts: accounts and numbers in reasons are hidden, and those that were kept before it was asked for.
func TestMaskedTexts(t *testing.T) {
	t.Parallel()
	h := history.New(settings)
	fill(h)
	h.Decide(change(ban.KindBan, noon, "1007@pbx.example"))
	for i, why := range []string{
		"protected: registered (1007@pbx.example, 1008@pbx.example and 2 more); failed: 1009@pbx.example; 5 in 10m, per user 1007",
		"protected: registered (1007@pbx.example); failed: 1007@pbx.example; auth_failure", "trusted: 1007@pbx.example (dialer)",
	} {
		c := change(ban.KindSpare, noon, fmt.Sprintf("203.0.113.%d", i))
		c.Why, c.Ban.Reason = why, "called +49301234567 all night"
		h.Decide(c)
	}
	c := change(ban.KindAlert, noon, "203.0.113.9")
	c.Ban.Target, c.Key = ban.Target{}, "203.0.113.9,1007@pbx.example,0019005551234"
	h.Decide(c)
	h.Configure(history.Settings{Days: 90, Masked: true})
	h.Decide(c)
	text, err := json.Marshal([]any{between(t, h, time.Hour), h.Incidents(noon)})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"1007", "1008", "1009", "5551234", "1234567"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	for _, want := range []string{`"203.0.113.9,1**7@pbx.example,00190*******4"`, `"why":"protected: registered"`, "called +4930******7 all night", `"203.0.113.1"`, "trusted: 1**7@pbx.example"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// TestFactsAreMasked: no account, and nothing that was dialled, is left in the masked reason of a rule that names it.
func TestFactsAreMasked(t *testing.T) {
	t.Parallel()
	for i := range event.Fields {
		if f := &event.Fields[i]; !f.Private {
			continue
		} else if _, err := rule.ParseFact("of <" + f.Name + "> in"); err != nil {
			t.Fatal(err)
		} else {
			for _, secret := range []string{"anna", "100", "4930123456", "anna, or bob (anna@pbx.example); anna", `anna"anna`, "bob\\", strings.Repeat("anna ", 40)} {
				reason := reasonOf(t, f, secret)
				for _, masked := range []string{history.MaskReason(reason), history.MaskReason(reason[:len(reason)/2])} {
					for _, word := range []string{"anna", "100", "30123456", "bob"} {
						if strings.Contains(masked, word) {
							t.Errorf("%s: %q is masked as %q", f.Name, reason, masked)
						}
					}
				}
			}
		}
	}
}

// reasonOf returns the reason of a firing by an event with a value in a field.
func reasonOf(t *testing.T, f *event.Field, value string) (reason string) {
	ev := &event.Event{Name: "x", Source: "log.x", Time: time.Unix(1, 0)}
	*f.At(ev) = value
	match, problems := rule.Compile("event == 'x'", rule.Vocabulary{Open: true})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	set := rule.NewSet([]*rule.Spec{{Name: "r", On: []string{"log.x"}, Match: match, Alert: &rule.Alert{}, Fact: rule.Fact("of <" + f.Name + "> in")}})
	set.Observe(ev, func(fired *rule.Firing) { reason = fired.Reason })
	if !strings.HasPrefix(reason, "of ") {
		t.Fatalf("%s is not named in %q", f.Name, reason)
	}
	return reason
}

// TestForgottenIncidents: the file has the incidents of the memory and no others, whatever was banned, forgotten
// and banned again before it was saved.
func TestForgottenIncidents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	h := history.New(settings)
	if err := h.Open(path); err != nil {
		t.Fatal(err)
	}
	for round := range 6 {
		now := noon.Add(time.Duration(round) * time.Hour)
		for i := range 1500 {
			target := (i + 97*round) % 2000
			h.Decide(change(ban.KindBan, now, fmt.Sprintf("192.0.%d.%d", target>>8, target&255)))
		}
		if err := h.Save(now); err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 {
			continue
		}
		want := h.Incidents(noon)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h = history.New(settings)
		if err := h.Open(path); err != nil {
			t.Fatal(err)
		}
		if got := h.Incidents(noon); len(want) < 400 || !slices.EqualFunc(got, want, func(a, b history.Incident) bool { return a.Target == b.Target && a.Bans == b.Bans }) {
			t.Fatalf("round %d: %d incidents in the file, %d in memory", round, len(got), len(want))
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}
