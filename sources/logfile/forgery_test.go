package logfile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/forgery"
)

// A stage writes the log of a switch, and what an attacker writes into it.
type stage struct {
	strings.Builder
	now  time.Time
	idle string
}

func newStage() *stage {
	return &stage{now: time.Date(2026, 5, 4, 10, 11, 12, 131415000, time.UTC), idle: " 97.10%"}
}

func (s *stage) tick(d time.Duration) { s.now = s.now.Add(d) }

const (
	caller    = "192.0.2.80"
	victim    = "198.51.100.7"
	bystander = "203.0.113.9"
	session   = "2f663d64-fff8-482e-b5be-9d4bfa947ad8"
	session2  = "70b51b06-e77a-43ed-82ca-96d69f785801"
	invented  = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
)

// header returns the header of a line that is written at a time.
func (s *stage) header(at time.Time, level, file string) string {
	return fmt.Sprintf("%s%s [%s] %s:1 ", at.Format("2006-01-02 15:04:05.000000"), s.idle, level, file)
}

// failure returns the line of a failure from an address.
func (s *stage) failure(at time.Time, ip string) string {
	return s.header(at, "WARNING", "sofia_reg.c") + "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip " + ip + "\n"
}

func (s *stage) invite(uuid string, at time.Time, ip, callID string) string {
	return uuid + " " + s.header(at, "INFO", "sofia.c") + "sofia/external/1000@pbx receiving invite from " + ip + ":5060 version: 1.10  64bit call-id: " + callID + "\n"
}

// opens writes the first lines of a session, up to its INVITE.
func (s *stage) opens(uuid, ip, callID string) {
	s.goesOn(uuid, 2)
	s.WriteString(s.invite(uuid, s.now, ip, callID))
}

// goesOn writes more lines of a session.
func (s *stage) goesOn(uuid string, lines int) {
	for range lines {
		s.WriteString(uuid + " " + s.header(s.now, "DEBUG", "switch_core_state_machine.c") + "(sofia/external/1000@pbx) Running State Change CS_ROUTING (Cur 1 Tot 188)\n")
	}
}

// kinds replays the log and returns its events without calls: the name, the address
// and, of a forgery, the claimed address.
func (s *stage) kinds(source *source) string {
	var all []string
	for _, e := range source.collect(strings.NewReader(s.String()), time.Time{}, nil, defaultSizes()).events {
		switch {
		case e.Name == event.Call:
		case e.Name == event.LogForgery && !e.IP.IsValid():
			all = append(all, "forgery of "+e.Fields[event.ClaimedIP])
		case e.Name == event.LogForgery:
			all = append(all, "forgery of "+e.Fields[event.ClaimedIP]+" by "+e.IP.String())
		default:
			all = append(all, e.Name+" "+e.IP.String())
		}
	}
	return strings.Join(all, ", ")
}

