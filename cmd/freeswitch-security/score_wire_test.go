package main

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
)

const recordedWire = "../../examples/recorded-wire"

// A wireTruth is what the senders of a recorded wire did. A sender that is not in it is innocent.
type wireTruth struct {
	Sources map[string]struct {
		Role  string         `json:"role"`  // attack or benign
		Kinds map[string]int `json:"kinds"` // attempts
	} `json:"sources"`
}

// A sentPacket is what an address sent.
type sentPacket struct {
	at       time.Time
	hasAgent bool // it has the name of an attack tool
}

var toolAgent = regexp.MustCompile(`(?im)^user-agent: *(friendly-scanner|sipvicious|sipcli|vaxsipuseragent|pplsip)`)

// TestScoreWire replays a recorded wire with the shipped rules, alone and beside what FreeSWITCH
// reported in the same minutes. No innocent address is banned. An attacker with the name of an attack
// tool is banned at its first packet, and one with ten attempts is banned. $RECORDINGS may be a
// directory of another recording. -v prints the scoreboard.
func TestScoreWire(t *testing.T) {
	dir := cmp.Or(os.Getenv("RECORDINGS"), recordedWire)
	captured := joined(t, dir, "hep.raw")
	if captured == nil {
		t.Skipf("%s has no hep.raw", dir)
	}
	var known wireTruth
	if err := json.Unmarshal(joined(t, dir, "truth.json"), &known); err != nil {
		t.Fatal(err)
	}
	sent := sentBy(t, captured)
	r := &recorded{dir: dir}
	for _, way := range []struct {
		name   string
		others bool
	}{{"the wire alone", false}, {"the wire, the event socket and the log", true}} {
		t.Run(way.name, func(t *testing.T) {
			given := map[string][]byte{"sip.wire": captured}
			if way.others {
				log := joined(t, dir, "freeswitch.log")
				if log == nil {
					t.Skipf("%s has no log", dir)
				}
				given["log.freeswitch"], given["esl.pbx"] = log, r.socket(t)
			}
			s := &wireScore{truth: known, sent: sent, verdicts: play(t, r.rulesFor(t, false), given)}
			s.judge()
			s.print(t.Output(), way.name)
			if len(s.innocent)+len(s.missed)+len(s.late) > 0 {
				t.Errorf("innocent and banned: %v; not banned: %v; banned after the first packet: %v", s.innocent, s.missed, s.late)
			}
		})
	}
}

// sentBy lists the packets of each address.
func sentBy(t *testing.T, captured []byte) map[netip.Addr][]sentPacket {
	t.Helper()
	all := map[netip.Addr][]sentPacket{}
	for p := new(packet.Packet); len(captured) >= 4; {
		end := 4 + int(binary.BigEndian.Uint32(captured))
		if err := hep.Decode(captured[4:end], "", p); err != nil {
			t.Fatal(err)
		}
		from := p.From.Addr()
		all[from] = append(all[from], sentPacket{p.Time, toolAgent.Match(p.Payload)})
		captured = captured[end:]
	}
	return all
}

// A wireScore is the result of a recorded wire.
type wireScore struct {
	truth    wireTruth
	sent     map[netip.Addr][]sentPacket
	verdicts []ban.Change
	rows     map[string]*wireRow
	missed   []string
	late     []string
	innocent []string
}

// A wireRow counts the senders of one kind.
type wireRow struct {
	senders, banned, must int
	packets               []int // until the ban
	rules                 []string
}

func (s *wireScore) judge() {
	s.rows = map[string]*wireRow{}
	for address, packets := range s.sent {
		ip := address.String()
		first := s.firstBan(address)
		from, listed := s.truth.Sources[ip]
		if first != nil && (!listed || from.Role != "attack") {
			s.innocent = append(s.innocent, ip)
		}
		if !listed {
			continue
		}
		attempts := 0
		for _, n := range from.Kinds {
			attempts += n
		}
		named := slices.IndexFunc(packets, func(p sentPacket) bool { return p.hasAgent })
		must := from.Role == "attack" && (named >= 0 || attempts >= 10)
		switch {
		case must && first == nil:
			s.missed = append(s.missed, ip)
		case must && named >= 0 && first.At.After(packets[named].at):
			s.late = append(s.late, ip)
		}
		s.row(from.Role, from.Kinds).add(must, first, packets)
	}
}

func (s *wireScore) row(role string, kinds map[string]int) *wireRow {
	name := role + ": " + strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	if s.rows[name] == nil {
		s.rows[name] = &wireRow{}
	}
	return s.rows[name]
}

func (r *wireRow) add(must bool, first *ban.Change, packets []sentPacket) {
	r.senders++
	if must {
		r.must++
	}
	if first == nil {
		return
	}
	r.banned++
	until := 0
	for _, p := range packets {
		if !p.at.After(first.At) {
			until++
		}
	}
	r.packets = append(r.packets, until)
	if !slices.Contains(r.rules, first.Rule) {
		r.rules = append(r.rules, first.Rule)
	}
}

// firstBan returns the first ban of an address; nil if it is never banned.
func (s *wireScore) firstBan(ip netip.Addr) *ban.Change {
	return (&scoreboard{verdicts: s.verdicts}).banOf(ip)
}

// print writes a line for each kind: senders, and the banned ones of them; those that must be; the
// packets until the ban, at most; and the rules.
func (s *wireScore) print(w io.Writer, way string) {
	fmt.Fprintln(w, way)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "sender\tseen\tbanned\tmust\tpackets\trules")
	for _, name := range slices.Sorted(maps.Keys(s.rows)) {
		r := s.rows[name]
		packets := "-"
		if r.banned > 0 {
			packets = fmt.Sprint(slices.Max(r.packets))
		}
		slices.Sort(r.rules)
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%s\n", name, r.senders, r.banned, r.must, packets, strings.Join(r.rules, ", "))
	}
	table.Flush()
	fmt.Fprintf(w, "%d missed, %d late, %d innocent\n", len(s.missed), len(s.late), len(s.innocent))
}
