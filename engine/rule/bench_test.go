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

// BenchmarkThen is one event that a rule waits for: of a key without a window, and of a
// key whose window is not full.
func BenchmarkThen(b *testing.B) {
	for _, failures := range []int{0, 2} {
		b.Run(fmt.Sprintf("%d failures", failures), func(b *testing.B) {
			s := NewSet([]*Spec{guessed(b)})
			for i := range failures {
				observe(s, failure("203.0.113.7", i))
			}
			ev := success("203.0.113.7", failures)
			b.ReportAllocs()
			for b.Loop() {
				s.Observe(ev, func(*Firing) {})
			}
		})
	}
}

func BenchmarkBytesPerKey(b *testing.B) {
	total := 0.0
	for b.Loop() {
		total += bytesPerKey(200_000)
	}
	b.ReportMetric(total/float64(b.N), "bytes/key")
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := Compile("event == 'auth_failure' and method == 'REGISTER' and in_network(ip, '10.0.0.0/8')", Vocabulary{}); problems != nil {
			b.Fatal(problems)
		}
	}
}

// BenchmarkKeyer is the digest of one event's account, in small letters and in mixed case.
func BenchmarkKeyer(b *testing.B) {
	for _, domain := range []string{"pbx.example.com", "PBX.example.com"} {
		b.Run(domain, func(b *testing.B) {
			k := newKeyer(Key{{Field: "user"}, {Field: "domain"}}, nil)
			ev := failure("203.0.113.7", 0)
			ev.Domain = domain
			b.ReportAllocs()
			for b.Loop() {
				k.digest(ev)
			}
		})
	}
}
