package notice

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// MaxPerSecond bounds the notices of one node, on average and at once. What goes beyond is not told,
// and not taken: then the nodes count less than all of them together have seen, and never less than
// each of them by itself.
const MaxPerSecond = 5000

// MaxAhead bounds how far the clock of a peer may be ahead. A later stamp counts as now.
const MaxAhead = 5 * time.Second

// A budget allows MaxPerSecond. The zero value is full.
type budget struct {
	used float64
	at   time.Time
}

func (b *budget) allows(now time.Time) bool {
	if gone := now.Sub(b.at); gone > 0 {
		b.used = max(0, b.used-gone.Seconds()*MaxPerSecond)
		b.at = now
	}
	if b.used >= MaxPerSecond {
		return false
	}
	b.used++
	return true
}

// An Outbox collects the notices of this node. It is not safe for concurrent use.
type Outbox struct {
	Dropped uint64 // notices, beyond the bound

	run, next uint64
	budget    budget
	messages  []Sealed
}

// Sealed is an encoded message, with the number of its notices.
type Sealed struct {
	Bytes   []byte
	Notices int
}

// NewOutbox returns an empty outbox of a new run.
func NewOutbox() *Outbox { return &Outbox{run: rand.Uint64(), next: 1} }

// Add adds a notice with the named fields of its event.
func (o *Outbox) Add(n Notice, fields []string, now time.Time) {
	if !o.budget.allows(now) || len(n.Rules) > maxRules {
		o.Dropped++
		return
	}
	encoded := appendNotice(nil, n, fields)
	last := len(o.messages) - 1
	if last < 0 || o.messages[last].Notices == maxNotices || len(o.messages[last].Bytes)+len(encoded) > MaxBytes {
		head := binary.BigEndian.AppendUint64([]byte{version}, o.run)
		o.messages = append(o.messages, Sealed{Bytes: binary.BigEndian.AppendUint64(head, o.next)})
		last = len(o.messages) - 1
	}
	m := &o.messages[last]
	m.Bytes = append(m.Bytes, encoded...)
	m.Notices++
	o.next++
}

// Take returns the messages of what was added since the last Take.
func (o *Outbox) Take() []Sealed {
	taken := o.messages
	o.messages = nil
	return taken
}

// An Inbox takes the messages of the peers. It is not safe for concurrent use.
type Inbox struct {
	Total Peer // of all peers; Heard is not set

	peers map[string]*peer
}

// runs bounds the runs of a node that are remembered, so that a message of an earlier one that is
// delivered again does not count again.
const runs = 4

type peer struct {
	runs   []run // the newest last
	budget budget

	Peer
}

type run struct{ id, next uint64 }

// A Peer counts what a peer has told.
type Peer struct {
	Taken    uint64    `json:"taken"`    // notices
	Repeated uint64    `json:"repeated"` // delivered again, and ignored
	Missed   uint64    `json:"missed"`   // lost on the way
	Refused  uint64    `json:"refused"`  // beyond the bound per second, or not readable
	Heard    time.Time `json:"heard"`    // the last time
}

// add adds what a peer has told since before.
func (p *Peer) add(now, before *Peer) {
	p.Taken += now.Taken - before.Taken
	p.Repeated += now.Repeated - before.Repeated
	p.Missed += now.Missed - before.Missed
	p.Refused += now.Refused - before.Refused
}

// maxPeers bounds the peers that are remembered.
const maxPeers = 4096

// Open takes a message of a node and returns its notices that were not taken before, in their order.
func (i *Inbox) Open(node string, message []byte, now time.Time) ([]Notice, error) {
	p := i.peers[node]
	if p == nil {
		if i.peers == nil || len(i.peers) >= maxPeers {
			i.peers = map[string]*peer{}
		}
		p = &peer{}
		i.peers[node] = p
	}
	p.Heard = now
	m, err := Decode(message)
	before := p.Peer
	defer func() { i.Total.add(&p.Peer, &before) }()
	if err != nil {
		p.Refused++
		return nil, err
	}
	var taken []Notice
	r := p.run(m.Run)
	if r.next != 0 && m.First > r.next {
		p.Missed += m.First - r.next
	}
	for n, one := range m.Notices {
		switch number := m.First + uint64(n); {
		case number < r.next:
			p.Repeated++
			continue
		default:
			r.next = number + 1
		}
		if !p.budget.allows(now) {
			p.Refused++
			continue
		}
		p.Taken++
		one.Event.Node = node
		if one.Event.Time.After(now.Add(MaxAhead)) {
			one.Event.Time = now
		}
		taken = append(taken, one)
	}
	return taken, nil
}

// run returns what was taken of a run.
func (p *peer) run(id uint64) *run {
	for i := range p.runs {
		if p.runs[i].id == id {
			return &p.runs[i]
		}
	}
	if len(p.runs) == runs {
		p.runs = append(p.runs[:0], p.runs[1:]...)
	}
	p.runs = append(p.runs, run{id: id})
	return &p.runs[len(p.runs)-1]
}

// Peers returns what was heard of each node.
func (i *Inbox) Peers() map[string]Peer {
	all := map[string]Peer{}
	for node, p := range i.peers {
		all[node] = p.Peer
	}
	return all
}

// EvidenceFields are the fields that every match carries, as evidence and to decide about protection.
var EvidenceFields = []string{
	"event", "source", "ip", "user", "domain", "proven",
	raw + "authenticated", raw + "username", raw + "variable_sip_authorized", // see event.Event.Verified
}

// KnownFields are the fields of a registration or a gateway.
var KnownFields = append([]string{
	"profile", "call_id", "port", "repeat", raw + "contact", raw + "expires", raw + "multiple_registrations", raw + "gateway",
}, EvidenceFields...)

// FieldsOf returns the fields of a match: those that it always has, and those by which its rules count.
func FieldsOf(counted []string) []string {
	fields := append([]string{}, EvidenceFields...)
	for _, name := range counted {
		if event.FieldNamed(name) != nil && !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	return fields
}
