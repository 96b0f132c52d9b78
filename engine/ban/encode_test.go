package ban

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// TestEncode compares what is encoded field by field with what the library makes of the structs.
func TestEncode(t *testing.T) {
	type plainStored stored // without EncodeMsgpack
	type plainTexts texts
	same := func(got, want any) {
		t.Helper()
		if g, w := encoded(t, got), encoded(t, want); !bytes.Equal(g, w) {
			t.Errorf("%x\nwant %x", g, w)
		}
	}
	for _, s := range someStored() {
		same(&s, (*plainStored)(&s))
	}
	for _, long := range someTexts {
		all := texts{Key: recordKey(Address(netip.MustParseAddr("203.0.113.7"))), Events: []text{{"1000", "pbx", long, true, false}, {long, "", "", false, true}}}
		same(&all, (*plainTexts)(&all))
	}
}

func encoded(t testing.TB, value any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := newEncoder(&b).Encode(value); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// someTexts have lengths of all forms.
var someTexts = []string{"", "short", strings.Repeat("x", 40), strings.Repeat("y", 300), strings.Repeat("z", 70_000)}

// someStored are records with numbers, times and texts of all forms.
func someStored() (all []stored) {
	now := time.Date(2026, 5, 4, 10, 0, 0, 123456000, time.UTC)
	address := Address(netip.MustParseAddr("203.0.113.7"))
	for _, long := range someTexts {
		for _, n := range []int64{0, 1, -1, 100, -100, 200, 40_000, -40_000, 1 << 20, -1 << 20, 1 << 40, -1 << 40} {
			b := &Ban{Target: address, Rule: "r", Source: "log.x", Author: ByRule, Key: long, Reason: long, Offence: 3, Term: Term(n), Start: now, Until: now.Truncate(time.Second), Forget: time.Duration(n)}
			if n > 0 {
				b.Actions, b.Until = []string{"iptables.drop", long}, time.Time{}
			}
			s := stored{Record: Record{Ban: b, Offences: int(n), Until: now, Forget: now.Add(time.Duration(n)), Grace: time.Time{}}, Texts: uint64(n)}
			if n != 1 {
				s.Trail = &trail{Kinds: []eventKind{{"auth_failure", "log.x", long}}, Events: []int64{n, 0, 1 << 20, 0}}
			}
			all = append(all, s)
		}
		all = append(all, stored{Record: Record{Grace: now}}, stored{Record: Record{Grant: &Trusted{Name: long, Since: now}}})
	}
	return all
}

// TestDecode: what encode.go writes is decoded without the library, unless there is a grant.
func TestDecode(t *testing.T) {
	for _, s := range someStored() {
		d := decoder{rest: encoded(t, &s)}
		if d.stored(); d.odd != (s.Record.Grant != nil) || !d.odd && len(d.rest) > 0 {
			t.Errorf("%+v: odd %t, %d bytes left", s, d.odd, len(d.rest))
		}
	}
}

// FuzzDecode compares what is decoded field by field with what the library makes of the same bytes.
func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 0))
	for _, s := range someStored() {
		value := encoded(f, &s)
		f.Add(value)
		for range 20 { // the damage is where the fields are
			value := bytes.Clone(value[:min(len(value), 200+rng.IntN(200))])
			value[rng.IntN(len(value))] = byte(rng.Uint32())
			f.Add(value[:len(value)-rng.IntN(2)])
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		// Words of the ban before must not get into the next one.
		d := decoder{rest: value, last: Ban{Rule: "r", Source: "log.x", Author: "rul", Key: "short", Reason: "x"}}
		got := d.stored()
		if d.odd {
			return
		}
		var want stored
		if err := msgpack.Unmarshal(value, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%x: %+v\nwant %+v, %v", value, got, want, err)
		}
		brief := decoder{rest: value, brief: true}
		if b := brief.stored(); brief.odd || !reflect.DeepEqual(b.Record, want.Record) || (b.Trail == nil) != (want.Trail == nil) {
			t.Fatalf("%x: in brief %+v\nwant %+v", value, b, want)
		}
	})
}
