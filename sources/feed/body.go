package feed

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

// attributes are the names that a block may set.
var attributes = []string{
	"url", "path", "format", "key", "set", "headers", "interval", "ttl", "max_ttl", "reason", "guard", "max_entries", "max_bytes", "min_prefix",
}

var (
	formats = []string{banlist.Plain, banlist.JSON, banlist.CSV, formatAPIBAN, formatAPIBANv1}
	sets    = []string{"sip", "http", "all"}
)

// A bodyReader reads the attributes of one block and collects the mistakes. What
// it says of a value never shows it: it may come from the environment.
type bodyReader struct {
	attrs   hcl.Attributes
	block   hcl.Range
	eval    *hcl.EvalContext
	unclear map[string]bool // attributes that are there and were not understood, which was said
	diags   hcl.Diagnostics
}

// decodeBody reads the block's body and reports all its mistakes at once.
func decodeBody(body hcl.Body, env plugin.SourceEnv) (settings, hcl.Diagnostics) {
	schema := &hcl.BodySchema{}
	for _, name := range attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	content, diags := body.Content(schema)
	r := &bodyReader{attrs: content.Attributes, block: body.MissingItemRange(), eval: env.Eval, unclear: map[string]bool{}, diags: diags}
	s := settings{
		name: env.Name, set: sets[0],
		interval: defaultInterval, ttl: defaultTTL, guard: defaultGuard, maxBytes: defaultBytes,
		bounds: bounds{entries: defaultEntries, bits: defaultBits, bits6: defaultBits6},
	}
	r.oneOf("format", formats, &s.format)
	r.place(&s)
	r.key(&s)
	r.headers(&s)
	r.times(&s)
	r.value("reason", &s.reason)
	s.reason = banlist.Printable(s.reason)
	r.sizes(&s)
	r.clear(&s)
	return s, r.diags
}

// value decodes an attribute into target, which keeps what it holds where the
// attribute is absent or wrong. It reports whether target was set.
func (r *bodyReader) value(name string, target any) bool {
	attr := r.attrs[name]
	if attr == nil {
		return false
	}
	diags := gohcl.DecodeExpression(attr.Expr, r.eval, target)
	r.diags = append(r.diags, diags...)
	r.unclear[name] = diags.HasErrors()
	return !diags.HasErrors()
}

func (r *bodyReader) mistake(name, summary, detail string) {
	r.note(hcl.DiagError, name, summary, detail)
}

func (r *bodyReader) note(severity hcl.DiagnosticSeverity, name, summary, detail string) {
	at := r.block
	if attr := r.attrs[name]; attr != nil {
		at = attr.Expr.Range()
	}
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail, Subject: &at})
}

func (r *bodyReader) oneOf(name string, known []string, target *string) {
	var word string
	if !r.value(name, &word) {
		return
	}
	if !slices.Contains(known, word) {
		r.unclear[name] = true
		r.mistake(name, "Unknown "+name, fmt.Sprintf("There is no such %s.%s There are %s.", name, event.DidYouMean(word, known), strings.Join(known, ", ")))
		return
	}
	*target = word
}

// place reads where the list is.
func (r *bodyReader) place(s *settings) {
	hasURL, hasPath := r.value("url", &s.url), r.value("path", &s.path)
	switch {
	case hasURL && hasPath:
		r.mistake("path", "Two places", "A feed reads either a url or a path. Remove one of them, or make it two feeds.")
		return
	case hasPath && s.isAPIBAN():
		r.mistake("path", "APIBAN in a file", "APIBAN is asked over the web. For a saved answer of it, write format = \"json\".")
		return
	case hasPath && s.path == "":
		r.mistake("path", "Empty path", "Write the path of the list's file.")
		return
	case hasPath:
		return
	case !hasURL && s.isAPIBAN() && r.attrs["url"] == nil:
		s.url = apibanURL
		return
	case !hasURL:
		if r.attrs["url"] == nil && r.attrs["path"] == nil && !r.unclear["format"] {
			r.mistake("url", "No list", "Say where the list is: url for an address on the web, path for a file.")
		}
		return
	}
	u, err := url.Parse(s.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.mistake("url", "Not an address on the web", "Write an address that begins with https:// or http://, and the path of a file as path.")
		s.url = ""
	}
}

// key reads what APIBAN asks for.
func (r *bodyReader) key(s *settings) {
	r.value("key", &s.key)
	r.oneOf("set", sets, &s.set)
	switch {
	case r.unclear["key"] || r.unclear["format"]:
	case s.isAPIBAN() && r.attrs["key"] == nil:
		r.mistake("key", "No key", "APIBAN answers nobody without a key: key = env(\"APIBAN_KEY\").")
	case s.isAPIBAN() && strings.Trim(s.key, keyLetters) != "", s.isAPIBAN() && s.key == "":
		r.mistake("key", "Not a key", "A key of APIBAN's consists of letters and digits. Its value is not shown here.")
	case !s.isAPIBAN() && r.attrs["key"] != nil:
		r.mistake("key", "Key without use", "Only APIBAN takes a key. Another service may want it in its headers.")
	}
	if s.format != formatAPIBAN && r.attrs["set"] != nil && !r.unclear["format"] {
		r.mistake("set", "Set without use", "Only format = \"apiban\" has sets.")
	}
}

