package sip

import (
	"net"
	"net/netip"
	"time"
)

// readEvery is the interval at which the addresses of the host are read.
const readEvery = time.Minute

// local is the addresses of this host. The zero value reads them when it is asked.
type local struct {
	addrs map[netip.Addr]bool
	read  time.Time
}

// refresh reads the addresses again if they are old, and reports whether they were.
func (l *local) refresh(now time.Time) bool {
	if now.Sub(l.read) < readEvery {
		return false
	}
	l.read = now
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return true // those known before still hold
	}
	l.addrs = map[netip.Addr]bool{}
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			l.addrs[p.Addr().Unmap().WithZone("")] = true
		}
	}
	return true
}

// has reports whether an address is one of this host.
func (l *local) has(a netip.Addr) bool { return l.addrs[a] || a.IsLoopback() }
