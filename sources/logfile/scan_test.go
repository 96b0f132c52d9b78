package logfile

import (
	"math/rand/v2"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/record"
)

// TestSessionsLines checks that a line which is not compared with the patterns, because of how it begins,
// has no carrier, and that it has no header of a pattern either.
func TestSessionsLines(t *testing.T) {
	const seed = 31
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	d := builtinSource().newDecoder(nil, 64<<10, time.Time{})
	d.plan([]byte(failureLine)) // of a log full of events
	passed, carried := 0, 0
	for range 100_000 {
		line := pick("2f663d64-fff8-482e-b5be-9d4bfa947ad8", "zf663d64-fff8-482e-b5be-9d4bfa947ad8", "1 - 3d64-fff8-482e-b5be-9d4bfa947ad8", "2026-05--fff8-482e-b5be-9d4bfa947ad8", "")
		if random.IntN(2) == 0 {
			line += " 2026-05-04 10:11:12.131415 " + pick("97.10% ", "") + pick("[WARNING]", "[DEBUG]", "[INFO]", "[DEBUG3]", "[NOTICE]") + pick(" ", "") + pick("sofia.c:12 ", "sofia_reg.c:1 ", "[SOFIA] ", "mod_verto.c: ")
		}
		for range random.IntN(7) {
			line += pick(" ", " ", " ", "|", "pbx", "freeswitch[812]:", "[1]:", "[", "]", "-", "Dialplan:", "v=0", "2026-05-04 10:11:12.131415", "2026-05-04T10:11:12Z", "97.10%",
				"[WARNING]", "[DEBUG]", "[INFO]", "sofia.c:12", "sofia_reg.c:1", "[SOFIA]", "f()", "May  4 10:11:12", "\x1b[0m")
		}
		line += pick("", " "+failureLine, " 97.10% [WARNING] sofia_reg.c:1 NO CONTACT!", " [ERR] sofia.c:1 NO CONTACT!", "sofia/x/y receiving invite from 192.0.2.1:5 version: 1 call-id: x")
		header, known := d.Add([]byte(line))
		if !known {
			continue
		}
		if header > 0 && d.filter.May(line, header) {
			passed++
			continue
		}
		if carrier.PrefixLength(line) > 0 {
			t.Fatalf("%q has a carrier", line)
		}
		h, ok := record.ParseHeader(line)
		if !ok {
			continue
		}
		for i := range d.patterns.Set {
			if p := &d.patterns.Set[i]; p.Of(h.File, h.Level) && len(line) > h.Message && p.Start() != "" && len(line) >= h.Message+len(p.Start()) && line[h.Message:h.Message+len(p.Start())] == p.Start() {
				t.Fatalf("%q may be of %q", line, p.Text)
			}
		}
		carried++
	}
	if passed < 100 || carried < 100 {
		t.Errorf("%d lines passed, %d with a header did not", passed, carried)
	}
}
