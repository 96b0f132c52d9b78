package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"
)

// peers are the other nodes, as far as they were heard of. They belong to the loop.
type peers struct {
	all map[string]*peer
	log *rate.Limiter // of refusals
}

// A peer is another node.
type peer struct {
	name    string
	heard   time.Time     // the latest sign of life, by this host's clock
	clock   time.Duration // how far its clock is ahead of the server's
	version string
	age     time.Duration // of the latest decision that was taken, by both clocks
	taken   uint64
	refused uint64
	why     string // the latest refusal
	changes *rate.Limiter
}

// Bounds of what is taken from a peer.
const (
	maxPeers     = 5000
	changeRate   = 2000 // decisions a second
	changesBurst = 20_000
)

// of returns a peer, which it makes if there is none. Beyond maxPeers, all others are one.
func (p *peers) of(name string) *peer {
	one := p.all[name]
	if one == nil && len(p.all) >= maxPeers {
		name = ""
		one = p.all[name]
	}
	if one == nil {
		one = &peer{name: name, changes: rate.NewLimiter(changeRate, changesBurst)}
		p.all[name] = one
	}
	return one
}

// name returns the name of a node as one string, however often it is read.
func (p *peers) name(name string) string {
	if one := p.all[name]; one != nil {
		return one.name
	}
	return name
}

// refuse counts a refusal, and logs it unless there are many.
func (n *Node) refuse(node, key, why string) {
	p := n.peers.of(node)
	p.refused++
	p.why = key + ": " + why
	if n.peers.log.Allow() {
		n.o.Log.Warn("decision of a peer refused", "peer", node, "key", key, "why", why)
	}
}

// A lease is the name of a node in the bucket: a key that its guard renews, and that is over when it
// has not been for a while.
type lease struct {
	instance string // of the state directory: a restart takes its name over
	run      string // of the process
	held     bool   // this process has had the name
}

const (
	leasePrefix = "node."
	leaseEvery  = 5 * time.Second
	leaseTTL    = 3 // times as long as that
)

// A sign is the value of a node's key.
type sign struct {
	Instance string    `json:"instance"`
	Run      string    `json:"run"`
	Host     string    `json:"host"`
	Version  string    `json:"version"`
	At       time.Time `json:"at"` // by the node's clock
	Gone     bool      `json:"gone,omitempty"`
}

func (l *lease) key(n *Node) string { return leasePrefix + n.cfg.Node }

// leaseInterval returns how soon the name is renewed: later in a large fleet, where all hear all. So each node
// hears 20 renewals a second at most.
func (n *Node) leaseInterval() time.Duration {
	return leaseEvery + time.Duration(len(n.peers.all))*time.Second/20
}

func (n *Node) sign(gone bool) []byte {
	host, _ := os.Hostname()
	value, _ := json.Marshal(sign{n.lease.instance, n.lease.run, clip(host, maxWord), clip(n.o.Version, maxWord), n.o.Now(), gone}) // of texts
	return value
}

// take takes the node's name, and returns the revision of its key. It fails if another guard has it.
func (l *lease) take(ctx context.Context, s *session, n *Node) (rev uint64, err error) {
	subject := n.subject + l.key(n)
	m, err := s.stream.GetLastMsgForSubject(ctx, subject)
	var other sign
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return 0, err
	default:
		rev = m.Sequence
		if isMarker(m.Header) || json.Unmarshal(m.Data, &other) != nil || other.Gone {
			break
		}
		if other.Instance != l.instance || l.held && other.Run != l.run {
			return 0, fmt.Errorf("another guard has the name %q in this fleet, on the host %q: give one of them another name; a guard that was ended hard is forgotten after 15 seconds, in a fleet of hundreds after minutes",
				n.cfg.Node, clip(other.Host, maxWord))
		}
	}
	a, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: n.sign(false)},
		jetstream.WithExpectLastSequencePerSubject(rev), jetstream.WithMsgTTL(leaseTTL*leaseEvery))
	if err != nil {
		return 0, err
	}
	l.held = true
	return a.Sequence, nil
}

// refresh renews the node's name if it is time.
func (n *Node) refresh() {
	s := n.session
	if s == nil || time.Since(s.leased) < s.renew { // as it was promised then: the fleet may have grown since
		return
	}
	every := n.leaseInterval()
	s.leased, s.renew = time.Now(), every
	_, err := s.js.PublishMsgAsync(&nats.Msg{Subject: n.subject + n.lease.key(n), Data: n.sign(false)},
		jetstream.WithExpectLastSequencePerSubject(s.lease), jetstream.WithMsgTTL((leaseTTL * every).Round(time.Second)))
	if err != nil {
		n.lose(failure{s, err})
	}
}

// renewed takes the answer to a renewal. Where another guard has taken the name, the next session
// says so.
func (n *Node) renewed(a ack) {
	switch {
	case a.err == nil:
		a.session.lease, a.session.unanswered = a.sequence, 0
		if n.table.unsent == 0 { // otherwise the answers to what is to be told say more
			n.report(aboutBucket, status.OK, "")
		}
	case conflict(a.err):
		n.lose(failure{a.session, a.err})
	default:
		if a.session.unanswered++; a.session.unanswered > 1 {
			n.unanswered(a.err)
		}
	}
}

// release gives the name up, so that another host can have it at once.
func (n *Node) release(ctx context.Context) {
	if s := n.session; s != nil {
		_, _ = s.js.PublishMsg(ctx, &nats.Msg{Subject: n.subject + n.lease.key(n), Data: n.sign(true)},
			jetstream.WithExpectLastSequencePerSubject(s.lease), jetstream.WithMsgTTL(time.Second)) // otherwise it is over by itself
	}
}

// hearLease notes a sign of life.
func (n *Node) hearLease(name string, m message) {
	if !config.IsNode(name) {
		return
	}
	var got sign
	if m.gone || json.Unmarshal(m.value, &got) != nil || got.Gone {
		return
	}
	p := n.peers.of(name)
	p.heard = n.o.Now().Add(-min(max(0, n.o.Now().Sub(m.stored)), leaseTTL*leaseEvery))
	p.clock, p.version = got.At.Sub(m.stored), clip(got.Version, maxWord)
}

// newRun names a process.
func newRun() string { return rand.Text() }
