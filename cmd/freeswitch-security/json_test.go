package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/ban"
)

var (
	changeKeys   = []string{"seq", "kind", "time", "target", "rule", "source", "author", "key", "reason", "offence", "actions", "evidence", "why", "standing", "dryRun"}
	banKeys      = []string{"for", "addedAt", "expiresAt"} // absent where there is none
	evidenceKeys = []string{"time", "event", "source", "ip", "user", "domain", "proven", "text"}
)

// parseChange parses a line of a replay's JSON, and checks that it has all keys in their form.
func parseChange(text string) (c ban.Change, err error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, err
	}
	var evidence []map[string]json.RawMessage
	if err := json.Unmarshal(raw["evidence"], &evidence); err != nil {
		return c, err
	}
	for _, key := range banKeys {
		delete(raw, key)
	}
	errs := []error{keys(raw, changeKeys)}
	for _, e := range evidence {
		errs = append(errs, keys(e, evidenceKeys))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		errs = append(errs, errors.New("a control character"))
	}
	return c, errors.Join(append(errs, checkChange(&c))...)
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

// checkChange returns what is not of its form.
func checkChange(c *ban.Change) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	times := []time.Time{c.At}
	for _, e := range c.Evidence {
		times = append(times, e.Time)
	}
	for _, t := range times {
		if t.IsZero() || t.Location() != time.UTC {
			wrong("time %v", t)
		}
	}
	if !slices.Contains(ban.Kinds, c.Kind) {
		wrong("kind %q", c.Kind)
	}
	if c.Kind == ban.KindAlert {
		if c.Term != 0 || c.Offence != 0 || !c.Until.IsZero() {
			wrong("an alert with a ban: %+v", c)
		}
		return errors.Join(errs...)
	}
	if c.Offence < 1 || c.Term <= 0 || c.Until.IsZero() != (c.Term == ban.Permanent) || !c.Target.IsValid() {
		wrong("%s of %q with offence %d for %s until %v", c.Kind, c.Target, c.Offence, c.Term, c.Until)
	}
	return errors.Join(errs...)
}

// covers reports whether the target contains an address.
func covers(c *ban.Change, ip string) bool {
	return c.Target.Prefix().Contains(netip.MustParseAddr(ip))
}
