package iptables

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The words of conntrack's netlink protocol, from
// linux/netfilter/nfnetlink_conntrack.h.
const (
	cmdFlowGet    = 1
	cmdFlowDelete = 2

	flowTupleOrig = 1
	flowID        = 12
	flowZone      = 18
	flowFilter    = 25

	tupleIP   = 1
	ipv4Src   = 1
	ipv6Src   = 3
	filterSrc = 1 // a bit: the sender is what counts
)

// maxFilters is up to how many addresses the kernel is asked one by one for
// their flows; for more, all flows are looked through once.
const maxFilters = 8

// maxWaiting bounds the addresses whose flows wait to be cut.
const maxWaiting = 1 << 16

// After looking for flows, the cutter rests for so many times as long as that
// took, and collects what to look for next.
const (
	rests       = 9
	longestRest = time.Second
)

// A flowCutter deletes the tracked flows of newly banned addresses, so that no
// rule for established connections, here or in another chain, knows them any
// more. The ban is in force by then; this runs beside the next one, and where
// the kernel tracks nothing it does nothing.
type flowCutter struct {
	mu      sync.Mutex // guards waiting and busy
	waiting []netip.Prefix
	running sync.WaitGroup
	busy    bool
}

// cut deletes the flows of targets soon. The one goroutine that does it ends
// when there is nothing left to cut.
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
		// A flood of bans must not keep a core busy with looking through all
		// flows again and again: the packets are dropped meanwhile.
		time.Sleep(min(rests*time.Since(began), longestRest))
	}
}

// cutFlows deletes the flows that targets have begun. Errors are of no
// consequence: the packets are dropped anyway.
func cutFlows(targets []netip.Prefix) {
	s, err := dial(context.Background(), listBuffer)
	if err != nil {
		return
	}
	defer s.close()
	for index, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var own []netip.Prefix
		singles := true
		for _, p := range targets {
			if familyOf(p) == index {
				own = append(own, p)
				singles = singles && p.IsSingleIP()
			}
		}
		if len(own) == 0 {
			continue
		}
		// For IPv6 the kernel's filter (seen up to 6.18) yields every sender but
		// the one that it was given.
		if !singles || len(own) > maxFilters || index == ipv6 {
			s.cutMatching(appendRequestOfFlows(af), af, newMatcher(own))
			continue
		}
		for _, p := range own {
			s.cutMatching(appendFlowFilter(appendRequestOfFlows(af), p.Addr()), af, newMatcher([]netip.Prefix{p}))
		}
	}
}

// cutMatching deletes what a dump yields. A kernel before 5.8 does not know the
// filter and yields everything, so each flow is looked at here as well.
func (s *socket) cutMatching(request []byte, af uint8, m matcher) {
	if _, err := s.conn.Send(message(unix.NFNL_SUBSYS_CTNETLINK, cmdFlowGet, netlink.Dump, request)); err != nil {
		return
	}
	var doomed [][]byte
	for msg, err := range s.conn.ReceiveIter() {
		if err != nil {
			return
		}
		source, identity := decodeFlow(msg.Data)
		if source.IsValid() && m.matches(source) {
			doomed = append(doomed, append(appendRequestOfFlows(af), identity...))
		}
	}
	for _, request := range doomed {
		_, _ = s.conn.Execute(message(unix.NFNL_SUBSYS_CTNETLINK, cmdFlowDelete, netlink.Acknowledge, request))
	}
}

func appendRequestOfFlows(af uint8) []byte { return []byte{af, unix.NFNETLINK_V0, 0, 0} }

// appendFlowFilter asks for the flows of one IPv4 sender only.
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
	b = appendAttr(b, 1, binary.NativeEndian.AppendUint32(nil, filterSrc)...) // of the first direction
	b = appendAttr(b, 2, binary.NativeEndian.AppendUint32(nil, 0)...)         // of the reply
	closeNest(b, filter)
	return b
}

// decodeFlow reads who began a flow, and the attributes that name the flow in a
// deletion. Without its tuple a deletion would take every flow there is, so
// where none can be read there is no source either.
func decodeFlow(b []byte) (source netip.Addr, identity []byte) {
	if len(b) < 4 {
		return source, nil
	}
	err := eachAttr(b[4:], func(kind uint16, value []byte) error {
		switch kind {
		case flowTupleOrig:
			source = sourceOf(value)
			identity = appendAttr(identity, flowTupleOrig|nested, value...)
		case flowID, flowZone:
			identity = appendAttr(identity, kind, value...)
		}
		return nil
	})
	if err != nil {
		return netip.Addr{}, nil
	}
	return source, identity
}

func sourceOf(tuple []byte) (source netip.Addr) {
	// A malformed rest leaves source as far as it was read.
	_ = eachAttr(tuple, func(kind uint16, value []byte) error {
		if kind != tupleIP {
			return nil
		}
		return eachAttr(value, func(kind uint16, value []byte) error {
			if kind == ipv4Src || kind == ipv6Src {
				source, _ = netip.AddrFromSlice(value)
			}
			return nil
		})
	})
	return source
}

// A matcher tells whether an address lies in one of many networks.
type matcher struct {
	networks map[netip.Prefix]bool
	lengths  map[int]bool // of the prefixes
}

func newMatcher(networks []netip.Prefix) matcher {
	m := matcher{map[netip.Prefix]bool{}, map[int]bool{}}
	for _, p := range networks {
		m.networks[p] = true
		m.lengths[p.Bits()] = true
	}
	return m
}

func (m *matcher) matches(a netip.Addr) bool {
	for bits := range m.lengths {
		if p, err := a.Prefix(bits); err == nil && m.networks[p] {
			return true
		}
	}
	return false
}
