package engine

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// TestUnchallengedIsHinted has one sender take the challenges, and
// another address fail with them.
func TestUnchallengedIsHinted(t *testing.T) {
	s := tellStory(t, banning(t))
	s.hears(event.Challenge, "1000", "203.0.113.66")
	s.fails(3, "1000", "198.51.100.1")
	s.now = s.now.Add(5 * time.Minute)
	s.hears(event.Challenge, "1000", "203.0.113.66")
	s.hears(event.Challenge, "1000", "203.0.113.7")
	s.fails(3, "1000", "192.0.2.77")
	s.fails(3, "1000", "203.0.113.7")
	s.now = s.now.Add(6 * time.Minute)
	s.hears(event.Challenge, "1000", "203.0.113.66")
	s.now = s.now.Add(6 * time.Minute)
	s.hears(event.Challenge, "1000", "203.0.113.66")
	s.fails(3, "1000", "203.0.113.7")

	var hinted []string
	for _, v := range s.got {
		if v.InForce() {
			hinted = append(hinted, v.Target.String()+" "+map[bool]string{true: "hinted", false: "plain"}[strings.HasSuffix(v.Reason, hint)])
		}
	}
	// There is no hint until the source was followed for the lifetime of a nonce.
	const want = "198.51.100.1 plain, 192.0.2.77 hinted, 203.0.113.7 plain, 203.0.113.7 hinted"
	if got := strings.Join(hinted, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
