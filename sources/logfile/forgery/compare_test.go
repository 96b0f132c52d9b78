package forgery

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/lines"
	"freeswitch-security/sources/logfile/record"
)

// A stage writes the log of a switch.
type stage struct {
	strings.Builder
	now  time.Time
	idle string
}

const (
	session  = "2f663d64-fff8-482e-b5be-9d4bfa947ad8"
	session2 = "70b51b06-e77a-43ed-82ca-96d69f785801"
)

func (s *stage) line(uuid, level, file, message string) {
	fmt.Fprintf(s, "%s%s%s [%s] %s:1 %s\n", uuid, s.now.Format("2006-01-02 15:04:05.000000"), s.idle, level, file, message)
}

func (s *stage) goesOn(uuid string, lines int) {
	for range lines {
		s.line(uuid+" ", "DEBUG", "switch_core_state_machine.c", "(sofia/external/1000@pbx) Running State Change CS_ROUTING (Cur 1 Tot 188)")
	}
}

// recordedLines are the lines of the recordings.
func recordedLines(t *testing.T) (lines [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.log")
	if err != nil || len(paths) == 0 {
		t.Fatal("no recordings: ", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.SplitAfter(data, []byte("\n"))...)
	}
	return lines
}

// TestStampTexts checks that a judgement by the texts of stamps is the same as one
// that parses every line.
func TestStampTexts(t *testing.T) {
	const seed = 23
	random := rand.New(rand.NewPCG(seed, 0))
	recorded := recordedLines(t)
	s := &stage{now: time.Date(2026, 5, 4, 10, 11, 12, 131415000, time.UTC), idle: " 97.10%"}
	d := Detector{
		Splitter: lines.Splitter{MaxLine: 4096}, Clock: record.Clock{Zone: time.UTC}, Piece: PieceLength,
		Caller:  func(string) (netip.Addr, bool) { return netip.Addr{}, false },
		Further: func(string) bool { return false },
	}
	doubts, judged := 0, 0
	for range 600 {
		var log strings.Builder
		for range random.IntN(60) {
			s.now = s.now.Add(time.Duration([]int{0, 0, 0, 0, 10, 10, 20, 20, 20, -10, -20}[random.IntN(11)]) * time.Millisecond)
			if random.IntN(20) == 0 {
				s.idle = []string{"", " 97.10%", " 97.10%", " 8.00%"}[random.IntN(4)]
			}
			s.Reset()
			switch random.IntN(6) {
			case 0:
				if random.IntN(20) > 0 {
					break
				}
				s.Write(recorded[random.IntN(len(recorded))])
			case 1:
				s.line("", "WARNING", "sofia_reg.c", "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 198.51.100.7")
			case 2:
				s.line(session+" ", "INFO", "sofia.c", "sofia/external/1000@pbx receiving invite from 192.0.2.80:5060 version: 1.10  64bit call-id: x")
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
			line, rest = d.Cut(rest)
			h, ok := record.ParseHeader(line)
			if !ok {
				continue
			}
			c := LineContext{data[:at], line, len(data) - len(rest) - at, rest}
			for _, findSender := range []bool{false, true} {
				d.FindSender = findSender
				slow := d
				slow.parseAll = true
				got, want := d.Judge(&h, &c), slow.Judge(&h, &c)
				if got != want {
					t.Fatalf("seed %d: %+v of %q, want %+v", seed, got, line, want)
				}
				judged++
				if got.Doubt != "" {
					doubts++
				}
			}
		}
	}
	if judged < 10_000 || doubts < 1000 {
		t.Errorf("%d doubts about %d lines", doubts, judged)
	}
}
