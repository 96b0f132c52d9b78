package logfile

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestQuickIsRight: where the quick look says that a line is in order, the close
// one says so, too, and that no more needs to be known.
func TestQuickIsRight(t *testing.T) {
	const seed = 23
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := pieces(t)
	s := newStage()
	decoder := builtinSource().newDecoder(nil, 4096, time.Time{})
	quickly, closely := 0, 0
	for range 600 {
		var log strings.Builder
		for range random.IntN(60) {
			s.tick(time.Duration([]int{0, 0, 0, 0, 10, 10, 20, 20, 20, -10, -20}[random.IntN(11)]) * time.Millisecond)
			if random.IntN(20) == 0 {
				s.idle = []string{"", " 97.10%", " 97.10%", " 8.00%"}[random.IntN(4)]
			}
			s.Reset()
			switch random.IntN(6) {
			case 0:
				if random.IntN(20) > 0 {
					break
				}
				s.Write(pieces[random.IntN(len(pieces))])
			case 1:
				s.WriteString(s.failure(s.now, victim))
			case 2:
				s.WriteString(s.invite(session, s.now, caller, "x"))
			case 3:
				s.goesOn(session2, 1)
			case 4:
				s.WriteString(session + " Dialplan: sofia/external/x parsing [public->unloop] continue=false\n")
			case 5:
				s.goesOn(session, 1+random.IntN(20))
			}
			log.WriteString(s.String())
		}
		data := []byte(log.String())
		for rest := data; len(rest) > 0; {
			at := len(data) - len(rest)
			var line string
			line, rest = decoder.cut(rest)
			h, ok := parseHeader(line)
			if !ok {
				continue
			}
			v := vicinity{data[:at], line, len(data) - len(rest) - at, rest}
			if !decoder.fits(&v) {
				closely++
				continue
			}
			quickly++
			if next := decoder.next(newNeighbour(0, line).uuid, &v); next.ended {
				t.Fatalf("seed %d: more must be known about %q", seed, line)
			}
			close := decoder
			close.corroborate = true // the quick look is not enough then
			if got := close.suspect(&h, &v); got.doubt != noDoubt {
				t.Fatalf("seed %d: doubt %d, against %q, about %q", seed, got.doubt, got.against, line)
			}
		}
	}
	if quickly < 1000 || closely < 1000 {
		t.Errorf("%d quick looks, %d close ones", quickly, closely)
	}
}
