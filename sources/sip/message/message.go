package message

// A Message is a request or an answer. A field that the message does not have is empty. Names
// are as they came, escapes included.
type Message struct {
	Method []byte // of a request; of an answer that which CSeq names
	Code   int    // of an answer; 0: a request
	Reason []byte // of an answer: "Missing Contact Header"

	URI  URI // of a request
	From Party
	To   Party

	CallID    []byte
	Branch    []byte // of the topmost Via
	CSeq      uint32
	UserAgent []byte // User-Agent, of an answer Server

	// Contact is the URI of the first contact. Expires is its lifetime in seconds, else that of
	// the header Expires; -1: neither. AllContacts is "Contact: *".
	Contact     URI
	Expires     int
	AllContacts bool

	// Credentials of Authorization and Proxy-Authorization, in their order; challenges of
	// WWW-Authenticate and Proxy-Authenticate. More than four of a header are not read.
	Credentials []Digest
	Challenges  []Digest

	// Unusable is set if credentials are of another scheme than Digest, or lack a parameter. An
	// empty nonce and response are no flaw: phones for IMS send them first.
	Unusable bool

	Timestamp     bool // the request has the header Timestamp: some switches answer 100 at once
	ContentLength int  // -1: not given
}

// IsRequest reports whether the message is a request.
func (m *Message) IsRequest() bool { return m.Code == 0 }

// A URI is a sip, sips or tel URI. One that is none may be empty.
type URI struct {
	User []byte // without its parameters and password; of a tel URI the number
	Host []byte // without the port
}

// A Party is what From or To names.
type Party struct {
	URI
	Tag []byte
}

// A Digest is a challenge, or the credentials that answer it (RFC 7616).
type Digest struct {
	Realm, Nonce   []byte
	User, Response []byte // of credentials
	Stale          bool   // of a challenge: the nonce of the credentials had expired
}

// isComplete reports whether credentials have what a switch needs to check them.
func (d *Digest) isComplete() bool { return d.User != nil && d.Nonce != nil && d.Response != nil }
