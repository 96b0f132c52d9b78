package accounts

import (
	"cmp"
	"hash/maphash"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
)

// failures are the names of the events which say that a password was wrong. An unknown account has
// none.
var failures = []string{event.AuthFailure, event.VertoLoginFailure}

const (
	// guesses is how many failures in an hour make the next success a guess: an owner mistypes twice.
	guesses = 5

	// maxFailing bounds the accounts whose failures are held. To have those at an account without a
	// history forgotten, an attacker has to fail at as many others within the hour.
	maxFailing = 10_000
)

// failing holds the latest failures at each account, as each source reports them: two sources report
// one attempt. It does not survive a restart.
type failing struct {
	seed    maphash.Seed
	known   dedup.Cache[uint64, recent] // by account and source; of accounts with a history
	strange dedup.Cache[uint64, recent] // of others: those that an attacker chooses
}

// recent holds the times of the latest failures, oldest first.
type recent [guesses]int64

func newFailing() failing {
	return failing{
		seed:    maphash.MakeSeed(),
		known:   dedup.Cache[uint64, recent]{Half: maxFailing},
		strange: dedup.Cache[uint64, recent]{Half: maxFailing},
	}
}

// key returns the key of the account that the credentials name: a failure has no other.
func (f *failing) key(ev *event.Event) uint64 {
	of := ev.Fields
	user := cmp.Or(of["variable_sip_auth_username"], of["sip_auth_username"], ev.User)
	realm := cmp.Or(of["variable_sip_auth_realm"], of["sip_auth_realm"], ev.Domain)
	var h maphash.Hash
	h.SetSeed(f.seed)
	for _, part := range [...]string{ev.Source, " ", fold(user), "@", fold(realm)} {
		_, _ = h.WriteString(part) // it cannot fail
	}
	return h.Sum64()
}

// fail notes a failure at the account of an event, unless the account is known in its network: a phone
// with an old password is no guesser, and a forger of its owner's address gains nothing.
func (t *Table) fail(ev *event.Event, at int64) {
	cache, key := &t.failing.strange, t.failing.key(ev)
	if a := t.accounts[nameOf(ev)]; a != nil {
		cache = &t.failing.known
		if network, ok := t.network(ev.IP); ok && at-a.networks.first(network, at) > together {
			return
		}
	}
	latest, _ := cache.Get(key)
	copy(latest[:], latest[1:])
	latest[guesses-1] = at
	cache.Put(key, latest)
}

// isGuess reports whether a password that was accepted in a network, first seen at first, may have been
// guessed: the network is new to the account, and there were five failures in the hour before.
func (t *Table) isGuess(ev *event.Event, first, at int64) bool {
	if at-first > together {
		return false
	}
	key := t.failing.key(ev)
	for _, cache := range []*dedup.Cache[uint64, recent]{&t.failing.known, &t.failing.strange} {
		if latest, ok := cache.Get(key); ok && at-latest[0] <= hour {
			return true
		}
	}
	return false
}
