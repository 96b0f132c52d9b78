package message

import "bytes"

// maxDigests is how many headers of one kind with credentials or a challenge are read.
const maxDigests = 4

// nameAddr splits `"Bob" <sip:bob@example.com>;tag=1`, or the same without brackets, into the
// URI and the parameters that follow it.
func nameAddr(b []byte) (uri, params []byte, ok bool) {
	for len(b) > 0 && b[0] == ',' {
		b = trimLeft(b[1:])
	}
	if len(b) == 0 {
		return nil, nil, false
	}
	open := 0
	if b[0] == '"' {
		open = quoted(b)
		open += len(b[open:]) - len(trimLeft(b[open:]))
		if open == len(b) || b[open] != '<' {
			return nil, nil, false
		}
	} else {
		for open < len(b) && (isTokenByte(b[open]) || isSpace(b[open]) || b[open] >= 0x80) {
			open++
		}
	}
	if open < len(b) && b[open] == '<' {
		rest := b[open+1:]
		end := bytes.IndexByte(rest, '>')
		if end <= 0 {
			return nil, nil, false
		}
		return rest[:end], rest[end+1:], true
	}
	end := bytes.IndexAny(b, " \t\r\n,;?")
	if end < 0 {
		end = len(b)
	}
	return b[:end], b[end:], end > 0
}

// parseURI reads a URI. The user of a sip URI ends at the first @, as for sofia-sip. A URI without
// a scheme has a user and a host; one of tel, or of a scheme that is no word, has a user alone.
func parseURI(b []byte) (u URI) {
	userEnds, opaque := "@;/?#", false
	if i := bytes.IndexAny(b, ":/?#"); i > 0 && b[i] == ':' {
		scheme := b[:i]
		b = b[i+1:]
		if equalFold(scheme, "sip") || equalFold(scheme, "sips") {
			userEnds = "@"
		}
		opaque = equalFold(scheme, "tel") || !isToken(scheme)
	}
	if opaque {
		u.User = before(b, ";/?#")
		return u
	}
	if i := bytes.IndexAny(b, userEnds); i >= 0 && b[i] == '@' {
		u.User, b = before(b[:i], ":;"), b[i+1:]
	}
	b = before(b, ";/?#")
	if len(b) > 0 && b[0] == '[' {
		u.Host = b[:bytes.IndexByte(b, ']')+1]
	} else {
		u.Host = before(b, ":")
	}
	return u
}

// before returns what precedes the first of stops.
func before(b []byte, stops string) []byte {
	if i := bytes.IndexAny(b, stops); i >= 0 {
		return b[:i]
	}
	return b
}

// viaBranch returns the branch of the first Via in a header.
func viaBranch(b []byte) []byte {
	for len(b) > 0 && b[0] == ',' {
		b = trimLeft(b[1:])
	}
	i := bytes.IndexAny(b, ";,")
	if i < 0 || b[i] == ',' {
		return nil
	}
	return lastParam(b[i:], "branch")
}

// param returns the value of the first parameter of that name: of `;a=1 ; tag = "x"`, x. It is
// nil if there is none, and empty if it has no value. Parameters end at a comma.
func param(b []byte, name string) []byte {
	value, _ := nextParam(b, name)
	return value
}

// lastParam is param for the parameters of which sofia-sip takes the last.
func lastParam(b []byte, name string) (last []byte) {
	for {
		var value []byte
		if value, b = nextParam(b, name); value == nil {
			return last
		}
		last = value
	}
}

// nextParam is param, and returns what follows the parameter.
func nextParam(b []byte, name string) (value, rest []byte) {
	for {
		b = trimLeft(b)
		if len(b) == 0 || b[0] != ';' {
			return nil, nil
		}
		var key []byte
		key, value, b = pair(b[1:], ';')
		if equalFold(key, name) {
			return before(value, "("), b // a comment may follow
		}
	}
}

// pair reads `name = "value"` up to the separator or a comma, with which the rest begins. A name
// without a value has an empty one, not nil.
func pair(b []byte, separator byte) (name, value, rest []byte) {
	end, equals := 0, -1
	for end < len(b) && b[end] != separator && b[end] != ',' {
		switch b[end] {
		case '"':
			end += quoted(b[end:])
			continue
		case '=':
			if equals < 0 {
				equals = end
			}
		}
		end++
	}
	if equals < 0 {
		return trim(b[:end]), b[end:end:end], b[end:]
	}
	return trim(b[:equals]), unquote(trim(b[equals+1 : end])), b[end:]
}

// digest returns the parameters of a Digest header.
func digest(b []byte) ([]byte, bool) {
	scheme, rest := word(b)
	return rest, equalFold(scheme, "digest")
}

// credentials reads an Authorization header. Of a parameter that it has twice the first counts,
// as for FreeSWITCH.
func credentials(b []byte, m *Message) {
	b, ok := digest(b)
	if !ok {
		return
	}
	var c Credentials
	for len(b) > 0 {
		var name, value []byte
		name, value, b = pair(b, ',')
		switch {
		case c.User == nil && equalFold(name, "username"):
			c.User = value
		case c.Realm == nil && equalFold(name, "realm"):
			c.Realm = value
		case c.Nonce == nil && equalFold(name, "nonce"):
			c.Nonce = value
		case c.Response == nil && equalFold(name, "response"):
			c.Response = value
		}
		if len(b) > 0 {
			b = b[1:]
		}
	}
	m.Credentials = append(m.Credentials, c)
}

// challenge reads a WWW-Authenticate header.
func challenge(b []byte, m *Message) {
	b, ok := digest(b)
	if !ok {
		return
	}
	var c Challenge
	for len(b) > 0 {
		var name, value []byte
		name, value, b = pair(b, ',')
		switch {
		case c.Realm == nil && equalFold(name, "realm"):
			c.Realm = value
		case c.Nonce == nil && equalFold(name, "nonce"):
			c.Nonce = value
		case equalFold(name, "stale"):
			c.Stale = equalFold(value, "true")
		}
		if len(b) > 0 {
			b = b[1:]
		}
	}
	m.Challenges = append(m.Challenges, c)
}
