package fleet

import "time"

// A Stamp is a time of a hybrid logical clock: milliseconds since 1970 in the upper 48 bits, a
// counter in the others. A decision that knew of another one has the later stamp, whatever the
// clocks of the hosts say.
type Stamp uint64

const counterBits = 16

func stampAt(t time.Time) Stamp { return Stamp(max(0, t.UnixMilli())) << counterBits }

// Time returns the time of the stamp, to milliseconds.
func (s Stamp) Time() time.Time { return time.UnixMilli(int64(s >> counterBits)) }

// How far the stamp of a peer may be ahead of this host's clock. Up to follow, the clock follows it.
// Up to refuse, the record counts for its key alone: a host whose clock is wrong by hours does not
// take the others along. Beyond, the record is refused.
const (
	followAhead = 10 * time.Second
	refuseAhead = 24 * time.Hour
)

// A hybrid is the hybrid logical clock of a node.
type hybrid struct{ last Stamp }

// next returns the stamp of a decision that knows of after.
func (h *hybrid) next(now time.Time, after Stamp) Stamp {
	s := max(stampAt(now), h.last+1)
	h.last = s
	return max(s, after+1)
}

// see notes a stamp of a peer.
func (h *hybrid) see(s Stamp, now time.Time) {
	if s.Time().Sub(now) <= followAhead {
		h.last = max(h.last, s)
	}
}
