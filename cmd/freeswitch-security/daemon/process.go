package daemon

import (
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"

	"freeswitch-security/engine/ban"
)

// prepareProcess sets priority, memory and capabilities of the process.
func prepareProcess(log *slog.Logger) {
	raisePriority()
	debug.SetGCPercent(usualGarbage)
	// Sources keep some of Go's processors while they sleep in the kernel.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	if err := inheritCapabilities(); err != nil {
		log.Warn("capabilities not passed on to iptables", "err", err)
	}
}

// HostAddresses returns the addresses of this host, unmapped and without zones.
func HostAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, one := range all {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil {
			own = append(own, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return own, nil
}

// trustHost trusts the addresses of this host.
func trustHost() []ban.Trusted {
	own, err := HostAddresses()
	if err != nil {
		slog.Error("addresses of this host unknown: they are not trusted", "err", err)
	}
	var trusted []ban.Trusted
	for _, ip := range own {
		trusted = append(trusted, ban.Trusted{Target: ban.Network(netip.PrefixFrom(ip, ip.BitLen())), Name: "this host"})
	}
	return trusted
}
