package message

import "bytes"

// maxDigests is how many headers of one kind with credentials or a challenge are read.
const maxDigests = 4

// nameAddr splits `"Bob" <sip:bob@example.com>;tag=1`, or the same without brackets, into the
// URI and the parameters that follow it.
func nameAddr(b []byte) (uri, params []byte, ok bool) {
	b = skipEmpty(b)
	rest, named := b, len(b) > 0 && b[0] == '"'
	if named {
		rest = trimLeft(b[quoted(b):])
	} else {
		for len(rest) > 0 && (tokens[rest[0]] || isSpace(rest[0]) || rest[0] >= 0x80) {
			rest = rest[1:]
		}
	}
	if len(rest) > 0 && rest[0] == '<' {
		end := bytes.IndexByte(rest, '>')
		if end <= 1 {
			return nil, nil, false
		}
		return rest[1:end], rest[end+1:], true
	}
	if named {
		return nil, nil, false
	}
	uri = before(b, " \t\r\n,;?")
	return uri, b[len(uri):], len(uri) > 0
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

// viaBranch returns the branch of the first Via in a header.
func viaBranch(b []byte) []byte {
	b = skipEmpty(b)
	return lastParam(b[len(before(b, ";,")):], "branch")
}

// skipEmpty skips the empty elements of a list.
func skipEmpty(b []byte) []byte {
	for len(b) > 0 && b[0] == ',' {
		b = trimLeft(b[1:])
	}
	return b
}

// lastParam returns the value of the last parameter of that name.
func lastParam(b []byte, name string) (last []byte) {
	for {
		var value []byte
		if value, b = param(b, name); value == nil {
			return last
		}
		last = value
	}
}

// param returns the value of the first parameter of that name, and what follows it: of
// `;a=1 ; tag = "x"`, x. The value is nil if there is none, and empty if it has no value.
// Parameters end at a comma.
func param(b []byte, name string) (value, rest []byte) {
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

// appendDigest reads a header with credentials or a challenge, if it is one of Digest. Of a
// parameter that it has twice the first counts, as for FreeSWITCH.
func appendDigest(to []Digest, b []byte) []Digest {
	scheme, b := word(b)
	if !equalFold(scheme, "digest") {
		return to
	}
	var d Digest
	for len(b) > 0 {
		var name, value []byte
		name, value, b = pair(b, ',')
		switch {
		case d.User == nil && equalFold(name, "username"):
			d.User = value
		case d.Realm == nil && equalFold(name, "realm"):
			d.Realm = value
		case d.Nonce == nil && equalFold(name, "nonce"):
			d.Nonce = value
		case d.Response == nil && equalFold(name, "response"):
			d.Response = value
		case equalFold(name, "stale"):
			d.Stale = equalFold(value, "true")
		}
		b = b[min(1, len(b)):]
	}
	return append(to, d)
}
