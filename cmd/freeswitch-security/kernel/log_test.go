//go:build kernel

package kernel

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A writtenLog is the log of a busy switch at debug level, the same bytes each time: calls, honest
// phones and attackers. Stamps never go backwards.
type writtenLog struct {
	lines   int     // at least
	attacks float64 // share of attackers' messages
	honest  float64 // share of messages about honest phones
	former  bool    // as FreeSWITCH before 1.10.7 wrote it, see former

	random *rand.Rand
	micro  int64 // since began
	stamp  []byte
	calls  [40]switchCall
	total  int
}

// A switchCall is a call in progress: of its messages, those from next on are not written yet.
type switchCall struct {
	messages []string // %s is the stamp
	next     int
}

// logBegan is the stamp of the first line.
var logBegan = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// idleField is the idle processor time of a line's header.
const idleField = " 97.10%"

// former returns lines as FreeSWITCH before 1.10.7 wrote them: the filter of fail2ban 1.0.2 knows no
// others.
func former(lines string) string { return strings.ReplaceAll(lines, idleField, "") }

// write writes the log, in small pieces as a switch does: the page cache maps what was written in large
// pieces by larger pages, which would flatter rg.
func (l *writtenLog) write(to io.Writer) error {
	l.random = rand.New(rand.NewPCG(1, 0))
	out := bufio.NewWriterSize(to, 8<<10)
	for n := 0; n < l.lines; {
		var message string
		switch draw := l.random.Float64(); {
		case draw < l.attacks:
			message = l.attack()
		case draw < l.attacks+l.honest:
			message = l.phone()
		default:
			message = l.call()
		}
		l.micro += l.random.Int64N(4000) // 500 lines a second
		n += strings.Count(message, "\n")
		before, after, stamped := strings.Cut(message, "%s")
		out.WriteString(before)
		if stamped {
			l.stamp = logBegan.Add(time.Duration(l.micro)*time.Microsecond).AppendFormat(l.stamp[:0], "2006-01-02 15:04:05.000000")
			if !l.former {
				l.stamp = append(l.stamp, idleField...)
			}
			out.Write(l.stamp)
			out.WriteString(after)
		}
	}
	return out.Flush()
}

var guessedUsers = []string{"100", "101", "1000", "1001", "200", "admin", "test", "asterisk", "4000", "00441904911000", "011448708752617"}

// attack returns a message about one of 200 attackers.
func (l *writtenLog) attack() string {
	ip, user := address(l.random.IntN(200)), guessedUsers[l.random.IntN(len(guessedUsers))]
	switch draw := l.random.IntN(10); {
	case draw < 5:
		return "%s [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [" + user + "@pbx.example.com] from ip " + ip + "\n"
	case draw < 7:
		return "%s [WARNING] sofia_reg.c:1787 SIP auth failure (INVITE) on sofia profile 'external' for [" + user + "@pbx.example.com] from ip " + ip + "\n"
	case draw < 9:
		return "%s [WARNING] sofia_reg.c:3210 Can't find user [" + user + "@pbx.example.com] from " + ip + "\n" +
			"You must define a domain called 'pbx.example.com' in your directory and add a user with the id=\"" + user + "\" attribute\n" +
			"and you must configure your device to use the proper domain in its authentication credentials.\n"
	}
	return "%s [WARNING] sofia_reg.c:2406 IP " + ip + " Rejected by register acl \"lan\"\n"
}

// phone returns a message about an honest phone.
func (l *writtenLog) phone() string {
	return fmt.Sprintf("%%s [WARNING] sofia_reg.c:1842 SIP auth challenge (REGISTER) on sofia profile 'internal' for [%d@pbx.example.com] from ip 203.0.113.%d\n",
		1000+l.random.IntN(900), 1+l.random.IntN(254))
}

// call returns the next message of one of the calls in progress.
func (l *writtenLog) call() string {
	c := &l.calls[l.random.IntN(len(l.calls))]
	if c.next == len(c.messages) {
		l.total++
		*c = switchCall{messages: l.newCall()}
	}
	c.next++
	return c.messages[c.next-1]
}

