package engine

import (
	"fmt"
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
)

// maxSparedHosts bounds the protected hosts that are left out of the ban of an IPv6 network: with
// more, it is not banned. An IPv4 network has no more than 128 parts.
const maxSparedHosts = 64

// parts returns what an order for a network of several hosts bans: all of it but the protected
// hosts. One account registered in a network must not shield the rest of it, and a forger must not
// have the hosts of others banned by failing beside them.
//
// If as many accounts are registered in it as hosts failed, nothing is banned, and why says so: an
// attacker holds few accounts, and in the network of a provider most phones work. Dialogues count as
// well where the failures may be forged: an attacker can have one at each of its own hosts.
func (e *Engine) parts(o ban.Order, failed int) (parts []netip.Prefix, why string) {
	network := o.Target.Prefix()
	var hosts []netip.Prefix
	good := 0
	if table := e.known.registrations; table != nil {
		if good = len(table.Accounts(network, e.now, failed)); good >= failed {
			return nil, inUse(failed) // before its hosts are looked at: a provider has thousands
		}
		for _, addr := range table.Addresses(network, e.now) {
			host := e.known.nat64.Host(addr)
			if !slices.Contains(hosts, host) && e.protected(host) {
				hosts = append(hosts, host)
			}
		}
	}
	if d := e.known.dialogues; d != nil {
		talked := d.Hosts(network, e.now)
		for _, host := range talked {
			if !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
		if !o.Proven && e.known.proves[o.Source] {
			good += len(talked)
		}
	}
	if good >= failed {
		return nil, inUse(failed)
	}
	if network.Addr().Is6() && len(hosts) > maxSparedHosts {
		return nil, fmt.Sprintf("%d hosts of the network failed, and %d have a registered phone or a dialogue", failed, len(hosts))
	}
	return without(network, hosts), ""
}

// inUse says why a network with so many failed hosts is not banned.
func inUse(failed int) string {
	return fmt.Sprintf("%d hosts of the network failed, and as many accounts or more are in use there", failed)
}

// failedHosts returns how many hosts of the target of an order led to it.
func (e *Engine) failedHosts(o ban.Order) int {
	if o.Target.Kind() != ban.TargetNetwork {
		return 1
	}
	failed := map[netip.Prefix]bool{}
	for _, one := range o.Evidence {
		if o.Target.Prefix().Contains(one.IP) {
			failed[e.known.nat64.Host(one.IP)] = true
		}
	}
	return len(failed)
}

// without returns the parts of a network that hold none of the hosts, in the order of their
// addresses.
func without(network netip.Prefix, hosts []netip.Prefix) []netip.Prefix {
	var inside []netip.Prefix
	for _, host := range hosts {
		if network.Overlaps(host) {
			inside = append(inside, host)
		}
	}
	switch bits := network.Bits(); {
	case len(inside) == 0:
		return []netip.Prefix{network}
	case slices.ContainsFunc(inside, func(host netip.Prefix) bool { return bits >= host.Bits() }):
		return nil
	default:
		upper := network.Addr().AsSlice()
		upper[bits/8] |= 0x80 >> (bits % 8)
		addr, _ := netip.AddrFromSlice(upper)
		return append(without(netip.PrefixFrom(network.Addr(), bits+1), inside), without(netip.PrefixFrom(addr, bits+1), inside)...)
	}
}
