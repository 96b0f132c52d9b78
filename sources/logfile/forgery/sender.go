package forgery

import (
	"net/netip"
)

// sender returns who sent what FreeSWITCH logs in the line that an attacker's would
// be carried by. A ban may follow, so a sender is named only if an attacker could
// not have caused another to be named. Inside a verto login and a packet of a SIP
// trace it could: they have any length, so the line that names a client may be the
// attacker's own.
func (d *Detector) sender(carrier *neighbour, c *LineContext) (sender netip.Addr, ended bool) {
	if carrier.uuid == "" {
		return netip.Addr{}, false
	}
	proven, ended := d.isProven(carrier.uuid, c)
	if !proven {
		return netip.Addr{}, ended
	}
	return d.caller(carrier.uuid, c), false
}

// caller returns the address that all INVITEs of a session came from.
func (d *Detector) caller(uuid string, c *LineContext) (caller netip.Addr) {
	for _, n := range d.farBefore(c, piecesBefore) {
		if n.uuid != uuid {
			continue
		}
		addr, ok := d.Caller(n.line)
		switch {
		case !ok:
		case !addr.IsValid(), caller.IsValid() && caller != addr:
			return netip.Addr{}
		default:
			caller = addr
		}
	}
	return caller
}

// isProven reports whether a session is one of FreeSWITCH's. An attacker does not
// know the UUID of a session. It can invent one, but lines with an invented UUID are
// in a piece that begins with a true one. So a line proves its session if no line of
// another session begins within a piece before it. Behind a carrier, where pieces may
// be longer, nothing is proven. ended tells that more of the input may prove it.
func (d *Detector) isProven(uuid string, c *LineContext) (proven, ended bool) {
	lines := append(d.farBefore(c, piecesBefore/2), newNeighbour(0, c.Line))
	other, carried := lines[0].at, false
	look := func(n neighbour) bool {
		switch {
		case n.uuid != "" && n.uuid != uuid:
			other = n.at
		case n.uuid == uuid:
			proven = n.at-other > d.Piece
		default:
			carried = isCarrier(n.line)
		}
		return !carried && !proven
	}
	for _, n := range lines {
		if !look(n) {
			return proven, false
		}
	}
	ended = d.linesBehind(c, d.Behind(), look)
	return proven, ended && !proven
}

// hasSession reports whether a session wrote a line in the last two pieces before a
// line, so that the lines of the last piece may be an attacker's.
func (d *Detector) hasSession(c *LineContext) bool {
	for _, n := range d.farBefore(c, 2) {
		if n.uuid != "" {
			return true
		}
	}
	return false
}
