// Package iptables makes the kernel drop the packets of banned addresses: action
// "iptables", on iptables, ip6tables and ipset.
//
// It stands at the end of the path. enforce's Runner passes it changes (Apply) and,
// every few seconds, all bans that should be in force (Resync). It lists what the
// kernel has, computes the difference as a value, and commits it with one
// iptables-restore a family and netlink messages to ipset.
//
// Invariant: a ban that is in force before and after an operation is in force during
// it. Sets are filled before a rule names them, rules and the set rule are exchanged in
// one commit, sets grow by swap, and nothing is flushed to be built again.
//
// # Endpoints
//
// A ban of 203.0.113.7:5060/udp drops what that address sends from that port, and nothing
// else. It is a rule of its own, or an entry of a second set (hash:ip,port), which exists
// while there are such bans. It is never aggregated. Of the conntrack flows, only those of
// the endpoint are deleted.
//
// # Our rules and foreign rules
//
// The chain (FREESWITCH by default) belongs to the action. A rule in it of exactly the
// form `-s ADDR -j DROP` (or REJECT) is a ban, with `-p udp -m udp --sport PORT` before
// -j that of an endpoint. It is removed if the ledger does not have it: a ban that expired
// while the daemon was down has this form. One that appears alone while the daemon runs is
// an operator's, and becomes a permanent ban. A rule with a
// comment or any other match is foreign: it stays where it is and is reported. Outside
// of the chain only the jumps to it are changed, and only in the configured hooks.
//
// # Position of the jump
//
// A jump must not be below a rule that could accept a packet. It is moved to the top
// when an ACCEPT, a RETURN, or a jump to a chain with an ACCEPT appears above it. Rules
// that only drop, log or return (fail2ban's chains) may stay above it, so that two
// guards on one host do not compete for position 1. Another program may keep moving its
// rule up. After a burst of 20 moves the jump is moved twice a second at most, and this
// is reported.
//
// # Changes by others
//
// Each commit to nf_tables is heard (Serve) and followed by a Repair, which compares the
// rules. A jump that is gone is put back at once by netlink. iptables-legacy and the
// members of sets are compared by Resync alone. A foreign rule of the chain that lets
// packets of banned addresses pass is a gap: it stays, and is a problem of the status.
//
// # Configuration
//
// engine/RULES.md has the attributes of the block. With aggregate two bans of one network become one of the network,
// unless that covers a trusted or protected address.
//
// Ports and protocols are part of the jump, not of the bans, so that a ban is the same
// rule everywhere. A jump in a hook that is no longer configured stays until an operator
// deletes it. Tables that are no longer configured are cleared at start.
package iptables
