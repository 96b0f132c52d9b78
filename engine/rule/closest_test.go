package rule

import (
	"fmt"
	"testing"
	"time"
)

func TestClosest(t *testing.T) {
	hosts, accounts := guessing(t), guessing(t)
	hosts.Name, accounts.Name = "hosts", "accounts"
	hosts.Threshold = &Threshold{Count: 5, Within: 10 * time.Minute, Per: Key{{Field: "ip", Network: Host}}}
	accounts.Threshold = &Threshold{Count: 10, Within: time.Hour, Per: Key{{Field: "user"}, {Field: "domain"}}, Distinct: "ip"}
	s := NewSet([]*Spec{hosts, accounts})
	observe(s, failure("203.0.113.7", 0), failure("203.0.113.7", 1), failure("203.0.113.7", 2), failure("2001:db8::7", 3), failure("203.0.113.9", -3600))

	var got []string
	for _, n := range s.Closest(10, start.Add(5*time.Second)) {
		got = append(got, fmt.Sprintf("%s %s %d/%d %s", n.Rule, n.Key, n.Count, n.Limit, n.Last.Sub(start)))
	}
	want := []string{"hosts 203.0.113.7 3/5 2s", "accounts 1000@pbx.example 2/10 3s", "hosts 2001:db8::/64 1/5 3s"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := s.Closest(1, start.Add(5*time.Second)); len(got) != 1 || got[0].Count != 3 {
		t.Errorf("the closest one: %v", got)
	}
	if got := s.Closest(10, start.Add(24*time.Hour)); got != nil {
		t.Errorf("a day later: %v", got)
	}
}
