package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/status"
)

// clockOff is the difference of two clocks from which the node says so: a ban ends at an absolute
// time.
const clockOff = 5 * time.Second

// Status returns how the node is doing.
func (n *Node) Status() status.Fleet {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.state
	for _, about := range slices.Sorted(maps.Keys(n.problems)) {
		s.Problems = append(s.Problems, n.problems[about])
	}
	return s
}

// publishState notes the state for Status. It looks at all entries at most once a second.
func (n *Node) publishState() {
	joined := n.session != nil && n.session.current
	n.shared.joined.Store(n.session != nil)
	if time.Since(n.looked) < lookEvery && joined == n.state.Joined {
		return
	}
	n.looked = time.Now()
	state := status.Fleet{
		Node: n.cfg.Node, Bucket: n.cfg.Bucket, Server: n.link.server(), Joined: joined,
		Records: len(n.table.entries), Unsent: n.table.unsent, Refused: n.state.Refused,
	}
	if n.table.touched {
		n.table.touched = false
		state.Refused = n.table.notInForce()
	}
	var lost map[string]uint64
	state.Dropped, lost = n.shared.losses()
	var own time.Duration
	if p := n.peers.all[n.cfg.Node]; p != nil {
		own = p.clock
	}
	var off []string
	for _, name := range slices.Sorted(maps.Keys(n.peers.all)) {
		p := n.peers.all[name]
		if name == n.cfg.Node {
			continue
		}
		one := status.Peer{Name: cmp.Or(name, "unknown"), Version: p.version, Heard: p.heard, Taken: p.taken, Refused: p.refused, Why: p.why, Dropped: lost[name]}
		if !p.heard.IsZero() {
			one.Clock = status.InSeconds(p.clock - own)
			if p.taken > 0 {
				one.Lag = status.InSeconds(max(0, p.age+p.clock-own))
			}
			if (p.clock - own).Abs() > clockOff {
				off = append(off, fmt.Sprintf("%s by %s", name, (p.clock-own).Round(time.Second)))
			}
		}
		state.Peers = append(state.Peers, one)
	}
	n.mu.Lock()
	n.state = state
	n.mu.Unlock()
	n.report(aboutClock, status.Warning, clocksOff(off))
	n.report(aboutPeers, status.Info, refusedWords(state.Refused))
}

func refusedWords(refused int) string {
	if refused == 0 {
		return ""
	}
	return fmt.Sprintf("decisions of peers that are not in force here: %d; trust, protection or a person at this node forbids them, or there are too many", refused)
}

func clocksOff(off []string) string {
	if len(off) == 0 {
		return ""
	}
	return "the clocks of peers differ from this one: " + strings.Join(off[:min(len(off), 5)], ", ") + "; their bans end at another time here: set the clocks by NTP"
}
