package forgery

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/lines"
	"freeswitch-security/sources/logfile/record"
)

// TestInOrder checks that nothing is found against a line that stands in order, on logs with
// everything that an attacker can write, also in the hours in which a zone's clocks change.
func TestInOrder(t *testing.T) {
	const seed, form = 29, "2006-01-02 15:04:05.000000"
	random := rand.New(rand.NewPCG(seed, 0))
	recorded := recordedLines(t)
	zones := map[string][]time.Time{ // moments before which their clocks change
		"Europe/Berlin":       {time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},
		"Australia/Lord_Howe": {time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC), time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC)}, // by half an hour
	}
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	ordered, judged := 0, 0
	for range 3000 {
		name := pick("Europe/Berlin", "Australia/Lord_Howe")
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		d := Detector{
			Splitter: lines.Splitter{MaxLine: 100 + random.IntN(4000)}, Clock: record.Clock{Zone: zone}, Piece: 1 + random.IntN(700),
			Caller:  func(string) (netip.Addr, bool) { return netip.Addr{}, false },
			Further: func(line string) bool { return line == "further" },
		}
		now := zones[name][random.IntN(2)].Add(time.Duration(random.IntN(240)-120) * time.Minute)
		if random.IntN(2) == 0 {
			now = now.Truncate(30 * time.Minute).Add(-time.Second)
		}
		idle, shown, odd, shift := " 97.10%", "", 0, time.Duration(0) // odd lines show another idle time
		rate := 1 + random.IntN(40)                                   // how many lines there are for each that is unusual
		var log strings.Builder
		for range 20 + random.IntN(150) {
			now = now.Add(time.Duration(random.IntN(20)) * time.Millisecond)
			_, ahead := now.In(zone).Zone()
			wall := now.Add(time.Duration(ahead)*time.Second + shift) // may be one that the zone leaves out
			stamp := wall.Format(form)
			if odd--; odd < 0 {
				shown = idle
			}
			if random.IntN(rate) == 0 {
				switch random.IntN(10) {
				case 0:
					now = now.Add(time.Duration(random.IntN(100)-50) * time.Millisecond)
				case 1:
					stamp = wall.Add(time.Duration(random.IntN(7)-3) * 20 * time.Minute).Format(form)
				case 2:
					stamp = pick(stamp+"Z", stamp+"+01:00", stamp[5:], strings.Replace(stamp, " ", "T", 1), stamp[:len(stamp)-1]+"x", stamp[:20]+stamp[21:], stamp[:21]+"+0200", stamp[:25]+"Z")
				case 3:
					idle = pick("", " 97.10%", " 8.00%", " 97.11%")
				case 8:
					shown, odd = pick("", " 97.10%", " 8.00%"), 1+random.IntN(3)
				case 9:
					shift = time.Duration(random.IntN(7)-3) * 10 * time.Minute
				case 4:
					log.WriteString(pick("recv 900 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:\n", "further\n", "text\n", "\n", strings.Repeat("x", random.IntN(1000))+"\n"))
				case 5:
					fmt.Fprintf(&log, "%s [WARNING] mod_verto.c:1 Login incorrect for user: x\n", stamp)
				case 6:
					log.Write(recorded[random.IntN(len(recorded))])
				case 7:
					log.WriteString(session + pick(" ", " Dialplan: x\n", " 12\n", " v=0\r\n", "\n"))
				}
			}
			uuid := pick("", session+" ", session2+" ", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee ", "zzzzzzzz-bbbb-cccc-dddd-eeeeeeeeeeee ")
			fmt.Fprintf(&log, "%s%s%s [%s] sofia_reg.c:1 some message\n", uuid, stamp, shown, pick("WARNING", "WARNING", "DEBUG", "NONE"))
		}
		data := []byte(log.String())
		begin := random.IntN(len(data)/2 + 1) // of the lines that are asked about, and their end
		begin += bytes.IndexByte(data[begin:], '\n') + 1
		end := begin + random.IntN(len(data)-begin)
		end += bytes.IndexByte(data[end:], '\n') + 1
		d.Over(data)
		if random.IntN(2) == 0 { // all lines are added before
			d.Look(begin-d.Piece, end)
		}
		for rest := data[begin:]; len(rest) > len(data)-end; {
			from := len(data) - len(rest)
			var line string
			line, rest = d.Cut(rest)
			h, ok := record.ParseHeader(line)
			if !ok || random.IntN(3) > 0 {
				continue
			}
			judged++
			to := len(data) - len(rest)
			if !d.InOrder(&h, from, line, to) {
				continue
			}
			ordered++
			got := d.Judge(&h, &LineContext{data[:from], line, to - from, rest})
			got.OwnSession, got.Written = false, time.Time{}
			if got != (Suspicion{}) {
				t.Fatalf("seed %d, piece %d: %+v of %q in\n%s", seed, d.Piece, got, line, log.String())
			}
		}
	}
	t.Logf("%d of %d lines are in order", ordered, judged)
	if ordered < 5000 || judged-ordered < 5000 {
		t.Errorf("%d of %d lines are in order", ordered, judged)
	}
}
