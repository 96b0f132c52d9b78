package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A zone answers lookups of one name: addresses or an error, by network.
type zone map[string]any

func (z zone) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host != "sip.carrier.example." {
		return nil, fmt.Errorf("asked for %s", host)
	}
	switch answer := z[network].(type) {
	case string:
		var all []netip.Addr
		for _, one := range strings.Fields(answer) {
			all = append(all, netip.MustParseAddr(one))
		}
		return all, nil
	case error:
		return nil, answer
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

var notFound = &net.DNSError{Err: "no such host", IsNotFound: true}

// TestAnswers: each answer follows an answer with 203.0.113.1 and 2001:db8::1.
func TestAnswers(t *testing.T) {
	const both = "203.0.113.1 2001:db8::1"
	servfail := errors.New("server misbehaving")
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("203.0.113.%d", 120-i))
	}
	for name, test := range map[string]struct {
		v4, v6  any
		want    string
		problem string // "": none
	}{
		"moved":              {"203.0.113.3 203.0.113.2", "2001:db8::2", "203.0.113.2 203.0.113.3 2001:db8::2", ""},
		"no IPv6 any more":   {"203.0.113.1", notFound, "203.0.113.1", ""},
		"no IPv4 any more":   {notFound, "2001:db8::1", "2001:db8::1", ""},
		"gone":               {notFound, notFound, both, "stay trusted: lookup : no such host"},
		"servers fail":       {servfail, servfail, both, "stay trusted"},
		"IPv4 fails":         {servfail, "2001:db8::2", "203.0.113.1 2001:db8::2", "server misbehaving"},
		"IPv6 fails":         {"203.0.113.2", servfail, "203.0.113.2 2001:db8::1", "server misbehaving"},
		"no answer":          {nil, nil, both, "deadline exceeded"},
		"empty":              {"", "", both, "has no address"},
		"a filter":           {"0.0.0.0", "::", both, "the answer :: is the address of no host on a network"},
		"nothing of a host":  {"127.0.0.1 224.0.0.1 255.255.255.255", "ff02::1 fe80::1%eth0", both, "no host"},
		"some of them":       {"203.0.113.2 0.0.0.0", notFound, "203.0.113.2", ""},
		"IPv4-mapped, twice": {"203.0.113.2", "::ffff:203.0.113.2", "203.0.113.2", ""},
		"many":               {strings.Join(many, " "), notFound, strings.Join(slices.Sorted(slices.Values(many))[:MaxAddresses], " "), "4 are not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var table Table
				table.SetNames([]string{"sip.carrier.example"})
				answer := func(z zone) Change {
					t.Helper()
					due := table.Due(time.Now())
					if len(due) != 1 || len(table.Due(time.Now())) != 0 {
						t.Fatalf("due: %v", due)
					}
					return table.Take(LookUp(t.Context(), z.resolve, due[0]), time.Now())
				}
				if c := answer(zone{"ip4": "203.0.113.1", "ip6": "2001:db8::1"}); len(c.Added) != 2 || c.Failed != nil {
					t.Fatalf("at first %+v", c)
				}
				time.Sleep(every)
				began := time.Now()
				c := answer(zone{"ip4": test.v4, "ip6": test.v6})
				if took := time.Since(began); took > timeout {
					t.Errorf("the lookup took %v", took)
				}
				got := strings.Trim(fmt.Sprint(table.Addresses("sip.carrier.example")), "[]")
				if got != test.want || (got == both) != (len(c.Added)+len(c.Removed) == 0) {
					t.Errorf("%s, want %s; %+v", got, test.want, c)
				}
				problem := table.Problem("sip.carrier.example")
				if (problem == "") != (test.problem == "") || !strings.Contains(problem, test.problem) {
					t.Errorf("problem %q, want %q", problem, test.problem)
				}
				again := every
				if c.Failed != nil {
					again = retry
				}
				if now := time.Now(); len(table.Due(now.Add(again-1))) != 0 || len(table.Due(now.Add(again))) != 1 {
					t.Errorf("not due again after %v", again)
				}
			})
		})
	}
}

// TestNamesStay: a reload and a restart keep the addresses of the names that stay.
func TestNamesStay(t *testing.T) {
	var table, restarted Table
	table.SetNames([]string{"a.example", "b.example"})
	one := []netip.Addr{netip.MustParseAddr("203.0.113.1")}
	for _, name := range []string{"a.example", "b.example"} {
		table.Take(Answer{name: name, addrs: [2][]netip.Addr{one}}, time.Now())
	}
	saved, err := table.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	table.SetNames([]string{"b.example", "c.example"})
	table.Take(Answer{name: "a.example", addrs: [2][]netip.Addr{one}}, time.Now()) // it comes after the reload
	restarted.SetNames([]string{"b.example", "c.example"})
	if err := restarted.UnmarshalBinary(saved); err != nil {
		t.Fatal(err)
	}
	for _, table := range []*Table{&table, &restarted} {
		if len(table.Addresses("a.example")) != 0 || !slices.Equal(table.Addresses("b.example"), one) || len(table.Addresses("c.example")) != 0 {
			t.Errorf("%v, %v, %v", table.Addresses("a.example"), table.Addresses("b.example"), table.Addresses("c.example"))
		}
	}
	if restarted.UnmarshalBinary([]byte("{")) == nil {
		t.Error("a damaged text was read")
	}
}
