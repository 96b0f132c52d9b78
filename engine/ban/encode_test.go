package ban

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestEncode compares what is encoded field by field with what the library makes of the structs.
func TestEncode(t *testing.T) {
	type plainStored stored // without EncodeMsgpack
	type plainTexts texts
	encoded := func(value any) []byte {
		var b bytes.Buffer
		if err := newEncoder(&b).Encode(value); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	same := func(got, want any) {
		t.Helper()
		if g, w := encoded(got), encoded(want); !bytes.Equal(g, w) {
			t.Errorf("%x\nwant %x", g, w)
		}
	}
	now := time.Date(2026, 5, 4, 10, 0, 0, 123456000, time.UTC)
	address := Address(netip.MustParseAddr("203.0.113.7"))
	for _, long := range []string{"", "short", strings.Repeat("x", 40), strings.Repeat("y", 300), strings.Repeat("z", 70_000)} {
		for _, n := range []int64{0, 1, -1, 100, -100, 200, 40_000, -40_000, 1 << 20, -1 << 20, 1 << 40, -1 << 40} {
			b := &Ban{Target: address, Rule: "r", Source: "log.x", Author: ByRule, Key: long, Reason: long, Offence: 3, Term: Term(n), Start: now, Until: now.Truncate(time.Second), Forget: time.Duration(n)}
			if n > 0 {
				b.Actions, b.Until = []string{"iptables.drop", long}, time.Time{}
			}
			s := stored{Record: Record{Ban: b, Offences: int(n), Until: now, Forget: now.Add(time.Duration(n)), Grace: time.Time{}}, Texts: uint64(n)}
			s.Trail = &trail{Kinds: []eventKind{{"auth_failure", "log.x", long}}, Events: []int64{n, 0, 1 << 20, 0}}
			same(&s, (*plainStored)(&s))
			s = stored{Record: Record{Grant: &Trusted{Name: long, Since: now}}}
			same(&s, (*plainStored)(&s))
			all := texts{Key: recordKey(address), Events: []text{{"1000", "pbx", long, true, false}, {long, "", "", false, true}}}
			same(&all, (*plainTexts)(&all))
		}
	}
}
