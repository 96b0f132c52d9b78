package rule

import (
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// maxSaved bounds the windows that are saved: 2 MB. Those with several matches come first, of all rules,
// and of these the latest seen.
const maxSaved = 20_000

// A savedTracker is what a restart keeps of a tracker.
type savedTracker struct {
	Rule, Source, Match string
	Within              time.Duration
	Apart               bool
	Windows             []savedWindow
}

type savedWindow struct {
	Key    digest
	Times  []int64 // microseconds since 1970
	Proven bool    // all of them
}

// savable calls f for each tracker of the rules that ban whose windows mean the same after a restart:
// digests of other keys, and of distinct values, have a seed.
func (s *Set) savable(f func(t *tracker, as savedTracker)) {
	for _, r := range s.rules {
		if r.spec.Ban == nil || r.spec.Threshold == nil || r.distinct != nil || r.spec.Threshold.Concurrent || !r.keyer.isAddress() {
			continue
		}
		for slot, source := range r.spec.On {
			for _, t := range []*tracker{r.trackers[slot], r.apart[slot]} {
				f(t, savedTracker{Rule: r.spec.Name, Source: source, Match: r.spec.Match.String(), Within: r.spec.Threshold.Within, Apart: t == r.apart[slot]})
			}
		}
	}
}

// MarshalBinary implements [encoding.BinaryMarshaler], for the windows of addresses: otherwise an
// attacker would start from zero at each restart.
func (s *Set) MarshalBinary() ([]byte, error) {
	var all []savedTracker
	left := maxSaved
	for _, several := range []bool{true, false} {
		s.savable(func(t *tracker, as savedTracker) {
			if len(t.keys) == 0 {
				return
			}
			for i := t.windows.at(0).next; i != 0 && left > 0; i = t.windows.at(i).next {
				if w := t.windows.at(i); w.n > 1 == several {
					as.Windows = append(as.Windows, t.saved(w))
					left--
				}
			}
			if len(as.Windows) > 0 {
				all = append(all, as)
			}
		})
	}
	return msgpack.Marshal(all)
}

func (t *tracker) saved(w *window) savedWindow {
	one := savedWindow{Key: w.key, Proven: true}
	for i := w.oldest; i != 0; i = t.matches.at(i).next {
		one.Times = append(one.Times, t.matches.at(i).time+t.base)
		one.Proven = one.Proven && t.matches.at(i).proven
	}
	return one
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. A rule that counts something else by now
// gets nothing.
func (s *Set) UnmarshalBinary(saved []byte) error {
	var all []savedTracker
	if err := msgpack.Unmarshal(saved, &all); err != nil {
		return err
	}
	s.savable(func(t *tracker, as savedTracker) {
		for _, one := range slices.Backward(all) {
			if one.Rule != as.Rule || one.Source != as.Source || one.Match != as.Match || one.Within != as.Within || one.Apart != as.Apart {
				continue
			}
			for _, w := range slices.Backward(one.Windows) {
				for _, at := range w.Times {
					t.add(hit{key: w.Key, time: at, proven: w.Proven})
				}
			}
		}
	})
	return nil
}
