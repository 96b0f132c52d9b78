package rule

import (
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

func TestAdopt(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Spec)
		fires  bool // with the third match
	}{
		"nothing":       {func(*Spec) {}, true},
		"lower count":   {func(s *Spec) { s.Threshold.Count = 1 }, true},
		"higher count":  {func(s *Spec) { s.Threshold.Count = 4 }, false},
		"sources moved": {func(s *Spec) { s.On = []string{s.On[1], s.On[0]} }, true},
		"ban":           {func(s *Spec) { s.Ban = &Ban{Terms: []ban.Term{ban.Permanent}, Network: Host, All: true} }, true},
		"other name":    {func(s *Spec) { s.Name = "other" }, false},
		"other match":   {func(s *Spec) { s.Match = compiled(t, "event == \"auth_failure\"") }, false},
		"other time":    {func(s *Spec) { s.Threshold.Within = time.Hour }, false},
		"other key":     {func(s *Spec) { s.Threshold.Per = Key{{Field: "ip", Network: Network{V4: 32}}} }, false},
		"distinct":      {func(s *Spec) { s.Threshold.Distinct = "user" }, false},
		"fewer sources": {func(s *Spec) { s.On = s.On[:1] }, true},
		"more sources":  {func(s *Spec) { s.On = append([]string{"log.new"}, s.On...) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			old := NewSet([]*Spec{guessing(t)})
			observe(old, failure("203.0.113.7", 0), failure("203.0.113.7", 1))
			spec := guessing(t)
			test.change(spec)
			s := NewSet([]*Spec{spec})
			s.Adopt(old)
			fired := observe(s, failure("203.0.113.7", 2))
			if (len(fired) == 1) != test.fires {
				t.Fatalf("%d firings", len(fired))
			}
			if test.fires && fired[0].Evidence[0].Text != "failure at 0" {
				t.Errorf("the ring was not adopted with the windows: %+v", fired[0].Evidence[0])
			}
			if matches := s.Stats()[0].Matches; (matches == 3) != (spec.Name == "guessing") {
				t.Errorf("%d matches", matches)
			}
		})
	}
}

// TestAdoptHashedKeys checks that the seeds are adopted.
func TestAdoptHashedKeys(t *testing.T) {
	spec := func() *Spec {
		s := guessing(t)
		s.Threshold.Per, s.Threshold.Distinct = Key{{Field: "user"}}, "ip"
		return s
	}
	s := NewSet([]*Spec{spec()})
	var fired int
	for i, ip := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.3"} {
		next := NewSet([]*Spec{spec()})
		next.Adopt(s)
		s = next
		fired += len(observe(s, failure(ip, i)))
	}
	if fired != 1 {
		t.Fatalf("%d firings, want one, at the third address", fired)
	}
}

func TestAdoptKeepsStatusOfDroppedWindows(t *testing.T) {
	old := NewSet([]*Spec{guessing(t)})
	old.rules[0].trackers[0].maxKeys = 1
	observe(old, failure("203.0.113.1", 0), failure("203.0.113.2", 1))
	spec := guessing(t)
	spec.Threshold.Within = time.Hour
	s := NewSet([]*Spec{spec})
	s.Adopt(old)
	if st := s.Stats()[0]; st.Evicted != 1 || st.Tracked != 0 {
		t.Fatalf("%+v", st)
	}
}

// TestManyAddresses observes one failure of each of a million addresses.
func TestManyAddresses(t *testing.T) {
	const addresses = MaxKeys * 3 / 2
	s := NewSet([]*Spec{guessing(t)})
	ev := failure("10.0.0.0", 0)
	for range addresses {
		if fired := observe(s, ev); len(fired) != 0 {
			t.Fatal("fired with one failure each")
		}
		ev.IP = ev.IP.Next()
	}
	st := s.Stats()[0]
	if st.Tracked != MaxKeys || st.Evicted != addresses-MaxKeys || st.Expired != 0 {
		t.Fatalf("%+v", st)
	}
	// A key with a window still fires.
	ev.IP = netip.MustParseAddr("203.0.113.7")
	if fired := observe(s, ev, ev, ev); len(fired) != 1 {
		t.Fatal("no firing")
	}
}
