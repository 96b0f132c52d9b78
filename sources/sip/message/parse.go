package message

import (
	"bytes"
	"errors"
	"math"
)

// MaxSize is the length of the longest message that Parse reads.
const MaxSize = 64 << 10

// ErrMalformed is what every error of [Parse] is.
var ErrMalformed = errors.New("malformed SIP message")

// malformed says what is wrong with a message.
type malformed string

func (m malformed) Error() string        { return ErrMalformed.Error() + ": " + string(m) }
func (m malformed) Is(target error) bool { return target == ErrMalformed }

const (
	errSize      malformed = "longer than 64 KB"
	errNUL       malformed = "NUL in a header"
	errStartLine malformed = "no start line"
	errMethod    malformed = "CSeq names another method"
	errLength    malformed = "bad Content-Length header"
)

// A header is one that Parse reads. The mandatory ones come first.
type header uint8

const (
	hVia header = iota
	hFrom
	hTo
	hCallID
	hCSeq
	hContentLength
	hContact
	hExpires
	hUserAgent
	hServer
	hAuthorization
	hProxyAuthorization
	hChallenge
	hProxyChallenge
	hTimestamp
	hOther

	mandatory = hCSeq + 1
)

// missing and repeated are the errors of the headers that a message has once.
var (
	missing = [mandatory]malformed{"no Via header", "no From header", "no To header", "no Call-ID header", "no CSeq header"}
	bad     = [mandatory]malformed{hFrom: "bad From header", hTo: "bad To header", hCSeq: "bad CSeq header"}
	twice   = [...]malformed{hFrom: "two From headers", hTo: "two To headers", hCallID: "two Call-ID headers",
		hCSeq: "two CSeq headers", hContentLength: "two Content-Length headers"}
)

// headerOf returns which header a name is, in its long or compact form.
func headerOf(name []byte) header {
	var lower [maxName]byte
	if len(name) > len(lower) {
		return hOther
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(name)]) {
	case "via", "v":
		return hVia
	case "from", "f":
		return hFrom
	case "to", "t":
		return hTo
	case "call-id", "i":
		return hCallID
	case "cseq":
		return hCSeq
	case "content-length", "l":
		return hContentLength
	case "contact", "m":
		return hContact
	case "expires":
		return hExpires
	case "user-agent":
		return hUserAgent
	case "server":
		return hServer
	case "authorization":
		return hAuthorization
	case "proxy-authorization":
		return hProxyAuthorization
	case "www-authenticate":
		return hChallenge
	case "proxy-authenticate":
		return hProxyChallenge
	case "timestamp":
		return hTimestamp
	}
	return hOther
}

// A parser is the state of one Parse.
type parser struct {
	m              *Message
	seen           [hOther + 1]int // how often each header came
	method         []byte          // that CSeq names
	contactExpires int
	err            error // the first
}

// Parse reads a message into m, whose fields are slices of b then. An error wraps [ErrMalformed]
// and says what is wrong with the message; m then holds what was readable.
func Parse(b []byte, m *Message) error {
	*m = Message{Expires: -1, ContentLength: -1, Credentials: m.Credentials[:0], Challenges: m.Challenges[:0]}
	if len(b) > MaxSize {
		return errSize
	}
	b = trimLeft(b)
	l := lines{b: b, lf: -1}
	p := parser{m: m, contactExpires: -1}
	if !startLine(l.first(), m) {
		return errStartLine
	}
	for {
		name, value, ok := l.header()
		if !ok {
			break
		}
		p.header(headerOf(name), value)
	}
	if bytes.IndexByte(b[:l.pos], 0) >= 0 {
		p.fail(errNUL)
	}
	return p.finish()
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// header reads the value of one header.
func (p *parser) header(h header, value []byte) {
	first := p.seen[h] == 0
	p.seen[h]++
	if !first && int(h) < len(twice) && twice[h] != "" {
		p.fail(twice[h])
		return
	}
	m := p.m
	switch h {
	case hVia:
		if first {
			m.Branch = viaBranch(value)
		}
	case hFrom:
		p.party(h, value, &m.From)
	case hTo:
		p.party(h, value, &m.To)
	case hCallID:
		m.CallID = value
	case hCSeq:
		p.cseq(value)
	case hContentLength:
		n, rest := number(value)
		if n < 0 || len(rest) > 0 {
			p.fail(errLength)
			return
		}
		m.ContentLength = n
	case hContact:
		if first {
			p.contact(value)
		}
	case hExpires:
		if first {
			m.Expires, _ = number(value)
		}
	case hUserAgent, hServer:
		if m.UserAgent == nil {
			m.UserAgent = value
		}
	case hAuthorization, hProxyAuthorization:
		if p.seen[h] <= maxDigests {
			credentials(value, m)
		}
	case hChallenge, hProxyChallenge:
		if p.seen[h] <= maxDigests {
			challenge(value, m)
		}
	case hTimestamp:
		m.Timestamp = true
	}
}

func (p *parser) party(h header, value []byte, party *Party) {
	uri, params, ok := nameAddr(value)
	if !ok {
		p.fail(bad[h])
		return
	}
	party.URI = parseURI(uri)
	party.Tag = param(params, "tag")
}

func (p *parser) cseq(value []byte) {
	n, rest := number(value)
	if p.method, _ = word(trimLeft(rest)); n < 0 || n > math.MaxUint32 || len(p.method) == 0 {
		p.fail(bad[hCSeq])
		return
	}
	p.m.CSeq = uint32(n)
}

func (p *parser) contact(value []byte) {
	if p.m.AllContacts = len(value) == 1 && value[0] == '*'; p.m.AllContacts {
		return
	}
	uri, params, ok := nameAddr(value)
	if !ok {
		return
	}
	p.m.Contact = parseURI(uri)
	if expires := lastParam(params, "expires"); expires != nil {
		p.contactExpires, _ = number(expires)
	}
}

// finish checks the message as a whole.
func (p *parser) finish() error {
	m := p.m
	if p.contactExpires >= 0 {
		m.Expires = p.contactExpires
	}
	for h := range mandatory {
		if p.seen[h] == 0 {
			p.fail(missing[h])
		}
	}
	if !m.IsRequest() {
		m.Method = p.method
	} else if p.method != nil && !bytes.Equal(m.Method, p.method) {
		p.fail(errMethod)
	}
	return p.err
}

// startLine reads "INVITE sip:100@example.com SIP/2.0" or "SIP/2.0 401 Unauthorized".
func startLine(line []byte, m *Message) bool {
	first, rest := word(line)
	second, rest := word(rest)
	if isVersion(first) {
		code, tail := number(second)
		if code < 100 || code > 699 || len(tail) > 0 {
			return false
		}
		m.Code, m.Reason = code, trim(rest)
		return true
	}
	if !isToken(first) || len(first) > maxMethod || !isVersion(rest) {
		return false
	}
	m.Method = first
	m.URI = parseURI(second)
	return true
}

// maxMethod is the length of the longest name of a method that is one.
const maxMethod = 32

// The version of SIP. Blanks may stand around its slash.
const (
	versionName   = "sip"
	versionNumber = "2.0"
)

func isVersion(b []byte) bool {
	name, number, ok := bytes.Cut(b, []byte("/"))
	return ok && equalFold(trim(name), versionName) && equalFold(trim(number), versionNumber)
}
