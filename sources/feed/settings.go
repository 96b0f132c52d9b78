package feed

import (
	"net/url"
	"time"
)

// settings is one feed block, checked. Two blocks with equal settings are the same
// feed.
type settings struct {
	name string // the reference: "feed.apiban"

	// One of the two says where the list is.
	url  string
	path string

	format  string            // "": told by the content
	key     string            // APIBAN's; secret
	set     string            // APIBAN's: sip, http or all
	headers map[string]string // of each request; their values may be secret

	interval time.Duration // from one look to the next, give or take a tenth
	ttl      time.Duration // of the ban of an entry that tells no time of its own
	maxTTL   time.Duration // of any entry
	reason   string        // where an entry gives none
	guard    float64       // by which part of itself a list may shrink or grow at once
	maxBytes int64         // of an answer, unpacked
	bounds   bounds
}

// The defaults, and the limits of what may be set.
const (
	defaultInterval = time.Hour
	leastInterval   = time.Minute
	longestInterval = 7 * 24 * time.Hour

	defaultTTL    = 24 * time.Hour
	defaultMaxTTL = 7 * 24 * time.Hour

	defaultGuard = 0.5

	defaultEntries = 100_000
	mostEntries    = 10_000_000

	defaultBytes = 16 << 20
	leastBytes   = 1 << 10
	mostBytes    = 1 << 30

	defaultBits, defaultBits6 = 16, 32

	// apibanURL is where APIBAN's two interfaces live.
	apibanURL = "https://apiban.org/api/"
)

// isAPIBAN reports whether the list is APIBAN's, in either form.
func (s *settings) isAPIBAN() bool { return s.format == formatAPIBAN || s.format == formatAPIBANv1 }

// place names where the list is, without what may be secret: of an address on the
// web nothing but its host, for paths and queries hold keys.
func (s *settings) place() string {
	if s.path != "" {
		return s.path
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return "the address"
	}
	return u.Scheme + "://" + u.Host
}

// secrets lists the texts that nobody may be shown.
func (s *settings) secrets() []string {
	all := []string{s.key}
	for _, value := range s.headers {
		all = append(all, value)
	}
	if u, err := url.Parse(s.url); err == nil {
		password, _ := u.User.Password()
		all = append(all, password, u.User.Username(), u.RawQuery)
		for _, values := range u.Query() {
			all = append(all, values...)
		}
	}
	return all
}