func TestForgery(t *testing.T) {
	const ms = time.Millisecond
	const true1, forged, forgedBy = "auth_failure " + victim, "forgery of " + victim, "forgery of " + victim + " by " + caller
	for _, test := range []struct {
		name  string
		write func(s *stage)
		want  string
	}{
		{"stamped later than what follows", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(22*ms), victim))
			s.goesOn(session, 20)
		}, forgedBy},
		{"stamped earlier than what it follows", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(-22*ms), victim))
			s.goesOn(session, 20)
		}, forgedBy},
		{"stamped in another year", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(strings.Replace(s.failure(s.now, victim), "2026", "2099", 1))
			s.goesOn(session, 20)
		}, forgedBy},
		{"without a year", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(time.Second), victim)[len("2026-"):])
			s.goesOn(session, 20)
		}, forgedBy},
		{"behind the prefix of another program", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString("freeswitch[812]: " + s.failure(s.now.Add(time.Second), victim))
			s.goesOn(session, 200)
		}, forgedBy},
		{"with another idle time", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(strings.Replace(s.failure(s.now, victim), s.idle, " 90.00%", 1))
			s.goesOn(session, 20)
		}, forgedBy},
		{"with an idle time that was measured long after", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(strings.Replace(s.failure(s.now, victim), s.idle, " 90.00%", 1))
			s.tick(time.Second)
			s.goesOn(session, 20)
		}, true1},
		{"in a log without idle times", func(s *stage) {
			s.idle = ""
			s.WriteString(s.failure(s.now, bystander))
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(time.Second), victim))
			s.goesOn(session, 20)
		}, "auth_failure " + bystander + ", " + forgedBy},
		{"several in one message, an empty line last", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(-time.Second), victim) + s.failure(s.now.Add(-2*time.Second), victim) + "\n")
			s.goesOn(session, 20)
		}, forgedBy + ", " + forgedBy},
		{"guessed to the microsecond, which cannot be found", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now, victim))
			s.goesOn(session, 20)
		}, true1},
		{"before an invented session of its own moment", func(s *stage) {
			at := s.now.Add(800 * ms)
			s.opens(session, caller, "x\n"+s.failure(at, victim)+invented+" "+s.header(at, "DEBUG", "x.c")+"x")
			s.goesOn(session, 40)
		}, forgedBy},
		{"before an invented session of its own idle time", func(s *stage) {
			header := strings.Replace(s.header(s.now, "DEBUG", "x.c"), s.idle, "", 1)
			s.opens(session, caller, "x\n"+strings.Replace(s.failure(s.now, victim), s.idle, "", 1)+invented+" "+header+"x")
			s.goesOn(session, 40)
		}, forgedBy},
		{"before an invented session, in a burst of sessions", func(s *stage) {
			at := s.now.Add(800 * ms)
			s.opens(session, caller, "x\n"+s.failure(at, victim)+invented+" "+s.header(at, "DEBUG", "x.c")+"x")
			for range 30 {
				s.goesOn(session, 1)
				s.goesOn(session2, 1)
			}
		}, forged},
		{"with the UUID of the session that carries it", func(s *stage) {
			s.opens(session, caller, "x\n"+session+" "+strings.TrimSpace(s.failure(s.now, victim)))
			s.goesOn(session, 20)
		}, ""},
		{"before the head of an invented packet", func(s *stage) {
			s.opens(session, caller, "x\n"+s.failure(s.now.Add(800*ms), victim)+"recv 1 bytes from udp/[192.0.2.1]:1 at 00:00:00.000000:")
			s.goesOn(session, 40)
		}, forged},
		{"with the right stamp, before another one", func(s *stage) {
			s.opens(session, caller, "x\n"+s.failure(s.now, victim)+strings.TrimSpace(s.failure(s.now.Add(22*ms), victim)))
			s.goesOn(session, 20)
		}, forgedBy + ", " + forgedBy},
		{"of a session that ends too soon to be proven", func(s *stage) {
			s.goesOn(session2, 1)
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(time.Second), victim))
			s.goesOn(session, 3)
		}, forged},

		{"true, a thread overtaken by one step", func(s *stage) {
			s.opens(session, caller, "x")
			s.WriteString(s.failure(s.now.Add(-20117*time.Microsecond), victim))
			s.goesOn(session, 20)
		}, true1},
		{"true, in a quiet log", func(s *stage) {
			s.opens(session, caller, "x")
			s.tick(time.Hour)
			s.WriteString(s.failure(s.now, victim))
			s.tick(time.Hour)
			s.goesOn(session2, 20)
		}, true1},
		{"the first line of a file", func(s *stage) {
			s.WriteString(s.failure(s.now.Add(time.Hour), victim))
			s.goesOn(session, 20)
		}, true1},
		{"in a log without sessions, whatever the stamps", func(s *stage) {
			s.WriteString(s.failure(s.now.Add(time.Hour), victim))
			s.WriteString(s.failure(s.now, victim))
		}, true1 + ", " + true1},
		{"more than a piece behind any session", func(s *stage) {
			s.opens(session, caller, "x")
			for range 20 {
				s.WriteString(s.header(s.now, "DEBUG", "mod_x.c") + "Some line that means nothing, and goes on for a while so that it is long\n")
			}
			s.WriteString(s.failure(s.now.Add(time.Hour), victim))
			s.goesOn(session2, 20)
		}, true1},

		// What an attacker writes to have a true line doubted, or another address named.
		{"true, behind an invented session of the future", func(s *stage) {
			s.opens(session, caller, "x\n"+invented+" "+strings.TrimSpace(s.header(s.now.Add(time.Hour), "DEBUG", "x.c")+"x"))
			s.WriteString(s.failure(s.now, victim))
			s.goesOn(session, 20)
		}, true1},
		{"true, before an invented session of the past", func(s *stage) {
			s.opens(session2, bystander, "y")
			s.WriteString(s.failure(s.now, victim))
			s.opens(session, caller, "x\n"+invented+" "+strings.TrimSpace(s.header(s.now.Add(-time.Hour), "DEBUG", "x.c")+"x"))
			s.goesOn(session, 20)
		}, true1},
		{"with an invented INVITE of another address", func(s *stage) {
			s.opens(session, caller, "x\n"+strings.TrimSpace(s.invite(invented, s.now, bystander, "y")))
			s.WriteString(s.failure(s.now.Add(time.Second), victim))
			s.goesOn(session, 20)
		}, forged},
		{"with INVITEs of two addresses in one line", func(s *stage) {
			s.opens(session, caller, "x receiving invite from "+bystander+":5060 version: 1 call-id: y")
			s.WriteString(s.failure(s.now.Add(time.Second), victim))
			s.goesOn(session, 20)
		}, forged},
	} {
		s := newStage()
		s.goesOn(session, 1)
		if strings.HasPrefix(test.name, "the first line") || strings.HasPrefix(test.name, "in a log without sessions") {
			s.Reset()
		}
		test.write(s)
		if got := s.kinds(builtinSource()); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestForgeryWanted checks that a forgery is reported only if it is wanted.
func TestForgeryWanted(t *testing.T) {
	s := newStage()
	s.opens(session, caller, "x")
	s.WriteString(s.failure(s.now.Add(time.Second), victim))
	s.goesOn(session, 20)
	s.WriteString(s.failure(s.now, bystander))
	ignoring := builtinSource()
	ignoring.detect = false
	for _, test := range []struct {
		source  *source
		want    string
		events  string
		doubted int64
	}{
		{builtinSource(), event.AuthFailure, "auth_failure " + bystander, 1},
		{builtinSource(), event.LogForgery, "log_forgery " + caller, 0},
		{builtinSource(), event.ACLReject, "", 0},
		{ignoring, event.AuthFailure, "auth_failure " + victim + ", auth_failure " + bystander, 0},
		{ignoring, event.LogForgery, "", 0},
	} {
		got := test.source.collect(strings.NewReader(s.String()), time.Time{}, map[string]bool{test.want: true}, defaultSizes())
		var events []string
		for _, e := range got.events {
			events = append(events, e.Name+" "+e.IP.String())
		}
		if joined := strings.Join(events, ", "); joined != test.events || got.stats.Doubted != test.doubted {
			t.Errorf("%s, detect %v: %s, %d doubted, want %s, %d", test.want, test.source.detect, joined, got.stats.Doubted, test.events, test.doubted)
		}
	}
}

// TestForgeryTime checks that a forgery is dated by the lines around it, not by its
// own stamp.
func TestForgeryTime(t *testing.T) {
	s := newStage()
	s.opens(session, caller, "x")
	s.WriteString(s.failure(s.now.AddDate(9, 0, 0), victim))
	s.goesOn(session, 20)
	for _, e := range builtinSource().collect(strings.NewReader(s.String()), time.Time{}, nil, defaultSizes()).events {
		if !e.Time.Equal(s.now) {
			t.Errorf("%s at %v, want %v", e.Name, e.Time, s.now)
		}
	}
}

// TestForgeryRepeatedHour checks that nothing is doubted where the clocks go back.
func TestForgeryRepeatedHour(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("no table of time zones: %v", err)
	}
	source := builtinSource()
	source.zone = zone
	s := newStage()
	s.now = time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).In(zone)
	want := []string{}
	for range 60 {
		s.goesOn(session, 1)
		s.WriteString(s.failure(s.now, victim))
		s.now = s.now.Add(2 * time.Minute).In(zone)
		want = append(want, "auth_failure "+victim)
	}
	if got := s.kinds(source); got != strings.Join(want, ", ") {
		t.Error(got)
	}
}