// newCall returns all messages about a call, in FreeSWITCH's words.
func (l *writtenLog) newCall() (all []string) {
	id := func() string {
		a, b := l.random.Uint64(), l.random.Uint64()
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", uint32(a), uint16(a>>32), a>>52, b>>52, b&(1<<48-1))
	}
	caller, callee, port := 1000+l.random.IntN(900), 1000+l.random.IntN(900), 16384+2*l.random.IntN(8000)
	phone := fmt.Sprintf("203.0.113.%d", 1+l.random.IntN(254))
	near, far := id(), id()
	nearLeg, farLeg := fmt.Sprintf("sofia/internal/%d@pbx.example.com", caller), fmt.Sprintf("sofia/internal/%d@10.20.%d.%d:5060", callee, l.random.IntN(256), 1+l.random.IntN(254))
	at := func(leg, where string, text ...any) { all = append(all, leg+" %s "+where+" "+fmt.Sprint(text...)+"\n") }
	bare := func(leg string, text ...any) { all = append(all, leg+" "+fmt.Sprint(text...)+"\n") }
	state := func(leg, name, now string) {
		at(leg, "[DEBUG] switch_core_state_machine.c:600", "(", name, ") Running State Change CS_", now, " (Cur 12 Tot ", l.total, ")")
		at(leg, "[DEBUG] switch_core_state_machine.c:624", "(", name, ") State ", now)
		at(leg, "[DEBUG] mod_sofia.c:97", name, " SOFIA ", now)
		at(leg, "[DEBUG] switch_core_state_machine.c:40", name, " Standard ", now)
		at(leg, "[DEBUG] switch_core_state_machine.c:624", "(", name, ") State ", now, " going to sleep")
	}
	at(near, "[NOTICE] switch_channel.c:1143", "New Channel ", nearLeg, " [", near, "]")
	state(near, nearLeg, "NEW")
	at(near, "[INFO] sofia.c:10472", nearLeg, " receiving invite from ", phone, ":5060 version: 1.10.12-release~64bit call-id: ", l.random.Uint32(), "@", phone)
	if l.random.IntN(3) == 0 {
		at(near, "[DEBUG] sofia.c:10685", "IP ", phone, " Rejected by acl \"domains\". Falling back to Digest auth.")
	}
	at(near, "[DEBUG] sofia.c:7515", "Remote SDP:\n", near, " ", strings.Join([]string{
		"v=0", "o=- 4711 4712 IN IP4 " + phone, "s=-", "c=IN IP4 " + phone, "t=0 0", fmt.Sprintf("m=audio %d RTP/AVP 0 8 9 101", port), "a=rtpmap:0 PCMU/8000",
		"a=rtpmap:8 PCMA/8000", "a=rtpmap:9 G722/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv",
	}, "\n"+near+" "))
	state(near, nearLeg, "INIT")
	state(near, nearLeg, "ROUTING")
	at(near, "[INFO] mod_dialplan_xml.c:648", "Processing ", caller, " <", caller, ">->", callee, " in context default")
	for _, name := range []string{"unloop", "tod_example", "holiday_example", "global-intercept", "group-intercept", "intercept-ext", "redial", "global", "eavesdrop", "Local_Extension"} {
		bare(near, "Dialplan: ", nearLeg, " parsing [default->", name, "] continue=false")
		bare(near, "Dialplan: ", nearLeg, " Regex (FAIL) [", name, "] destination_number(", callee, ") =~ /^(10[01][0-9])$/ break=on-false")
	}
	bare(near, "Dialplan: ", nearLeg, " Action bridge(user/", callee, "@pbx.example.com) ")
	state(near, nearLeg, "EXECUTE")
	for _, app := range []string{"set(call_timeout=30)", "set(ringback=2000)", "bridge(user/" + fmt.Sprint(callee) + "@pbx.example.com)"} {
		bare(near, "EXECUTE [depth=0] ", nearLeg, " ", app)
		at(near, "[DEBUG] mod_dptools.c:1678", nearLeg, " SET [", app, "]=[ok]")
	}
	at(far, "[NOTICE] switch_channel.c:1143", "New Channel ", farLeg, " [", far, "]")
	state(far, farLeg, "NEW")
	state(far, farLeg, "INIT")
	at(near, "[DEBUG] switch_core_media.c:3745", "Set Codec ", nearLeg, " PCMA/8000 20 ms 160 samples 64000 bits 1 channels")
	at(far, "[NOTICE] sofia.c:7662", "Ring-Ready ", farLeg, "!")
	at(near, "[DEBUG] switch_core_media.c:8682", "AUDIO RTP [", nearLeg, "] 198.51.100.10 port ", port+4, " -> ", phone, " port ", port, " codec: 8 ms: 20")
	at(far, "[NOTICE] sofia.c:8652", "Channel [", farLeg, "] has been answered")
	for _, one := range [][2]string{{far, farLeg}, {near, nearLeg}} {
		at(one[0], "[NOTICE] sofia.c:1066", "Hangup ", one[1], " [CS_EXECUTE] [NORMAL_CLEARING]")
		for _, now := range []string{"HANGUP", "REPORTING", "DESTROY"} {
			state(one[0], one[1], now)
		}
		at(one[0], "[NOTICE] switch_core_session.c:1766", "Session ", l.total, " (", one[1], ") Ended")
	}
	return slices.Clip(all)
}
