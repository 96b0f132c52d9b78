package logfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// TestScanAgrees checks that a block has the findings that it has if each line is decoded and
// judged, on recordings with everything that an attacker can write.
func TestScanAgrees(t *testing.T) {
	const seed = 37
	random := rand.New(rand.NewPCG(seed, 0))
	var recorded [][][]byte
	var addresses [][]byte // lines with an address
	for _, path := range recordings(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		recorded = append(recorded, bytes.SplitAfter(data, []byte{'\n'}))
		for line := range bytes.Lines(data) {
			if bytes.Contains(line, []byte(" from ")) {
				addresses = append(addresses, line)
			}
		}
	}
	found := 0
	for range 400 {
		lines := recorded[random.IntN(len(recorded))]
		lines = lines[random.IntN(len(lines)):]
		rate := 1 + random.IntN(40) // how many lines there are for each that is changed
		var log []byte
		for _, line := range lines[:min(len(lines), 20+random.IntN(200))] {
			if random.IntN(rate) == 0 {
				line = changed(random, line, addresses[random.IntN(len(addresses))])
			}
			log = append(log, line...)
		}
		source := builtinSource()
		source.piece = 1 + random.IntN(2500)
		s := &scanner{decoder: source.newDecoder(nil, 200+random.IntN(4000), time.Time{})}
		b := &block{log: log, from: bytes.IndexByte(log, '\n') + 1, to: len(log), plan: s.plan(log)}
		want, all := describeEach(s, b), []*pattern.Pattern{}
		for i := range s.patterns.Set {
			all = append(all, &s.patterns.Set[i])
		}
		for _, filter := range []*pattern.Filter{nil, pattern.NewFilter(all)} {
			s.filter = filter
			s.scan(b)
			var got []string
			for i := range b.findings {
				got = append(got, describeFinding(&b.findings[i]))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, piece %d, with a filter %v: got\n%s\nwant\n%s\nin\n%s", seed, source.piece, filter != nil, strings.Join(got, "\n"), strings.Join(want, "\n"), log)
			}
		}
		found += len(want)
	}
	if found < 2000 {
		t.Errorf("only %d findings", found)
	}
}

// changed returns a line as an attacker or another program may change it. other is another line.
func changed(random *rand.Rand, line, other []byte) []byte {
	const stamp = len("2026-05-04 10:11:12.131415")
	line = bytes.Clone(line)
	at := record.UUIDLength(string(line))
	switch random.IntN(8) {
	case 0:
		return append(line, other...)
	case 1:
		return append(append(line, "freeswitch[812]: "...), other...)
	case 2:
		return append([]byte(session+" "), line[at:]...)
	case 3:
		return line[at:]
	case 4:
		return append(bytes.TrimSuffix(line, []byte{'\n'}), other...)
	case 5:
		return append(bytes.Repeat([]byte{'x'}, random.IntN(4000)), '\n')
	case 6:
		return append(append(line, "2026-05-04 10:11:12.131415 "...), other...)
	}
	if len(line) > at+stamp {
		line[at+len("2026-05-04 ")+random.IntN(len("10:11:12.131415"))] = byte('0' + random.IntN(10))
	}
	return line
}

// describeEach decodes and judges each line of a block.
func describeEach(s *scanner, b *block) (all []string) {
	for at := b.from; at < b.to; {
		line, rest := s.Cut(b.log[at:b.to])
		to := b.to - len(rest)
		if f, found, _ := s.decode(line, rest); found {
			if c := contextOf(b.log, at, line, to); f.event.IP.IsValid() {
				s.judge(&f, &c)
			}
			if f.at = at - b.from; !f.refused || f.open {
				all = append(all, describeFinding(&f))
			}
		}
		at = to
	}
	return all
}

func describeFinding(f *finding) string {
	return fmt.Sprintf("%d %s wanted=%v open=%v refused=%v", f.at, describe(f.event), f.wanted, f.open, f.refused)
}

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
