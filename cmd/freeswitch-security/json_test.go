package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
)

var (
	verdictKeys  = []string{"time", "verdict", "target", "rule", "source", "offence", "for", "until", "reason", "evidence"}
	evidenceKeys = []string{"time", "event", "source", "ip", "user", "text"}
)

// parseLine reads a line of a replay's JSON, and holds it against what programs
// were promised: all keys, each of its form.
func parseLine(text string) (line, error) {
	var l line
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return l, err
	}
	var evidence []map[string]json.RawMessage
	if err := json.Unmarshal(raw["evidence"], &evidence); err != nil {
		return l, err
	}
	errs := []error{keys(raw, verdictKeys)}
	for _, e := range evidence {
		errs = append(errs, keys(e, evidenceKeys))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		errs = append(errs, errors.New("a control character"))
	}
	return l, errors.Join(append(errs, l.check())...)
}

func keys(object map[string]json.RawMessage, want []string) error {
	if len(object) != len(want) {
		return fmt.Errorf("%d keys, want %q", len(object), want)
	}
	for _, key := range want {
		if _, ok := object[key]; !ok {
			return fmt.Errorf("no key %q", key)
		}
	}
	return nil
}

// check tells what in a line is not of its form.
func (l *line) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	moment := func(what, s string) {
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z", s); err != nil {
			wrong("%s: %w", what, err)
		}
	}
	moment("time", l.Time)
	for _, e := range l.Evidence {
		moment("evidence", e.Time)
	}
	if l.Until != nil {
		moment("until", *l.Until)
	}
	kinds := []engine.VerdictKind{engine.Ban, engine.Unban, engine.Alert, engine.Refused}
	if !slices.Contains(kinds, l.Verdict) {
		wrong("verdict %q", l.Verdict)
	}
	if target, err := ban.ParseTarget(l.Target); l.Target != "" && (err != nil || target.String() != l.Target) {
		wrong("target %q", l.Target)
	}
	if l.Verdict == engine.Alert || l.Verdict == engine.Refused && l.Target == "" {
		return errors.Join(errs...) // there is no ban to tell anything of
	}
	if l.For == nil || l.Offence < 1 {
		wrong("verdict %s with offence %d for %v", l.Verdict, l.Offence, l.For)
	} else if _, err := ban.ParseTerm(*l.For); err != nil {
		wrong("for: %w", err)
	}
	if l.For != nil && (l.Until == nil) != (*l.For == "permanent") {
		wrong("%s for %s until %v", l.Verdict, *l.For, l.Until)
	}
	return errors.Join(errs...)
}

// covers reports whether the verdict's target contains an address.
func (l *line) covers(t testing.TB, ip string) bool {
	t.Helper()
	if l.Target == "" {
		return false
	}
	target, err := ban.ParseNetwork(l.Target)
	if err != nil {
		t.Fatal(err)
	}
	return target.Contains(netip.MustParseAddr(ip))
}
