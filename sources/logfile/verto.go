package logfile

import (
	"net/netip"
	"strings"

	"freeswitch-security/engine/event"
)

// isVertoLogin recognises the line of a verto login that failed.
func isVertoLogin(line string) bool {
	_, message, _ := strings.Cut(line, "]") // behind the level
	return strings.HasPrefix(message, " mod_verto.c:") && strings.Contains(message, " Login incorrect for user: ")
}

// vertoEnd stands behind the user name of a verto login.
const vertoEnd = " domain: "

// inLogin finds out whether a line stands in the middle of the user name of a verto
// login: FreeSWITCH writes nothing else before the name's end. It says so only
// where the login cannot be a caller's own invention.
func (d *decoder) inLogin(v *vicinity, s *suspicion) {
	login := -1
	for i := range d.near {
		switch line := d.near[i].line; {
		case strings.Contains(line, vertoEnd):
			login = -1
		case login < 0 && isVertoLogin(line):
			login = i
		}
	}
	if login < 0 || d.hasSession(v) {
		return
	}
	s.doubt, s.against = insideLogin, d.near[login].line
}

// vertoClient is the address in the line before a verto login that announces its
// client, if it was written at the same moment. Behind a session's line it could
// be a caller's.
func (d *decoder) vertoClient(v *vicinity) netip.Addr {
	if d.hasSession(v) {
		return netip.Addr{}
	}
	lines := d.farBefore(v, 2)
	for i := len(lines) - 1; i > 0; i-- {
		if !isVertoLogin(lines[i].line) {
			continue
		}
		login, ok1 := parseHeader(lines[i].line)
		client, ok2 := parseHeader(lines[i-1].line)
		if !ok1 || !ok2 || login.stamp != client.stamp || login.idle != client.idle {
			continue
		}
		if text, ok := strings.CutSuffix(lines[i-1].line[client.message:], " Starting client thread."); ok {
			addr, _, _ := event.ParseAddrPort(text)
			return addr
		}
	}
	return netip.Addr{}
}
