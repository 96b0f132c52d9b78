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

// TestQuickIsRight checks that the close look agrees where the quick look says that a
// line is in order, and that no more of the log can change that.
func TestQuickIsRight(t *testing.T) {
	const seed = 23
	random := rand.New(rand.NewPCG(seed, 0))
	lines := recordedLines(t)
	s := &stage{now: time.Date(2026, 5, 4, 10, 11, 12, 131415000, time.UTC), idle: " 97.10%"}
	d := Detector{
		Lines: record.Lines{MaxLine: 4096}, Clock: record.Clock{Zone: time.UTC}, Piece: PieceLength,
		Caller:  func(string) (netip.Addr, bool) { return netip.Addr{}, false },
		Further: func(string) bool { return false },
	}
	quickly, closely := 0, 0
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
				s.Write(lines[random.IntN(len(lines))])
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
			if !d.fits(&c) {
				closely++
				continue
			}
			quickly++
			if next := d.next(newNeighbour(0, line).uuid, &c); next.ended {
				t.Fatalf("seed %d: more must be known about %q", seed, line)
			}
			close := d
			close.FindSender = true // the quick look is not enough then
			if got := close.Judge(&h, &c); got.Doubt != "" {
				t.Fatalf("seed %d: %s, against %q, about %q", seed, got.Doubt, got.Against, line)
			}
		}
	}
	if quickly < 1000 || closely < 1000 {
		t.Errorf("%d quick looks, %d close ones", quickly, closely)
	}
}