// TestOnlyWritersNamed has attackers write forged lines into a busy log in which others
// make calls and mistakes. Only an attacker may be named as the sender of a forgery, and
// most mistakes of others must stay what they are.
func TestOnlyWritersNamed(t *testing.T) {
	const seed, writer, other = 5, "192.0.2.80", "203.0.113.9"
	random := rand.New(rand.NewPCG(seed, 0))
	uuid := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Uint64()>>16)
	}
	fakes := []string{uuid(), uuid(), uuid()}
	forged, caught, named, mistakes, kept := 0, 0, 0, 0, 0
	for range 150 {
		s := newStage()
		aside := func() time.Time {
			return s.now.Add(time.Duration(random.IntN(7)-3) * []time.Duration{0, 21 * time.Millisecond, time.Second, time.Hour}[random.IntN(4)])
		}
		for range 30 {
			s.tick(time.Duration(random.IntN(3)) * 20 * time.Millisecond)
			switch random.IntN(4) {
			case 0:
				s.WriteString(s.failure(s.now, "198.51.100.1"))
				mistakes++
			case 1:
				s.opens(uuid(), other, "x")
			case 2:
				s.goesOn(uuid(), 1+random.IntN(20))
			default:
				id := uuid()
				s.goesOn(id, random.IntN(3))
				piece := strings.TrimSpace(s.invite(id, s.now, writer, "x"))
				for random.IntN(4) > 0 {
					line := ""
					switch random.IntN(3) {
					case 0:
						line = s.failure(aside(), victim)
					case 1:
						line = s.invite(fakes[random.IntN(3)], aside(), other, "y")
					case 2:
						line = fakes[random.IntN(3)] + " " + s.header(aside(), "DEBUG", "x.c") + "y\n"
					}
					if len(piece)+len(line) < forgery.PieceLength-2 {
						piece += "\n" + strings.TrimSpace(line)
						forged += strings.Count(line, "ip "+victim)
					}
				}
				s.WriteString(piece + "\n")
				s.goesOn(id, random.IntN(30))
			}
		}
		for _, e := range builtinSource().collect(strings.NewReader(s.String()), time.Time{}, nil, defaultSizes()).events {
			switch {
			case e.Name == event.AuthFailure && e.IP.String() == "198.51.100.1":
				kept++
			case e.Name != event.LogForgery:
			case e.IP.IsValid() && e.IP != netip.MustParseAddr(writer):
				t.Fatalf("seed %d: %s is named as the sender in\n%s", seed, e.IP, s.String())
			case e.Fields[event.ClaimedIP] == victim:
				caught++
				if e.IP.IsValid() {
					named++
				}
			}
		}
	}
	t.Logf("%d of %d forged lines were found, %d with their sender; %d of %d true ones were kept", caught, forged, named, kept, mistakes)
	if caught < forged/2 || kept < mistakes*9/10 {
		t.Errorf("%d of %d forged lines were found, %d of %d true ones kept", caught, forged, kept, mistakes)
	}
}

// BenchmarkForgeries reads a log in which every piece is full of forged lines, the
// most expensive input.
func BenchmarkForgeries(b *testing.B) {
	s := newStage()
	for n := range 500 {
		id := fmt.Sprintf("2f663d64-fff8-482e-b5be-%012x", n)
		s.opens(id, caller, "x")
		for range 5 {
			s.WriteString(invented + " " + s.header(s.now.Add(time.Hour), "DEBUG", "x.c") + "y\n" + s.failure(s.now.Add(30*time.Minute), victim))
		}
		s.goesOn(id, 3)
	}
	source := builtinSource()
	b.SetBytes(int64(s.Len()))
	b.ReportAllocs()
	for b.Loop() {
		source.collect(strings.NewReader(s.String()), time.Time{}, nil, defaultSizes())
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/2500, "µs/line")
}
