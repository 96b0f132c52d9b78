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

// parseURI reads a sip, sips or tel URI. The user of a URI ends at the first @, as sofia-sip
// has it. Of a URI of another scheme only the host is known.
func parseURI(b []byte) (URI, bool) {
	colon := bytes.IndexByte(b, ':')
	if colon <= 0 {
		return URI{}, false
	}
	scheme, rest := b[:colon], b[colon+1:]
	if equalFold(scheme, "tel") {
		user := before(rest, ";?#")
		return URI{User: user}, len(user) > 0
	}
	var u URI
	if at := bytes.IndexByte(rest, '@'); at >= 0 {
		u.User, rest = before(rest[:at], ":;"), rest[at+1:]
	}
	rest = before(rest, "/;?#")
	if len(rest) > 0 && rest[0] == '[' {
		if end := bytes.IndexByte(rest, ']'); end > 0 {
			u.Host = rest[:end+1]
		}
	} else {
		u.Host = before(rest, ":")
	}
	return u, len(u.Host) > 0
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
	return param(b[i:], "branch")
}

// param returns the value of the first parameter of that name: of `;a=1 ; tag = "x"`, x. It is
// nil if there is none, and empty if it has no value. Parameters end at a comma.
func param(b []byte, name string) []byte {
	for {
		b = trimLeft(b)
		if len(b) == 0 || b[0] != ';' {
			return nil
		}
		var key, value []byte
		key, value, b = pair(b[1:], ';')
		if equalFold(key, name) {
			return value
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
