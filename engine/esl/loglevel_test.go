package esl

import (
	"errors"
	"testing"

	"freeswitch-security/engine/esl/esltest"
)

// TestHidesWarnings sets the log level of the fake switch.
func TestHidesWarnings(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{Password: password})
	sw := Switch{Address: fake.Addr(), Password: password, limits: patient}
	for level, want := range map[string]bool{"debug": false, "4": false, "err": true} {
		c, err := sw.Console(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.API(t.Context(), "fsctl", "loglevel", level); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got, err := sw.HidesWarnings(t.Context()); got != want || err != nil {
			t.Errorf("%s: %t, %v", level, got, err)
		}
	}
	fake.Close()
	if hidden, err := sw.HidesWarnings(t.Context()); hidden || !errors.Is(err, ErrUnreachable) {
		t.Errorf("a switch that is gone: %t, %v", hidden, err)
	}
}
