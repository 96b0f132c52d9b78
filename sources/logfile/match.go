package logfile

import (
	"net/netip"
	"strconv"
	"strings"

	"freeswitch-security/engine/event"
)

// A span is a part of a message, from its first byte to behind its last.
type span struct{ from, to int }

// A match is how a message fills a pattern.
type match struct {
	spans [maxHoles]span // one for each hole
	ip    netip.Addr     // invalid where the pattern has no address
	port  uint16
}

// A verdict says what a pattern makes of a message.
type verdict uint8

const (
	differs   verdict = iota // the message is not of this pattern
	matches                  // it is, in one way as far as the address goes
	ambiguous                // it is, with two different addresses: no evidence
)

// maxAddr bounds the text of an address: 39 bytes of IPv6, a scope, brackets and
// a port.
const maxAddr = 80

// match compares a message's first line with the pattern. It takes time linear
// in the message.
//
// What a caller writes may look like any part of a message, so the text that
// stands where an address is expected proves nothing by itself. Every place
// where the address could stand is therefore looked at: those that leave room
// for the literals before it (the earliest places of these tell which) and for
// those behind it (the latest). If two of them hold different addresses, nobody
// can tell which one FreeSWITCH wrote.
func (p *pattern) match(msg string, m *match) verdict {
	m.ip, m.port = netip.Addr{}, 0
	if len(p.holes) == 0 {
		if msg == p.lits[0] {
			return matches
		}
		return differs
	}
	first, last := p.lits[0], p.lits[len(p.lits)-1]
	if len(msg) < len(first)+len(last) || !strings.HasPrefix(msg, first) || !strings.HasSuffix(msg, last) {
		return differs
	}
	if p.addr < 0 {
		return p.fill(msg, span{0, len(msg)}, 0, len(p.holes), m)
	}
	where, verdict := p.locate(msg, m)
	if verdict != matches {
		return verdict
	}
	m.spans[p.addr] = where
	if p.fill(msg, span{0, where.from}, 0, p.addr, m) != matches {
		return differs
	}
	return p.fill(msg, span{where.to, len(msg)}, p.addr+1, len(p.holes), m)
}

// locate finds the address. Of several places that hold the same address, it
// gives the first.
func (p *pattern) locate(msg string, m *match) (where span, v verdict) {
	before, starts, ok := p.starts(msg)
	after, ends, ok2 := p.ends(msg)
	if !ok || !ok2 {
		return span{}, differs
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
			case !m.ip.IsValid():
				m.ip, m.port, where, v = ip, port, span{from, to}, matches
			case m.ip != ip:
				return where, ambiguous
			}
		}
	}
	return where, v
}

// starts gives the literal before the address and the places where it may
// begin: behind the earliest places of the literals before it.
func (p *pattern) starts(msg string) (before string, places span, ok bool) {
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

// ends gives the literal behind the address and the places where it may begin:
// before the latest places of the literals behind it.
func (p *pattern) ends(msg string) (after string, places span, ok bool) {
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

// addrLength is how many bytes at the start of s could be part of an address; 0
// where none begins. Every address has a dot or a colon behind at most four
// digits and a bracket.
func addrLength(s string) int {
	s = s[:min(len(s), maxAddr)]
	if !strings.ContainsAny(s[:min(len(s), len("[2001:"))], ".:") {
		return 0
	}
	scope := false
	for i, b := range []byte(s) {
		switch {
		case isHex(b), b == '.', b == ':', b == '[', b == ']':
		case b == '%':
			scope = true
		case scope && (isWord(b) || b == '-'):
		default:
			return i
		}
	}
	return len(s)
}

func (p *pattern) address(s string) (ip netip.Addr, port uint16, ok bool) {
	if p.holes[p.addr].kind == addrPortHole {
		return event.ParseAddrPort(s)
	}
	return event.ParseAddr(s)
}

// fill divides a part of the message, in which the literals from through to
// stand, among the holes between them. The first literal stands at its start,
// the last at its end.
//
// The holes up to the first one that a caller may have written are as short as
// they can be, from the left, and those behind it from the right: he can only
// make his own field longer. So in "for [<user>@<domain>] from" the domain
// begins behind the last @.
func (p *pattern) fill(msg string, part span, from, to int, m *match) verdict {
	lo, hi := part.from+len(p.lits[from]), part.to-len(p.lits[to])
	if from == to {
		return matches
	}
	if lo > hi {
		return differs
	}
	slack := from
	for slack < to-1 && !p.holes[slack].foreign {
		slack++
	}
	for i := from; i < slack; i++ {
		n := strings.Index(msg[lo:hi], p.lits[i+1])
		if n < 0 {
			return differs
		}
		m.spans[i] = span{lo, lo + n}
		lo += n + len(p.lits[i+1])
	}
	for i := to - 1; i > slack; i-- {
		n := strings.LastIndex(msg[lo:hi], p.lits[i])
		if n < 0 {
			return differs
		}
		m.spans[i] = span{lo + n + len(p.lits[i]), hi}
		hi = lo + n
	}
	m.spans[slack] = span{lo, hi}
	for i := from; i < to; i++ {
		if p.holes[i].kind == portHole && !m.setPort(msg[m.spans[i].from:m.spans[i].to]) {
			return differs
		}
	}
	return matches
}

func (m *match) setPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	m.port = uint16(port)
	return err == nil
}
