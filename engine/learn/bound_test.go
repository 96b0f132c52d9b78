package learn

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
)

// TestManyAddresses keeps the addresses that registered, and the busiest, when there is
// no room for all.
func TestManyAddresses(t *testing.T) {
	r := record(t, guessing(t))
	r.limit = 1000
	r.office("203.0.113.7")
	for i := range 10_000 {
		r.fail(fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff), "100", 1)
	}
	f := r.Conclude()
	if len(r.addresses) > r.limit || f.Addresses < 10_001 || f.Forgotten != int64(f.Addresses-len(r.addresses)) {
		t.Errorf("%d addresses held; %+v", len(r.addresses), f)
	}
	if f.Genuine != 1 {
		t.Error("the office was dropped")
	}
}

// TestMemory fills records to their bounds, and compares their size with the limit that
// the package documents. The windows of the rules have bounds of their own.
func TestMemory(t *testing.T) {
	const addresses, documented = 10_000, 300 << 20
	names := make([]string, maxFailed)
	for i := range names {
		names[i] = fmt.Sprintf("a name of some length, number %02d of %d of them", i, maxFailed)
	}
	const rules = 3
	r := record(t)
	r.limit = addresses + 1
	r.fail("203.0.113.7", "100", 1)
	before := golden.Heap()
	ip := netip.MustParseAddr("10.0.0.0")
	for i := range addresses {
		ip = ip.Next()
		for j, name := range names {
			ev := &event.Event{
				Time: start.Add(time.Duration(i) * time.Second), Source: stream, IP: ip,
				Name: []string{event.Call, event.AuthFailure}[j&1], User: name, Destination: name, UserAgent: name,
			}
			r.Record(ev)
		}
		for i := range rules {
			r.address(ip).reach(i, 1, 1)
		}
	}
	grown := (golden.Heap() - before) * maxAddresses / addresses
	t.Logf("%d MB for %d addresses like %d of these", grown>>20, maxAddresses, len(r.addresses))
	if len(r.addresses) != r.limit || grown > documented {
		t.Errorf("%d MB, documented are %d", grown>>20, documented>>20)
	}
}
