package carrier

import (
	"net/netip"
	"strings"
)

// lineBreak is how rsyslog writes a line break.
const lineBreak = "#012"

// FreeSWITCH's only message of several lines that counts as an event.
const (
	unknownUser = "Can't find user ["
	fromAddress = "] from "
	mustDefine  = lineBreak + "You must define a domain called '"
	withID      = `' in your directory and add a user with the id="`
	attribute   = `" attribute`
	andConfig   = lineBreak + "and you must configure your device to use the proper domain in it" // "it's" up to 1.10.1
)

// unescape puts line breaks in the place of the escaped ones that are FreeSWITCH's
// own. A caller may write the same text into its user name. So they are found from
// the end of the message, and user and domain must be as long in the second line as
// in the first: that is so at one place only.
func unescape(text string) string {
	text = strings.TrimSuffix(text, lineBreak)
	third := strings.LastIndex(text, andConfig)
	if third < 0 || !strings.HasSuffix(text[:third], attribute) {
		return text
	}
	for at := 0; ; at++ {
		i := strings.Index(text[at:third], mustDefine)
		if i < 0 {
			return text
		}
		at += i
		second := text[at+len(mustDefine) : third-len(attribute)]
		address := strings.LastIndex(text[:at], fromAddress)
		user := strings.Index(text, unknownUser)
		if address < 0 || user < 0 || address < user+len(unknownUser) {
			continue
		}
		account := text[user+len(unknownUser) : address]
		if _, err := netip.ParseAddr(text[address+len(fromAddress) : at]); err == nil && len(account)-len("@") == len(second)-len(withID) {
			return text[:at] + "\n" + text[at+len(lineBreak):third] + "\n" + text[third+len(lineBreak):]
		}
	}
}

// limits are the usual limits of syslog daemons, in bytes.
var limits = [...]int{1024, 2048, 4096, 8192}

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
