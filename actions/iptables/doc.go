// Package iptables makes the kernel drop what the ledger has banned: action
// "iptables", on iptables, ip6tables and ipset.
//
// It stands at the end of the path. enforce's Runner hands it changes (Apply)
// and, every few seconds, everything that should be in force (Resync); it
// lists what really stands, works out the difference as a value, and commits
// that difference with one iptables-restore per family and netlink messages
// to ipset.
//
// The invariant: a ban that is to stay in force is in force at every moment in
// between. Sets are filled before a rule names them, rules and the set rule
// change places inside one commit, sets grow by swap, and nothing is flushed
// to be built again.
//
// Whose rules are whose. The chain (FREESWITCH unless told otherwise) is ours,
// and a rule in it of exactly the form `-s ADDR -j DROP` (or REJECT) is a ban:
// if the ledger does not know it, it goes, because a ban that ended while we
// were down looks the same. Whoever wants to keep a rule of his own in our
// chain gives it a comment or any other match; such a rule is foreign, stays
// where it is and is reported. Outside of the chain only the jumps to it are
// touched, and only in the hooks that are configured.
//
// Whose position. A jump must not stand below anything that could let a packet
// pass, so it is moved to the top when an ACCEPT, a RETURN, or a jump to a
// chain with an ACCEPT in it turns up above. Rules that can only drop, log or
// come back (fail2ban's chains, for one) may stay above it: that is what keeps
// two guards on one host from outbidding each other for position 1. Where
// another program insists all the same, we give in to a move every five
// minutes, and say so, until an hour has seen fewer than twenty.
//
// What a block may say, with the defaults:
//
//	action "iptables" "drop" {
//	  chain       = "FREESWITCH" # security.iptables_chain; the sets are named after it
//	  target      = "DROP"       # or "REJECT", in table filter only
//	  ports       = []           # "5060", "5060-5061": narrow the jump; none: all ports
//	  protocols   = []           # "udp", "tcp"; none: all, or both where there are ports
//	  hooks       = ["INPUT"]    # also "FORWARD", "raw/PREROUTING"; "DOCKER-USER" is waited for
//	  backend     = "auto"       # "rules", "ipset"; auto: a set above ipset_above entries,
//	  ipset_above = 100          # rules again below three quarters of that
//	  max_entries = 131072       # of a new set; it doubles before it is full
//	  aggregate   = ""           # "24" or "24,48": two bans of one network become one of the network,
//	                             # except where that would touch a trusted address
//	  ipv6        = true
//	}
//
// Ports and protocols narrow the jump, not the bans, so that a ban is the same
// rule everywhere. A jump that an earlier configuration had from a hook which
// is no longer listed stays until somebody deletes it; tables that are no longer
// used at all are cleared at start.
package iptables
