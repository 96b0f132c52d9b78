// Package accounts holds the history of the switch's accounts: in which networks each one was seen,
// where it called, and whether its password may have been guessed.
//
// The engine shows a [Table] each event before the rules see it. The table sets the event's fields
// new_network, new_destination, guessed and history_days, and then notes the event. An account is in the
// table only once the switch has verified its password, so no stranger can fill it.
//
// Invariant: within a full list, what was seen over the shortest time is evicted first, of networks,
// destinations and accounts alike. So an attacker with a password cannot push out in a day what was
// there for weeks. Memory: 20,000 accounts with two networks and three destinations each take
// 8 MB, at most 45 MB if all lists are full, and 4 MB for failures.
package accounts
