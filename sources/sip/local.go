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

// refresh reads the addresses again if they are old.
func (l *local) refresh(now time.Time) {
	if now.Sub(l.read) < readEvery {
		return
	}
	l.read = now
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return // those known before still hold
	}
	l.addrs = map[netip.Addr]bool{}
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			l.addrs[p.Addr().Unmap().WithZone("")] = true
		}
	}
}

// has reports whether an address is one of this host.
func (l *local) has(a netip.Addr) bool { return l.addrs[a] || a.IsLoopback() }
