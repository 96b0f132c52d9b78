package registrations

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// maxSaved bounds the failures that are saved: 1 MB. The proven ones come first, which a forger cannot
// make, and of these and the others those of the hosts that failed last.
const maxSaved = 20_000

// savedFailures are what a restart keeps of failures.
type savedFailures struct {
	Seed []byte
	All  []savedFailure // the latest of a host first
}

type savedFailure struct {
	//lint:ignore U1000 msgpack reads its tag
	_msgpack struct{} `msgpack:",as_array"`
	Host     netip.Addr
	Failure  failure
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (f *Failures) MarshalBinary() ([]byte, error) {
	saved := savedFailures{Seed: f.seed}
	for _, proven := range []bool{true, false} {
		for host, failures := range f.at.All() {
			for _, one := range slices.Backward(failures) {
				if one.Proven == proven && len(saved.All) < maxSaved {
					one.At = one.At.Add(f.base)
					saved.All = append(saved.All, savedFailure{Host: host, Failure: one})
				}
			}
		}
	}
	return msgpack.Marshal(saved)
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler], for what has no failures yet.
func (f *Failures) UnmarshalBinary(data []byte) error {
	var saved savedFailures
	if err := msgpack.Unmarshal(data, &saved); err != nil {
		return err
	}
	if len(saved.Seed) != len(f.seed) {
		return fmt.Errorf("the seed of saved failures has %d bytes", len(saved.Seed))
	}
	f.seed = saved.Seed
	for _, one := range slices.Backward(saved.All) {
		known, _ := f.at.Get(one.Host)
		one.Failure.At = one.Failure.At.Add(-f.base)
		f.at.Put(one.Host, append(known, one.Failure))
	}
	return nil
}
