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
)

// A header is one that Parse reads. The mandatory ones come first.
type header uint8

const (
	hOther header = iota
	hVia
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
	headers
)

// What is wrong with headers. Of another that comes twice the first counts, up to hServer.
var (
	missing = [...]malformed{hVia: "no Via header", hFrom: "no From header", hTo: "no To header", hCallID: "no Call-ID header", hCSeq: "no CSeq header"}
	twice   = [headers]malformed{hFrom: "two From headers", hTo: "two To headers", hCallID: "two Call-ID headers", hCSeq: "two CSeq headers",
		hContentLength: "two Content-Length headers"}
	bad = [...]malformed{hFrom: "bad From header", hTo: "bad To header", hCSeq: "bad CSeq header", hContentLength: "bad Content-Length header"}
)

// maxName is the length of the longest name in names.
const maxName = len("proxy-authorization")

// names are the names of headers, long and compact.
var names = map[string]header{
	"via": hVia, "from": hFrom, "to": hTo, "call-id": hCallID, "cseq": hCSeq, "content-length": hContentLength, "contact": hContact,
	"v": hVia, "f": hFrom, "t": hTo, "i": hCallID, "l": hContentLength, "m": hContact,
	"expires": hExpires, "user-agent": hUserAgent, "server": hServer, "timestamp": hTimestamp,
	"authorization": hAuthorization, "proxy-authorization": hProxyAuthorization,
	"www-authenticate": hChallenge, "proxy-authenticate": hProxyChallenge,
}

// headerOf returns which header has this name, in letters of any case.
func headerOf(name []byte) header {
	var low [maxName]byte
	if len(name) > len(low) {
		return hOther
	}
	for i, c := range name {
		low[i] = lower(c)
	}
	return names[string(low[:len(name)])]
}

// A parser is the state of one Parse.
type parser struct {
	m              *Message
	seen           [headers]int // how often each header came
	method         []byte       // that CSeq names
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
	if !first && h < hAuthorization {
		if twice[h] != "" {
			p.fail(twice[h])
		}
		return
	}
	m := p.m
	switch h {
	case hVia:
		m.Branch = viaBranch(value)
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
		if m.ContentLength = n; n < 0 || len(rest) > 0 {
			p.fail(bad[h])
		}
	case hContact:
		p.contact(value)
	case hExpires:
		m.Expires, _ = number(value)
	case hUserAgent:
		m.UserAgent = value
	case hServer:
		if !m.IsRequest() && m.UserAgent == nil {
			m.UserAgent = value
		}
	case hAuthorization, hProxyAuthorization:
		if p.seen[h] <= maxDigests {
			n := len(m.Credentials)
			m.Credentials = appendDigest(m.Credentials, value)
			m.Unusable = m.Unusable || len(m.Credentials) == n || !m.Credentials[n].isComplete()
		}
	case hChallenge, hProxyChallenge:
		if p.seen[h] <= maxDigests {
			m.Challenges = appendDigest(m.Challenges, value)
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
	party.Tag, _ = param(params, "tag")
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
	for h := hVia; h <= hCSeq; h++ {
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

// isVersion reports whether b is the version of SIP. Blanks may stand around its slash.
func isVersion(b []byte) bool {
	name, number, ok := bytes.Cut(b, []byte("/"))
	return ok && equalFold(trim(name), "sip") && equalFold(trim(number), "2.0")
}
