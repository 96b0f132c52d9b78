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
	Seed  []byte
	Hosts []savedHost
}

type savedHost struct {
	Host     netip.Addr
	Failures []failure
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (f *Failures) MarshalBinary() ([]byte, error) {
	all, left := savedFailures{Seed: f.seed}, maxSaved
	for _, proven := range []bool{true, false} {
		for host, failures := range f.at.All() {
			one := savedHost{Host: host}
			for _, failure := range slices.Backward(failures) {
				if failure.Proven == proven && left > 0 {
					failure.At = failure.At.Add(f.base)
					one.Failures = append(one.Failures, failure)
					left--
				}
			}
			if len(one.Failures) > 0 {
				all.Hosts = append(all.Hosts, one)
			}
		}
	}
	return msgpack.Marshal(all)
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler], for what has no failures yet.
func (f *Failures) UnmarshalBinary(saved []byte) error {
	var all savedFailures
	if err := msgpack.Unmarshal(saved, &all); err != nil {
		return err
	}
	if len(all.Seed) != len(f.seed) {
		return fmt.Errorf("the seed of saved failures has %d bytes", len(all.Seed))
	}
	f.seed = all.Seed
	for _, one := range slices.Backward(all.Hosts) {
		known, _ := f.at.Get(one.Host)
		for _, failure := range slices.Backward(one.Failures) {
			failure.At = failure.At.Add(-f.base)
			known = append(known, failure)
		}
		f.at.Put(one.Host, known)
	}
	return nil
}
