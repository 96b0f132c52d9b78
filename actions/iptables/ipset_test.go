package iptables

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAppendEntry compares with a message of `ipset restore`, recorded with strace,
// except for protocol number, order of attributes and line number.
func TestAppendEntry(t *testing.T) {
	got := appendEntry(nil, entry{target: targetOf("203.0.113.7/32"), timeout: 3600}, false)
	want := []byte{
		36, 0, 7, 0x80, // IPSET_ATTR_DATA, nested
		12, 0, 1, 0x80, 8, 0, 1, 0x40, 203, 0, 113, 7, // IP, IPADDR_IPV4 in network order
		5, 0, 3, 0, 32, 0, 0, 0, // CIDR
		8, 0, 6, 0x40, 0, 0, 14, 16, // TIMEOUT
	}
	want[0] = byte(len(want))
	if !bytes.Equal(got, want) {
		t.Errorf("\n%v\n%v", got, want)
	}
}

var someEntries = []entry{
	{targetOf("203.0.113.7/32"), 3600, 12, 3456},
	{targetOf("198.51.100.0/24"), 0, 0, 0},
	{targetOf("2001:db8::/64"), maxTimeout, 1 << 40, 1 << 50},
	{targetOf("203.0.113.7:5060/udp"), 60, 1, 2},
	{targetOf("[2001:db8::7]:5061/tcp"), 0, 0, 0},
}

func listMessage(entries []entry) []byte {
	b := appendCreate(nil, unix.AF_INET, &set{kind: "hash:net", revision: netRevision}, "freeswitch-blocked", 4096)
	list := len(b)
	b = appendNest(b, attrADT)
	for _, e := range entries {
		b = appendEntry(b, e, false)
	}
	closeNest(b, list)
	return b
}

func TestListRoundTrip(t *testing.T) {
	var h setHeader
	var got []entry
	err := decodeList(listMessage(someEntries), &h, func(e entry) { got = append(got, e) })
	if err != nil || !slices.Equal(got, someEntries) {
		t.Errorf("%v, %v", got, err)
	}
	if want := (setHeader{typeName: "hash:net", family: unix.AF_INET, maxElem: 4096, counters: true, timeouts: true}); h != want {
		t.Errorf("%+v", h)
	}
}

func TestMalformedLists(t *testing.T) {
	for _, b := range [][]byte{nil, {1}, {2, 0, 0, 0, 3, 0, 1, 0}, {2, 0, 0, 0, 200, 0, 1, 0}} {
		if err := decodeList(b, &setHeader{}, func(entry) {}); err == nil {
			t.Errorf("%v: accepted", b)
		}
	}
}

func FuzzDecodeList(f *testing.F) {
	f.Add(listMessage(someEntries))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h setHeader
		_ = decodeList(b, &h, func(e entry) {
			if !e.target.IsValid() {
				t.Fatalf("%+v", e)
			}
		})
	})
}

func FuzzFlowSource(f *testing.F) {
	f.Add(appendFlowFilter(flowRequest(unix.AF_INET), netip.MustParseAddr("203.0.113.7")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if flowSource(b).IsValid() && !bytes.Contains(b, []byte{flowTupleOrig, nested >> 8}) && !bytes.Contains(b, []byte{flowTupleOrig, 0}) {
			t.Fatal("a source without a tuple: its deletion would delete every flow")
		}
	})
}

func TestFlowSource(t *testing.T) {
	flow := appendFlowFilter(flowRequest(unix.AF_INET), netip.MustParseAddr("203.0.113.7"))
	if source := flowSource(flow); source != targetOf("203.0.113.7") {
		t.Error(source)
	}
	reply := slices.Clone(flow)
	reply[6] = 2 // the tuple of the reply
	for _, b := range [][]byte{nil, flow[:3], flow[:4], flow[:len(flow)-1], reply} {
		if source := flowSource(b); source.IsValid() {
			t.Errorf("%v: %s", b, source)
		}
	}
}

func TestIPSetError(t *testing.T) {
	for errno, want := range map[unix.Errno]string{
		errFull: "ipset add to x: the set is full: errno 4352", 4108: "in use by a rule", unix.ENOMEM: "cannot allocate memory",
	} {
		if err := ipsetError("add to", "x", errno); !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
	if err := ipsetError("add to", "x", unix.EPERM); !strings.Contains(err.Error(), "CAP_NET_") {
		t.Error(err)
	}
}
