package rule

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkObserve is one event, by the number of rules that name another event, and of
// rules that name the event and do not match.
func BenchmarkObserve(b *testing.B) {
	for name, match := range map[string]string{
		"other event": "event == 'call' and method == 'INVITE' and user == '%d'",
		"no match":    "event == 'auth_failure' and method == 'REGISTER' and user == 'other%d'",
	} {
		for _, rules := range []int{1, 20, 200} {
			b.Run(fmt.Sprintf("%s/%d rules", name, rules), func(b *testing.B) {
				var specs []*Spec
				for i := range rules {
					spec := guessing(b)
					spec.Name, spec.Match = fmt.Sprint(i), compiled(b, fmt.Sprintf(match, i))
					specs = append(specs, spec)
				}
				s := NewSet(specs)
				ev := failure("203.0.113.7", 0)
				b.ReportAllocs()
				for b.Loop() {
					s.Observe(ev, func(*Firing) {})
				}
			})
		}
	}
}

// BenchmarkCount is one event that one rule counts: all of one address, and each of
// another address.
func BenchmarkCount(b *testing.B) {
	for _, addresses := range []string{"one address", "many addresses"} {
		b.Run(addresses, func(b *testing.B) {
			spec := guessing(b)
			spec.Threshold.Count = 5
			s := NewSet([]*Spec{spec})
			ev := failure("10.0.0.0", 0)
			b.ReportAllocs()
			for b.Loop() {
				s.Observe(ev, func(*Firing) {})
				ev.Time = ev.Time.Add(20 * time.Second)
				if addresses != "one address" {
					ev.IP = ev.IP.Next()
				}
			}
		})
	}
}
