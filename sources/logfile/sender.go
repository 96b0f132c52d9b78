package logfile

import (
	"net/netip"
	"strings"

	"freeswitch-security/engine/event"
)

// invites are the patterns of the line that tells a session's address.
var invites = func() (found []pattern) {
	for _, p := range catalogue() {
		if p.event == event.Call {
			found = append(found, p)
		}
	}
	return found
}()

// sender tells who sent what FreeSWITCH wrote about in the line that a caller's
// would be carried by. He may be banned for it, so he is only named where a caller
// could not have had somebody else named. Inside a verto login and a packet of a SIP
// trace he could: both are of any length, so that the line that names a client may
// stand far behind the true beginning, and be his own.
func (d *decoder) sender(carrier *neighbour, v *vicinity) (sender netip.Addr, ended bool) {
	if carrier.uuid == "" {
		return netip.Addr{}, false
	}
	proven, ended := d.isProven(carrier.uuid, v)
	if !proven {
		return netip.Addr{}, ended
	}
	return d.caller(carrier.uuid, v), false
}

// caller is the address that all of a session's INVITEs came from.
func (d *decoder) caller(uuid string, v *vicinity) (caller netip.Addr) {
	for _, n := range d.farBefore(v, piecesBefore) {
		if n.uuid != uuid || !strings.Contains(n.line, " receiving invite from ") {
			continue
		}
		h, ok := parseHeader(n.line)
		if !ok {
			continue
		}
		var m match
		for i := range invites {
			p := &invites[i]
			if n.line[h.file.from:h.file.to] != p.file || h.level != p.level {
				continue
			}
			switch made := p.match(n.line[h.message:], &m); {
			case made == ambiguous, made == matches && caller.IsValid() && caller != m.ip:
				return netip.Addr{}
			case made == matches:
				caller = m.ip
			}
		}
	}
	return caller
}

// hasSession reports whether a session wrote something in the last two pieces
// before a line, so that the lines of the last one may be a caller's.
func (d *decoder) hasSession(v *vicinity) bool {
	for _, n := range d.farBefore(v, 2) {
		if n.uuid != "" {
			return true
		}
	}
	return false
}
