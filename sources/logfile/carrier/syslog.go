package carrier

import (
	"net/netip"
	"strings"
)

// lineBreaks are how rsyslog writes a line break, by its settings.
var lineBreaks = [...]string{"#012", `\012`, `\n`}

// FreeSWITCH's only message of several lines that counts as an event.
const (
	unknownUser = "Can't find user ["
	fromAddress = "] from "
	mustDefine  = "You must define a domain called '"
	withID      = `' in your directory and add a user with the id="`
	attribute   = `" attribute`
	andConfig   = "and you must configure your device to use the proper domain in its authentication credentials."
	andConfig1  = "and you must configure your device to use the proper domain in it's authentication credentials." // up to 1.10.1
)

// unescape puts line breaks in the place of the escaped ones that are FreeSWITCH's
// own. A caller may write the same text into its user name. So they are found from
// the end of the message, and user and domain must be as long in the second line as
// in the first: that is so at one place only.
func unescape(text string) string {
	for _, lineBreak := range lineBreaks {
		text = strings.TrimSuffix(text, lineBreak)
		for _, last := range [...]string{andConfig, andConfig1} {
			rest, ok := strings.CutSuffix(text, lineBreak+last)
			if !ok {
				continue
			}
			if at := divide(rest, lineBreak); at > 0 {
				return rest[:at] + "\n" + rest[at+len(lineBreak):] + "\n" + last
			}
		}
	}
	return text
}

// divide returns where the second line begins in the first two lines of the message,
// with its line break; 0 if it is nowhere.
func divide(text, lineBreak string) int {
	user := strings.Index(text, unknownUser)
	text, ok := strings.CutSuffix(text, attribute)
	if user < 0 || !ok {
		return 0
	}
	user += len(unknownUser)
	for at := user; ; at++ {
		i := strings.Index(text[at:], lineBreak+mustDefine)
		if i < 0 {
			return 0
		}
		at += i
		second := text[at+len(lineBreak+mustDefine):]
		end := user + len(second) - len(withID) + len("@") // of user and domain, if they are as long as there
		if end < user || end > at {
			continue
		}
		if address, ok := strings.CutPrefix(text[end:at], fromAddress); ok {
			if _, err := netip.ParseAddr(address); err == nil {
				return at
			}
		}
	}
}

// limits are the usual limits of syslog daemons, in bytes.
var limits = [...]int{1024, 2048, 4096, 8096, 8192}

// mayBeCut reports whether the end of a line may be missing: it is as long as the
// limit of a daemon, and no longer line was seen. The daemon may have counted the
// priority, another form of the time and no host.
func (u *Unwrapper) mayBeCut(raw string, p *piece) bool {
	const inexact = 8
	const classic = len("<28>May  3 21:30:11 ")
	n, host := len(raw), strings.IndexByte(p.writer, ' ')+1
	longer := u.longest > n+2*inexact
	u.longest = max(u.longest, n)
	for _, limit := range limits {
		for _, length := range [...]int{n, n - p.stamp + classic, n - p.stamp - host + classic} {
			if !longer && length > limit-inexact && length < limit+inexact {
				return true
			}
		}
	}
	return false
}
