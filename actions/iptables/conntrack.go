package iptables

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/ban"

	"github.com/gaissmai/bart"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The constants of conntrack's netlink protocol, from
// linux/netfilter/nfnetlink_conntrack.h.
const (
	cmdFlowGet    = 1
	cmdFlowDelete = 2

	flowTupleOrig = 1
	flowFilter    = 25

	tupleIP       = 1
	tupleProtocol = 2
	ipv4Src       = 1
	ipv6Src       = 3
	protocolNum   = 1
	protocolSrc   = 2 // the source port
	filterSrc     = 1 // a bit: compare the source address
)

// maxFilters is the number of addresses up to which the kernel filters the flows
// of each address. For more, all flows are listed once. With 100,000 flows the
// filter takes 26 ms and a list 190 ms.
//
// A kernel of 262,144 hash buckets takes 10 ms to list even an empty table, and receives no packet on
// that core meanwhile. Since Linux 6.11 it deletes the flows of an address in 0.3 ms without that.
const maxFilters = 8

// maxWaiting bounds the targets whose flows wait to be deleted.
const maxWaiting = 1 << 16

// After each pass the flow cutter pauses for restFactor times the time that the pass
// took, up to longestRest, so that many bans do not keep a core busy; after a list for longestRest.
const (
	restFactor  = 9
	longestRest = time.Second
)

// A flowCutter deletes the conntrack flows of new bans, so that no rule for
// established connections accepts their packets. It works in the background: the
// bans are in force before. Errors are ignored: the packets are dropped either way.
type flowCutter struct {
	mu      sync.Mutex // guards waiting and busy
	waiting []ban.Target
	running sync.WaitGroup
	busy    bool
}

// cut deletes the flows of targets soon.
func (c *flowCutter) cut(targets []ban.Target) {
	if len(targets) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	room := maxWaiting - len(c.waiting)
	c.waiting = append(c.waiting, targets[:min(len(targets), room)]...)
	if !c.busy {
		c.busy = true
		c.running.Go(c.work)
	}
}

// work deletes flows until no targets wait.
func (c *flowCutter) work() {
	for {
		c.mu.Lock()
		targets := c.waiting
		c.waiting = nil
		c.busy = len(targets) > 0
		c.mu.Unlock()
		if len(targets) == 0 {
			return
		}
		began := time.Now()
		rest := longestRest
		if listed := cutFlows(targets); !listed {
			rest = min(restFactor*time.Since(began), longestRest)
		}
		time.Sleep(rest)
	}
}

// originators are those whose flows are deleted.
type originators struct {
	all       bart.Lite // also the addresses of endpoints
	networks  bart.Lite
	endpoints map[ban.Target]bool
}

func originatorsOf(targets []ban.Target) *originators {
	o := &originators{endpoints: map[ban.Target]bool{}}
	for _, t := range targets {
		o.all.Insert(t.Prefix())
		if p, ok := t.Network(); ok {
			o.networks.Insert(p)
		} else {
			o.endpoints[t] = true
		}
	}
	return o
}

// contain reports whether the source of a flow is among the originators.
func (o *originators) contain(source ban.Target) bool {
	return o.endpoints[source] || o.networks.Lookup(source.Prefix().Addr())
}

// noFlows reports whether there certainly are no flows.
func noFlows() bool {
	n, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	return err == nil && string(n) == "0\n"
}

