package pattern

import (
	"net/netip"
	"strconv"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/record"
)

// A span is a part of a message: from its first byte to behind its last.
type span struct{ from, to int }

// A Match is how a message fills a pattern.
type Match struct {
	IP    netip.Addr // invalid if the pattern has no address
	Port  uint16
	spans [maxHoles]span // one for each hole
}

// A Verdict is the result of comparing a message with a pattern.
type Verdict uint8

const (
	Differs   Verdict = iota // the message is not of the pattern
	Matches                  // it is, with one address at most
	Ambiguous                // it is, with two different addresses: no evidence
)

// maxAddr bounds the text of an address: 39 bytes of IPv6, a scope, brackets and
// a port.
const maxAddr = 80

// Match compares a message's first line with the pattern. It takes time linear in
// the message.
//
// Text of an attacker may look like any part of a message. So it examines every
// place where the address could stand: behind the earliest places of the literals
// before it, and before the latest places of the literals behind it. If two of
// these places hold different addresses, the message is ambiguous.
func (p *Pattern) Match(msg string, m *Match) Verdict {
	m.IP, m.Port = netip.Addr{}, 0
	if len(p.holes) == 0 {
		if msg == p.lits[0] {
			return Matches
		}
		return Differs
	}
	first, last := p.lits[0], p.lits[len(p.lits)-1]
	if len(msg) < len(first)+len(last) || !strings.HasPrefix(msg, first) || !strings.HasSuffix(msg, last) {
		return Differs
	}
	if p.addr < 0 {
		return p.fill(msg, span{0, len(msg)}, 0, len(p.holes), m)
	}
	where, verdict := p.locate(msg, m)
	if verdict != Matches {
		return verdict
	}
	m.spans[p.addr] = where
	if p.fill(msg, span{0, where.from}, 0, p.addr, m) != Matches {
		return Differs
	}
	return p.fill(msg, span{where.to, len(msg)}, p.addr+1, len(p.holes), m)
}

// locate finds the address. It returns the first of several places that hold the
// same address.
func (p *Pattern) locate(msg string, m *Match) (where span, v Verdict) {
	before, starts, ok := p.starts(msg)
	if ok && p.last {
		return p.atEnd(msg, starts, m)
	}
	after, ends, ok2 := p.ends(msg)
	if !ok || !ok2 {
		return span{}, Differs
	}
	for at := starts.from; at <= min(starts.to, len(msg)); at++ {
		skip := strings.Index(msg[at:], before)
		if skip < 0 || at+skip > starts.to {
			break
		}
		at += skip
		from := at + len(before)
		limit := min(from+addrLength(msg[from:]), ends.to)
		for to := max(from+2, ends.from); to <= limit; to++ {
			if !strings.HasPrefix(msg[to:], after) {
				continue
			}
			ip, port, ok := p.address(msg[from:to])
			switch {
			case !ok:
			case !m.IP.IsValid():
				m.IP, m.Port, where, v = ip, port, span{from, to}, Matches
			case m.IP != ip:
				return where, Ambiguous
			}
		}
	}
	return where, v
}

// atEnd finds an address that stands at the end, behind a blank, which no address holds.
func (p *Pattern) atEnd(msg string, starts span, m *Match) (where span, v Verdict) {
	from := strings.LastIndexByte(msg, ' ') + 1
	before := p.lits[p.addr]
	at, ok := from-len(before), false
	if at < starts.from || at > starts.to || !strings.HasSuffix(msg[:from], before) || from+addrLength(msg[from:]) < len(msg) {
		return span{}, Differs
	}
	if m.IP, m.Port, ok = p.address(msg[from:]); !ok {
		return span{}, Differs
	}
	return span{from, len(msg)}, Matches
}

// starts returns the literal before the address and the places where it may
// begin: behind the earliest places of the literals before it.
func (p *Pattern) starts(msg string) (before string, places span, ok bool) {
	before = p.lits[p.addr]
	if p.addr == 0 {
		return before, span{0, 0}, true
	}
	earliest := len(p.lits[0])
	for _, lit := range p.lits[1:p.addr] {
		i := strings.Index(msg[earliest:], lit)
		if i < 0 {
			return "", span{}, false
		}
		earliest += i + len(lit)
	}
	return before, span{earliest, len(msg) - len(before)}, true
}

// ends returns the literal behind the address and the places where it may begin:
// before the latest places of the literals behind it.
func (p *Pattern) ends(msg string) (after string, places span, ok bool) {
	after = p.lits[p.addr+1]
	tail := p.lits[p.addr+2:]
	if len(tail) == 0 {
		return after, span{len(msg) - len(after), len(msg) - len(after)}, true
	}
	latest := len(msg) - len(tail[len(tail)-1])
	for i := len(tail) - 2; i >= 0; i-- {
		at := strings.LastIndex(msg[:latest], tail[i])
		if at < 0 {
			return "", span{}, false
		}
		latest = at
	}
	return after, span{0, latest - len(after)}, true
}

// addrLength returns how many bytes at the start of s could be part of an address.
// Every address has a dot or a colon behind at most four digits and a bracket.
func addrLength(s string) int {
	s = s[:min(len(s), maxAddr)]
	if !strings.ContainsAny(s[:min(len(s), len("[2001:"))], ".:") {
		return 0
	}
	scope := false
	for i, b := range []byte(s) {
		switch {
		case addrBytes[b]:
		case b == '%':
			scope = true
		case scope && (record.IsWord(b) || b == '-'):
		default:
			return i
		}
	}
	return len(s)
}

// addrBytes are the bytes of an address without a scope.
var addrBytes = func() (table [256]bool) {
	for b := range table {
		table[b] = record.IsHex(byte(b)) || b == '.' || b == ':' || b == '[' || b == ']'
	}
	return table
}()

func (p *Pattern) address(s string) (ip netip.Addr, port uint16, ok bool) {
	if p.holes[p.addr].kind == addrPortHole {
		return event.ParseAddrPort(s)
	}
	return event.ParseAddr(s)
}

// fill divides a part of the message among the holes between the literals from and
// to, of which the first stands at its start and the last at its end.
//
// The holes before the first foreign one are as short as possible from the left,
// those behind it from the right: an attacker can only make its own field longer.
// So in "for [<user>@<domain>] from" the domain begins behind the last @.
func (p *Pattern) fill(msg string, part span, from, to int, m *Match) Verdict {
	lo, hi := part.from+len(p.lits[from]), part.to-len(p.lits[to])
	if from == to {
		return Matches
	}
	if lo > hi {
		return Differs
	}
	slack := from
	for slack < to-1 && !p.holes[slack].foreign {
		slack++
	}
	for i := from; i < slack; i++ {
		n := strings.Index(msg[lo:hi], p.lits[i+1])
		if n < 0 {
			return Differs
		}
		m.spans[i] = span{lo, lo + n}
		lo += n + len(p.lits[i+1])
	}
	for i := to - 1; i > slack; i-- {
		n := strings.LastIndex(msg[lo:hi], p.lits[i])
		if n < 0 {
			return Differs
		}
		m.spans[i] = span{lo + n + len(p.lits[i]), hi}
		hi = lo + n
	}
	m.spans[slack] = span{lo, hi}
	for i := from; i < to; i++ {
		if p.holes[i].kind == portHole && !m.setPort(msg[m.spans[i].from:m.spans[i].to]) {
			return Differs
		}
	}
	return Matches
}

func (m *Match) setPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	m.Port = uint16(port)
	return err == nil
}
