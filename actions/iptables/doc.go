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
package iptables
