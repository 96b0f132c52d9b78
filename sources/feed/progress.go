package feed

import (
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// count adds an answer that was taken to the progress: Lines are entries, Skipped
// those that were unreadable or too wide, Events the orders that were handed on,
// LastEvent the time of the answer. Doubted are orders that the ledger refused for
// another reason than a ban that stands, which means trust or a grace time; of one
// listing it counts a hundred at the most.
func (k *keeper) count(a answer, plan *plan, outcome plugin.Outcome, now time.Time) {
	k.progress.Update(func(s *status.Source) {
		s.Bytes += uint64(a.size)
		s.LastEvent = now
		s.Events += uint64(len(plan.listing.Orders))
		if a.list != nil {
			s.Lines += uint64(a.list.lines)
			s.Skipped += uint64(a.list.unreadable + a.list.wide)
		}
		for i := range outcome.Refused {
			if outcome.Refused[i].Standing == nil {
				s.Doubted++
			}
		}
	})
}
