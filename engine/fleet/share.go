package fleet

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/config"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"
)

// shared is what nodes report to each other beside the bucket: messages that are kept nowhere. What
// is sent while a node is not connected never reaches it.
type shared struct {
	node    *Node
	joined  atomic.Bool // the node has its name, and a connection
	sending map[string]*rate.Limiter

	mu    sync.Mutex // guards what follows
	conn  *nats.Conn
	heard map[string]func(peer string, data []byte)
	from  map[string]*rate.Limiter // by kind and peer
	lost  map[string]uint64        // by peer: not taken
	drops uint64                   // not sent
}

// Bounds of the messages of one node and kind.
const (
	// MaxMessages is how many messages of a kind a node may send in a second, on average over a few.
	MaxMessages = 1000
	// MaxMessage is the length of a message, in bytes.
	MaxMessage   = 4 << 10
	messageBurst = 2 * MaxMessages
	tolerance    = 2 // what is taken from a peer is as many times that: messages may be delayed
)

func newShared(n *Node) *shared {
	s := &shared{node: n, sending: map[string]*rate.Limiter{}, heard: map[string]func(string, []byte){}, from: map[string]*rate.Limiter{}, lost: map[string]uint64{}}
	for _, kind := range n.cfg.Share {
		s.sending[kind] = rate.NewLimiter(MaxMessages, messageBurst)
	}
	return s
}

// Publish sends a message of a kind, one of the words of share, to all peers. It waits for takeWithin at most, if the
// server reads nothing. It reports false if the message was not sent: the kind is not shared, the node is not in its
// fleet now, or there are more than MaxMessages.
func (n *Node) Publish(kind string, data []byte) bool {
	s := n.shared
	limit := s.sending[kind]
	if limit == nil || !s.joined.Load() || len(data) > MaxMessage {
		return false
	}
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if limit.Allow() && conn.Publish(s.subject(kind, n.cfg.Node), data) == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops++
	return false
}

// Subscribe has a function called with the messages of a kind of all peers, those of one peer in their
// order. It must be called before Run. The function is called on one goroutine for each kind, must not
// wait long, and owns data.
func (n *Node) Subscribe(kind string, heard func(peer string, data []byte)) {
	if n.cfg.Shares(kind) {
		n.shared.heard[kind] = heard
	}
}

func (s *shared) subject(kind, node string) string {
	return s.node.cfg.Bucket + "." + kind + "." + node
}

// attach subscribes at a connection.
func (s *shared) attach(conn *nats.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	for kind, heard := range s.heard {
		_, err := conn.Subscribe(s.subject(kind, "*"), func(m *nats.Msg) {
			peer := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
			if s.admits(kind, peer, len(m.Data), time.Now()) {
				heard(peer, m.Data)
			}
		})
		if err != nil {
			s.node.o.Log.Error("fleet messages not subscribed to", "kind", kind, "err", err)
		}
	}
}

// admits reports whether a message of a peer is taken.
func (s *shared) admits(kind, peer string, length int, now time.Time) bool {
	if !config.IsNode(peer) || peer == s.node.cfg.Node {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.from[kind+" "+peer]
	if limit == nil {
		if len(s.from) >= maxPeers*len(s.sending) {
			return false
		}
		limit = rate.NewLimiter(tolerance*MaxMessages, tolerance*messageBurst)
		s.from[kind+" "+peer] = limit
	}
	if length > MaxMessage || !limit.AllowN(now, 1) {
		s.lost[peer]++
		return false
	}
	return true
}

// losses returns how many messages were not sent, and not taken, by peer.
func (s *shared) losses() (drops uint64, lost map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drops, maps.Clone(s.lost)
}
