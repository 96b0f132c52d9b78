package feed

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/webclient"
)

// config is one feed block, checked. Two blocks with equal configs are the same feed.
type config struct {
	name string // the reference: "feed.apiban"

	// One of the two says where the list is.
	url  string
	path string

	format  string            // "": detected by the content
	key     string            // APIBAN's; secret
	set     string            // APIBAN's: sip, http or all
	headers map[string]string // of each request; their values may be secret

	interval time.Duration // from one look to the next, give or take a tenth
	ttl      time.Duration // term of an entry without one
	maxTTL   time.Duration // the longest term of any entry
	reason   string        // of an entry without one
	guard    float64       // by which part of itself a list may shrink or grow at once
	maxBytes int           // of an answer, unpacked
	bounds   bounds
}

// apibanURL is where both interfaces of APIBAN are.
const apibanURL = "https://apiban.org/api/"

func defaultConfig(name string) config {
	return config{
		name: name, set: "sip", interval: time.Hour, ttl: 24 * time.Hour, guard: 0.5, maxBytes: 16 << 20,
		bounds: bounds{entries: 100_000, bits: 16, bits6: 32},
	}
}

// isAPIBAN reports whether the list is APIBAN's, in either form.
func (c *config) isAPIBAN() bool { return c.format == formatAPIBAN || c.format == formatAPIBANv1 }

// place says where the list is, without secrets: paths and queries of URLs hold keys.
func (c *config) place() string {
	if c.path != "" {
		return c.path
	}
	return webclient.Place(c.url)
}

func (c *config) read(b *settings.Block) {
	formats := append([]string{formatAPIBAN, formatAPIBANv1}, banlist.Formats...)
	known := b.Enum("format", &c.format, formats...) || !b.Has("format")
	c.readPlace(b, known)
	c.readKey(b, known)
	own := []string{"Host", "Accept-Encoding", "If-None-Match", "If-Modified-Since", "User-Agent"}
	if c.isAPIBAN() {
		own = append(own, "Authorization")
	}
	if c.headers = webclient.Headers(b, own...); c.path != "" && b.Has("headers") {
		b.Error("headers", "Headers of a file", "Only a url has headers.")
	}
	c.readTerms(b)
	b.String("reason", &c.reason)
	c.reason = banlist.Printable(c.reason)
	b.Float("guard", &c.guard, 0.01, 1000)
	b.Int("max_entries", &c.bounds.entries, 1, 10_000_000)
	b.Int("max_bytes", &c.maxBytes, 1<<10, 1<<30)
	if prefixes, ok := b.Text("min_prefix"); ok && !c.bounds.parse(prefixes.Value) {
		b.Error("min_prefix", "Invalid prefix lengths", `Write the shortest prefix of a network on the list, for IPv4 and IPv6: "16,32".`)
	}
	c.warnOfClearText(b)
}

// readPlace reads where the list is; known says that its format is understood.
func (c *config) readPlace(b *settings.Block, known bool) {
	b.URL("url", &c.url)
	b.Path("path", &c.path)
	switch hasURL, hasPath := b.Has("url"), b.Has("path"); {
	case hasURL && hasPath:
		b.Error("path", "Two places", "A feed reads either a url or a path. Remove one of them, or write two feeds.")
	case hasPath && c.isAPIBAN():
		b.Error("path", "APIBAN in a file", "APIBAN is read from its URL. For a saved answer of it, write format = \"json\".")
	case !hasURL && !hasPath && c.isAPIBAN():
		c.url = apibanURL
	case !hasURL && !hasPath && known:
		b.Error("url", "No list", "Say where the list is: url for an address on the web, path for a file.")
	}
}

// readKey reads what APIBAN asks for.
func (c *config) readKey(b *settings.Block, known bool) {
	read := b.String("key", &c.key)
	b.Enum("set", &c.set, "sip", "http", "all")
	if !known {
		return
	}
	switch has := b.Has("key"); {
	case c.isAPIBAN() && !has:
		b.Error("key", "No key", "APIBAN answers only with a key: key = env(\"APIBAN_KEY\").")
	case c.isAPIBAN() && read && !isToken(c.key):
		b.Error("key", "Not a key", "A key of APIBAN consists of letters and digits. Its value is not shown here.")
	case !c.isAPIBAN() && has:
		b.Error("key", "Unused key", "Only APIBAN takes a key. Another service may want it in its headers.")
	}
	if c.format != formatAPIBAN && b.Has("set") {
		b.Error("set", "Unused set", "Only format = \"apiban\" has sets.")
	}
}

// isToken reports whether s may stand in a path, a header and a JSON text as it is.
func isToken(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && strings.Trim(s, letters) == ""
}

func (c *config) readTerms(b *settings.Block) {
	b.Duration("interval", &c.interval, time.Minute, 7*24*time.Hour)
	b.Duration("ttl", &c.ttl, time.Minute, ban.MaxDuration)
	c.maxTTL = max(7*24*time.Hour, c.ttl)
	if b.Duration("max_ttl", &c.maxTTL, time.Minute, ban.MaxDuration) && c.maxTTL < c.ttl {
		b.Error("max_ttl", "max_ttl below ttl", fmt.Sprintf("max_ttl bounds every entry, and ttl is %s already.", ban.FormatDuration(c.ttl)))
	}
	if c.ttl < 2*c.interval {
		b.Warn("interval", "Gaps between the bans", "A ban may end before the list is read again: ttl should be at least twice the interval.")
	}
}

// parse reads a pair of prefix lengths, IPv4 first. The second may be absent.
func (b *bounds) parse(s string) bool {
	v4, v6, both := strings.Cut(s, ",")
	if !both {
		v6 = strconv.Itoa(b.bits6)
	}
	var err4, err6 error
	b.bits, err4 = strconv.Atoi(strings.TrimSpace(v4))
	b.bits6, err6 = strconv.Atoi(strings.TrimSpace(v6))
	return err4 == nil && err6 == nil && b.bits >= 1 && b.bits <= 32 && b.bits6 >= 1 && b.bits6 <= 128
}

// warnOfClearText warns of secrets that would be sent unencrypted.
func (c *config) warnOfClearText(b *settings.Block) {
	u, err := url.Parse(c.url)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.IsLoopback() {
		return
	}
	if c.key != "" || len(c.headers) > 0 || u.User != nil {
		b.Warn("url", "Unencrypted secrets", "The key, the headers or the password of this feed would be sent unencrypted. Write https://.")
	}
}
