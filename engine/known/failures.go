package known

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// FailureEvents are the names of the events that say that an account failed. A
// challenge, or a call that was left to hang, takes one packet with any sender and
// any account in it: such events may name forty accounts, and count for none.
var FailureEvents = []string{event.AuthFailure, event.UnknownUser, event.VertoLoginFailure}

const (
	// failed is how long a failure of an account is remembered.
	failed = time.Hour

	// maxFailing bounds the addresses whose failures are remembered, and maxFailed the
	// accounts at one of them: more are not told apart, nor need they be.
	maxFailing = 50_000
	maxFailed  = 64
)

// Failures is which accounts failed at an address lately. It outlives the evidence of
// a rule, which whoever causes enough other events can have forgotten. It belongs to
// one goroutine.
type Failures struct {
	seed  maphash.Seed
	at    map[netip.Addr]*failing
	order []netip.Addr // in which they came
}

// A failing is the accounts that failed at one address, the latest last.
type failing []failure

type failure struct {
	account uint64
	at      time.Time
}

// NewFailures returns an empty set.
func NewFailures() *Failures {
	return &Failures{seed: maphash.MakeSeed(), at: map[netip.Addr]*failing{}}
}

// Learn takes in an event, and ignores those that are not of FailureEvents or name no
// account.
func (f *Failures) Learn(ev *event.Event) {
	if ev.User == "" || !ev.IP.IsValid() || !slices.Contains(FailureEvents, ev.Name) {
		return
	}
	ip := host(ev.IP)
	all := f.at[ip]
	if all == nil {
		if len(f.order) == maxFailing {
			delete(f.at, f.order[0])
			f.order = f.order[1:]
		}
		all = &failing{}
		f.at[ip] = all
		f.order = append(f.order, ip)
	}
	account := maphash.String(f.seed, strings.ToLower(bounded(ev.User)+"@"+bounded(ev.Domain)))
	*all = slices.DeleteFunc(*all, func(one failure) bool {
		return one.account == account || ev.Time.Sub(one.at) > failed
	})
	if len(*all) == maxFailed {
		*all = slices.Delete(*all, 0, 1)
	}
	*all = append(*all, failure{account, ev.Time})
}

// Count is how many accounts failed at an address, or in the network of an IPv6 host,
// in the hour before now.
func (f *Failures) Count(network netip.Prefix, now time.Time) int {
	n := 0
	if all := f.at[host(network.Addr())]; all != nil {
		for _, one := range *all {
			if now.Sub(one.at) <= failed {
				n++
			}
		}
	}
	return n
}

// host is what stands for the host of an address: an IPv6 host has a whole /64.
func host(ip netip.Addr) netip.Addr {
	if ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().Addr()
	}
	return ip
}
