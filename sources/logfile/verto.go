package logfile

import "strings"

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