// keyLetters are what a key may consist of, so that it fits into a path and a
// header as it is.
const keyLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// ownHeaders are set by the client itself.
var ownHeaders = []string{"host", "accept-encoding", "content-length", "content-type", "connection", "transfer-encoding", "if-none-match", "if-modified-since", "user-agent"}

func (r *bodyReader) headers(s *settings) {
	if !r.value("headers", &s.headers) {
		return
	}
	if s.path != "" {
		r.mistake("headers", "Headers of a file", "Headers belong to a url.")
	}
	for name, value := range s.headers {
		switch {
		case name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
			r.mistake("headers", "Not a header", fmt.Sprintf("%q is not the name of a header.", banlist.Printable(name)))
		case slices.Contains(ownHeaders, strings.ToLower(name)) || s.isAPIBAN() && strings.EqualFold(name, "authorization"):
			r.mistake("headers", "Header of our own", fmt.Sprintf("%s is set by the feed itself. Leave it out.", name))
		case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }):
			r.mistake("headers", "Not the value of a header", fmt.Sprintf("The value of %s holds a line break or another control character. It is not shown here.", name))
		}
	}
}

func (r *bodyReader) times(s *settings) {
	r.duration("interval", leastInterval, longestInterval, &s.interval)
	r.duration("ttl", time.Minute, ban.MaxDuration, &s.ttl)
	s.maxTTL = max(defaultMaxTTL, s.ttl)
	if r.duration("max_ttl", time.Minute, ban.MaxDuration, &s.maxTTL) && s.maxTTL < s.ttl {
		r.mistake("max_ttl", "Longest term below the usual one", fmt.Sprintf("max_ttl bounds every entry, and ttl is %s already.", ban.FormatDuration(s.ttl)))
	}
	if s.ttl < 2*s.interval {
		r.note(hcl.DiagWarning, "interval", "Gaps between the bans", "A ban may end before the list is looked at again: ttl should be at least twice the interval.")
	}
}

// duration reads a duration within limits and reports whether it was set.
func (r *bodyReader) duration(name string, least, most time.Duration, target *time.Duration) bool {
	var text string
	if !r.value(name, &text) {
		return false
	}
	d, err := ban.ParseDuration(text)
	if err != nil || d < least || d > most {
		r.mistake(name, "Invalid duration", fmt.Sprintf("Write a duration from %s to %s, such as \"90m\", \"6h\" or \"1d\".", ban.FormatDuration(least), ban.FormatDuration(most)))
		return false
	}
	*target = d
	return true
}

func (r *bodyReader) sizes(s *settings) {
	if r.value("guard", &s.guard) && (s.guard < 0.01 || s.guard > 1000) {
		r.mistake("guard", "Not a suitable number", "Write by which part of itself the list may change at once: 0.5 is a half. A list may double with 1, and do what it wants with 1000.")
	}
	if r.value("max_entries", &s.bounds.entries) && (s.bounds.entries < 1 || s.bounds.entries > mostEntries) {
		r.mistake("max_entries", "Not a suitable number", fmt.Sprintf("A whole number from 1 to %d is expected here.", mostEntries))
	}
	if r.value("max_bytes", &s.maxBytes) && (s.maxBytes < leastBytes || s.maxBytes > mostBytes) {
		r.mistake("max_bytes", "Not a suitable number", fmt.Sprintf("A number of bytes from %d to %d is expected here.", leastBytes, mostBytes))
	}
	var prefixes string
	if r.value("min_prefix", &prefixes) && !s.bounds.parse(prefixes) {
		r.mistake("min_prefix", "Invalid prefix lengths", "Write the shortest prefix that an entry may have, for IPv4 and IPv6: \"16,32\".")
	}
}

// parse reads a pair of prefix lengths, IPv4 first. Without a second one, that of
// IPv6 stays as it is.
func (b *bounds) parse(s string) bool {
	v4, v6, both := strings.Cut(s, ",")
	bits, err := strconv.Atoi(strings.TrimSpace(v4))
	if err != nil || bits < 1 || bits > 32 {
		return false
	}
	b.bits = bits
	if !both {
		return true
	}
	bits, err = strconv.Atoi(strings.TrimSpace(v6))
	if err != nil || bits < 1 || bits > 128 {
		return false
	}
	b.bits6 = bits
	return true
}

// clear warns of what is secret and would travel in the clear.
func (r *bodyReader) clear(s *settings) {
	u, err := url.Parse(s.url)
	if err != nil || u.Scheme != "http" {
		return
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.IsLoopback() || u.Hostname() == "localhost" {
		return
	}
	if s.key != "" || len(s.headers) > 0 || u.User != nil {
		r.note(hcl.DiagWarning, "url", "Secrets in the clear", "The key, the headers or the password of this feed would be readable on their way. Write https://.")
	}
}
