package iptables

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

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

	tupleIP   = 1
	ipv4Src   = 1
	ipv6Src   = 3
	filterSrc = 1 // a bit: compare the source address
)

// maxFilters is the number of addresses up to which the kernel filters the flows
// of each address. For more, all flows are listed once. With 100,000 flows the
// filter takes 26 ms and a list 190 ms.
const maxFilters = 8

// maxWaiting bounds the targets whose flows wait to be deleted.
const maxWaiting = 1 << 16

// After each pass the flow cutter pauses for restFactor times the time that the pass
// took, up to longestRest, so that many bans do not keep a core busy.
const (
	restFactor  = 9
	longestRest = time.Second
)

// A flowCutter deletes the conntrack flows of new bans, so that no rule for
// established connections accepts their packets. It works in the background: the
// bans are in force before. Errors are ignored: the packets are dropped either way.
type flowCutter struct {
	mu      sync.Mutex // guards waiting and busy
	waiting []netip.Prefix
	running sync.WaitGroup
	busy    bool
}

// cut deletes the flows of targets soon.
func (c *flowCutter) cut(targets []netip.Prefix) {
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
		cutFlows(targets)
		time.Sleep(min(restFactor*time.Since(began), longestRest))
	}
}

// cutFlows deletes the flows whose originator is in targets.
func cutFlows(targets []netip.Prefix) {
	s, err := dial(context.Background(), listBuffer)
	if err != nil {
		return
	}
	defer s.close()
	for index, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var own bart.Lite
		// The kernel's filter for IPv6 is inverted (seen up to 6.18).
		filtered := index == ipv4
		for _, p := range targets {
			if familyOf(p) == index {
				own.Insert(p)
				filtered = filtered && p.IsSingleIP()
			}
		}
		switch {
		case own.Size() == 0:
		case filtered && own.Size() <= maxFilters:
			for p := range own.All() {
				s.cutMatching(appendFlowFilter(flowRequest(af), p.Addr()), &own)
			}
		default:
			s.cutMatching(flowRequest(af), &own)
		}
	}
}

// cutMatching lists flows and deletes those that targets contain. It compares even
// filtered flows: a kernel before 5.8 ignores the filter.
func (s *socket) cutMatching(request []byte, targets *bart.Lite) {
	if _, err := s.conn.Send(message(unix.NFNL_SUBSYS_CTNETLINK, cmdFlowGet, netlink.Dump, request)); err != nil {
		return
	}
	var doomed [][]byte
	for flow, err := range s.conn.ReceiveIter() {
		if err != nil {
			return
		}
		if source := flowSource(flow.Data); source.IsValid() && targets.Lookup(source) {
			doomed = append(doomed, slices.Clone(flow.Data))
		}
	}
	// The kernel reads the flow's identity from its own description.
	for _, flow := range doomed {
		_, _ = s.conn.Execute(message(unix.NFNL_SUBSYS_CTNETLINK, cmdFlowDelete, netlink.Acknowledge, flow))
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

// flowSource returns the address of a flow's originator. It is invalid unless the
// flow has an original tuple: without one, a deletion would delete all flows.
func flowSource(b []byte) (source netip.Addr) {
	var malformed bool
	for kind, tuple := range attrs(b[min(4, len(b)):], &malformed) {
		if kind != flowTupleOrig {
			continue
		}
		for kind, addresses := range attrs(tuple, &malformed) {
			if kind != tupleIP {
				continue
			}
			for kind, value := range attrs(addresses, &malformed) {
				if kind == ipv4Src || kind == ipv6Src {
					source, _ = netip.AddrFromSlice(value)
				}
			}
		}
	}
	if malformed {
		return netip.Addr{}
	}
	return source
}