// cutFlows deletes the flows whose originator is in targets, and reports whether flows were listed.
func cutFlows(targets []ban.Target) (listed bool) {
	if noFlows() {
		return false
	}
	s, err := dial(context.Background(), listBuffer)
	if err != nil {
		return false
	}
	defer s.close()
	for index, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var own []ban.Target
		// The kernel's filter for IPv6 is inverted (seen up to 6.18).
		filtered := index == ipv4
		for _, t := range targets {
			if familyOf(t) == index {
				own = append(own, t)
				filtered = filtered && t.Prefix().IsSingleIP()
			}
		}
		// For many targets, it takes longer to make these than to see that there are no flows.
		all := sync.OnceValue(func() *originators { return originatorsOf(own) })
		switch {
		case len(own) == 0:
		case filtered && len(own) <= maxFilters:
			for p := range all().all.All() {
				request := appendFlowFilter(flowRequest(af), p.Addr())
				if !all().networks.Lookup(p.Addr()) || s.deleteFlows(request) != nil {
					s.cutMatching(request, all)
					listed = true
				}
			}
		default:
			s.cutMatching(flowRequest(af), all)
			listed = true
		}
	}
	return listed
}

// deleteFlows deletes the flows that a filter selects. A kernel before 6.11 takes the filter for the
// name of one flow, and refuses it because it is not whole.
func (s *socket) deleteFlows(request []byte) error {
	_, err := s.conn.Execute(message(unix.NFNL_SUBSYS_CTNETLINK, cmdFlowDelete, netlink.Acknowledge, request))
	return err
}

// cutMatching lists flows and deletes those of the targets. It compares even
// filtered flows: a kernel before 5.8 ignores the filter.
func (s *socket) cutMatching(request []byte, targets func() *originators) {
	if _, err := s.conn.Send(message(unix.NFNL_SUBSYS_CTNETLINK, cmdFlowGet, netlink.Dump, request)); err != nil {
		return
	}
	var doomed [][]byte
	for flow, err := range s.conn.ReceiveIter() {
		if err != nil {
			return
		}
		if source := flowSource(flow.Data); source.IsValid() && targets().contain(source) {
			doomed = append(doomed, slices.Clone(flow.Data))
		}
	}
	// The kernel reads the flow's identity from its own description.
	for _, flow := range doomed {
		_ = s.deleteFlows(flow)
	}
}

func flowRequest(af uint8) []byte { return []byte{af, unix.NFNETLINK_V0, 0, 0} }

// appendFlowFilter requests only the flows of one IPv4 originator.
func appendFlowFilter(b []byte, source netip.Addr) []byte {
	tuple := len(b)
	b = appendNest(b, flowTupleOrig)
	ip := len(b)
	b = appendNest(b, tupleIP)
	b = appendAttr(b, ipv4Src, source.AsSlice()...)
	closeNest(b, ip)
	closeNest(b, tuple)
	filter := len(b)
	b = appendNest(b, flowFilter)
	b = appendAttr(b, 1, binary.NativeEndian.AppendUint32(nil, filterSrc)...) // of the original direction
	b = appendAttr(b, 2, binary.NativeEndian.AppendUint32(nil, 0)...)         // of the reply
	closeNest(b, filter)
	return b
}

// flowSource returns the endpoint of a flow's originator, or its address where the
// protocol has no ports. It is invalid unless the flow has an original tuple: without
// one, a deletion would delete all flows.
func flowSource(b []byte) ban.Target {
	var malformed bool
	var addr netip.Addr
	var port uint16
	var protocol ban.Protocol
	for kind, tuple := range attrs(b[min(4, len(b)):], &malformed) {
		if kind != flowTupleOrig {
			continue
		}
		for part, values := range attrs(tuple, &malformed) {
			for kind, value := range attrs(values, &malformed) {
				switch {
				case part == tupleIP && (kind == ipv4Src || kind == ipv6Src):
					addr, _ = netip.AddrFromSlice(value)
				case part == tupleProtocol && kind == protocolNum:
					protocol = ban.Protocol(number(value))
				case part == tupleProtocol && kind == protocolSrc:
					port = uint16(number(value))
				}
			}
		}
	}
	switch {
	case malformed:
		return ban.Target{}
	case port == 0 || !addr.IsValid():
		return ban.Address(addr)
	}
	return ban.Endpoint(netip.AddrPortFrom(addr, port), protocol)
}
