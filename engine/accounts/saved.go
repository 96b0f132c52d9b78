package accounts

import (
	"maps"
	"unique"

	"github.com/vmihailenco/msgpack/v5"
)

// A savedTable is what a restart keeps of a table.
type savedTable struct {
	Base, Since int64
	Accounts    map[string]*account
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (t *Table) MarshalBinary() ([]byte, error) {
	return msgpack.Marshal(savedTable{t.base, t.since, t.accounts})
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler], for a table without accounts.
func (t *Table) UnmarshalBinary(saved []byte) error {
	var s savedTable
	if err := msgpack.Unmarshal(saved, &s); err != nil {
		return err
	}
	maps.DeleteFunc(s.Accounts, func(_ string, a *account) bool { return a == nil })
	t.base, t.since = s.Base, s.Since
	maps.Copy(t.accounts, s.Accounts)
	return nil
}

// A destination is a country and a type of number, "DE mobile", in 8 bytes.
type destination struct{ unique.Handle[string] }

// MarshalText implements [encoding.TextMarshaler].
func (d destination) MarshalText() ([]byte, error) { return []byte(d.Value()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *destination) UnmarshalText(text []byte) error {
	d.Handle = unique.Make(string(text))
	return nil
}
