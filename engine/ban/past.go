package ban

import (
	"cmp"
	"slices"
)

// maxPast bounds the targets whose ban is over and not forgotten: 21 MB, and 11 MB of a file. A forger
// has thousands of addresses banned in a minute.
const maxPast = 100_000

// thin forgets a fifth of the targets whose ban is over, if they are too many: those with the fewest
// offences, and of these the oldest. So an attacker that was banned twice outlasts any number of forged
// senders that are banned once.
func (l *Ledger) thin() {
	if len(l.history) <= l.bans.size()+l.past {
		return
	}
	var over []Record
	for target, h := range l.history {
		if _, banned := l.bans.get(target); !banned {
			over = append(over, Record{Target: target, Offences: h.count, Until: fromMicro(h.until)})
		}
	}
	slices.SortFunc(over, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Offences, b.Offences), a.Until.Compare(b.Until), a.Target.Compare(b.Target))
	})
	for _, r := range over[:len(over)-l.past*8/10] {
		delete(l.history, r.Target)
		l.dirty = append(l.dirty, r.Target)
	}
}
