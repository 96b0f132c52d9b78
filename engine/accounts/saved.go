package accounts

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"unique"
)

// MarshalBinary implements [encoding.BinaryMarshaler]. It is called while no event is taken, so it
// must be fast: 20,000 accounts take some 10 ms.
func (t *Table) MarshalBinary() ([]byte, error) {
	b := ints(make([]byte, 0, 256*len(t.accounts)), t.base, t.since, int64(len(t.accounts)))
	for name, a := range t.accounts {
		b = text(b, name)
		b = ints(b, a.first, a.last, a.guessed, int64(a.moved), a.day, int64(len(a.networks)))
		for _, n := range a.networks {
			packed, _ := n.key.AppendBinary(nil) // it cannot fail
			b = ints(text(b, string(packed)), n.first, n.last)
		}
		b = ints(b, int64(len(a.destinations)))
		for _, d := range a.destinations {
			b = ints(text(b, d.key.Value()), d.first, d.last)
		}
	}
	return b, nil
}

func ints(b []byte, all ...int64) []byte {
	for _, i := range all {
		b = binary.AppendVarint(b, i)
	}
	return b
}

func text(b []byte, s string) []byte { return append(ints(b, int64(len(s))), s...) }

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. Nothing is restored of what is damaged: with
// history_days, but without the accounts, all that their owners do would be new.
func (t *Table) UnmarshalBinary(saved []byte) error {
	r := reader{rest: saved}
	base, since, accounts := r.int(), r.int(), map[string]*account{}
	for range r.count() {
		name := r.text()
		a := &account{first: r.int(), last: r.int(), guessed: r.int(), moved: uint16(r.int()), day: r.int()}
		for range r.count() {
			var network netip.Prefix
			if err := network.UnmarshalBinary([]byte(r.text())); err != nil {
				return err
			}
			a.networks = append(a.networks, sighting[netip.Prefix]{network, r.int(), r.int()})
		}
		for range r.count() {
			a.destinations = append(a.destinations, sighting[destination]{unique.Make(r.text()), r.int(), r.int()})
		}
		accounts[name] = a
	}
	if r.cut || len(r.rest) > 0 {
		return errors.New("the saved history of accounts is damaged")
	}
	t.base, t.since, t.accounts = base, since, accounts
	return nil
}

// A reader reads what MarshalBinary wrote. Behind the end there are zeros.
type reader struct {
	rest []byte
	cut  bool // it ended too soon
}

func (r *reader) int() int64 {
	i, n := binary.Varint(r.rest)
	if n <= 0 {
		r.cut, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return i
}

// count reads how many elements follow: of what was damaged, no more than there are bytes.
func (r *reader) count() int {
	n := r.int()
	if n < 0 || n > int64(len(r.rest)) {
		r.cut, n = true, 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
