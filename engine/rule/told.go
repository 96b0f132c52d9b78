package rule

import (
	"encoding/binary"
	"hash/maphash"
	"time"
)

// maxTold bounds how many keys a rule remembers to have told of. Beyond it those
// are forgotten that nothing was heard of for the longest: the older half of them
// at once.
const maxTold = MaxKeys

// A toldLog remembers what a rule told of, and when, in two halves: what was asked
// about since the newer half was begun is in that, the rest is still in the older.
type toldLog struct {
	newer, older map[digest]telling
	half         int // maxTold / 2, but in tests
	seeds        [2]maphash.Seed
}

// A telling is the last one about a key.
type telling struct {
	at   int64 // microseconds since 1970
	held int   // how often the key was not told of since
}

func newToldLog() toldLog {
	return toldLog{
		newer: map[digest]telling{}, half: maxTold / 2,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// tell is [Set.Told]. Events may come out of order, and a clock may be set back:
// the same time before the last telling is held off as behind it, and no more.
func (l *toldLog) tell(about string, every time.Duration, at int64) (since int, ok bool) {
	key := l.digest(about)
	last, known := l.newer[key]
	if !known {
		last, known = l.older[key]
	}
	distance := max(at-last.at, last.at-at)
	if known && distance < every.Microseconds() {
		last.held++
		l.keep(key, last)
		return 0, false
	}
	l.keep(key, telling{at: at})
	return last.held, true
}

func (l *toldLog) keep(key digest, t telling) {
	if _, known := l.newer[key]; !known && len(l.newer) >= l.half {
		l.older, l.newer = l.newer, map[digest]telling{}
	}
	delete(l.older, key)
	l.newer[key] = t
}

// digest is unforeseeable, as those of [keyer] are.
func (l *toldLog) digest(about string) digest {
	var d digest
	binary.LittleEndian.PutUint64(d[:8], maphash.String(l.seeds[0], about))
	binary.LittleEndian.PutUint64(d[8:], maphash.String(l.seeds[1], about))
	return d
}
