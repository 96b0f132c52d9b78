package learn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Kind is what an address looks like.
type Kind string

const (
	Carrier Kind = "carrier" // calls from the public network come from here
	Office  Kind = "office"  // several phones behind one address
)

// A Proposal is an address that may be trusted.
type Proposal struct {
	Kind    Kind
	Network netip.Prefix // an address, or a /64
	Gateway bool         // the switch itself calls it
	Days    int          // on which it was seen

	// Sure: the address did what no stranger can do, and nothing of weight speaks
	// against it. All other proposals are for a person who knows the address.
	Sure bool

	For, Against []string // not escaped: they quote what callers wrote
}

const (
	minAccounts = 3 // of an office: one or two phones are a home
	minCalls    = 20
	minCallers  = 10 // of a carrier
)

// carrier proposes a gateway of the switch, or an address that calls for many callers
// and is never challenged. The latter is never certain: where a profile asks for no
// password any stranger can do it, and toll fraud does so for weeks.
func (r *Recorder) carrier(a *address) *Proposal {
	if len(a.gateways) > 0 {
		p := r.proposal(Carrier, a, "FreeSWITCH itself registers here: gateway "+strings.Join(a.gateways, ", "))
		p.Gateway = true
		p.Sure = a.count(failures) == 0 && len(a.caughtBy()) == 0
		return r.weigh(p, a)
	}
	if a.count(calls) < minCalls || len(a.callers) < minCallers || a.count(rejected)*10 > a.count(calls) ||
		a.count(challenges)+a.success()+a.count(failures)+a.count(refusals)+a.count(forgeries) > 0 || len(a.caughtBy()) > 0 {
		return nil
	}
	callers := plural(len(a.callers), "caller")
	if len(a.callers) == maxCallers {
		callers += " or more"
	}
	p := r.proposal(Carrier, a, fmt.Sprintf("%s of %s, and never challenged", plural(a.count(calls), "call"), callers))
	p.Against = []string{"a scanner of a profile without passwords looks the same"}
	return r.weigh(p, a)
}

// office proposes an address where several accounts register, unless it failed more than it
// succeeded, or guessed: trust would let an attacker with a few passwords guess the next.
func (r *Recorder) office(a *address) *Proposal {
	if len(a.accounts) < minAccounts || a.prowls() || a.count(forgeries) > 0 || len(a.gateways) > 0 ||
		a.count(failures) > a.success() || r.isGuesser(a) {
		return nil
	}
	p := r.proposal(Office, a, fmt.Sprintf("%s registered, %s: %s",
		plural(len(a.accounts), "account"), plural(a.success(), "time"), some(a.accountNames, len(a.accounts))))
	p.Sure = !a.failsMore()
	roaming := 0
	for _, account := range a.accounts {
		if r.homes[account].roaming {
			roaming++
		}
	}
	if roaming > 0 {
		p.Against = append(p.Against, fmt.Sprintf("%d of its accounts registered elsewhere, too", roaming))
		// Stolen passwords are used while their owners use them.
		p.Sure = p.Sure && roaming*2 <= len(a.accounts)
	}
	return r.weigh(p, a)
}

// isGuesser reports whether a success of the address may be a guess: its first one came after
// failures, or a rule waited for it.
func (r *Recorder) isGuesser(a *address) bool {
	return a.guessed || slices.ContainsFunc(a.caughtBy(), func(c ruleRecord) bool {
		th := r.rules[c.rule].spec.Threshold
		return th != nil && th.Then != nil
	})
}

// proposal starts a proposal for the given reason.
func (r *Recorder) proposal(kind Kind, a *address, reason string) *Proposal {
	p := &Proposal{Kind: kind, Network: a.target(), Days: a.seen.n, For: []string{reason}}
	p.For = append(p.For, fmt.Sprintf("seen on %s, %s to %s", plural(a.seen.n, "day"), stamp(a.first), stamp(a.last)))
	if len(a.agents) > 0 {
		p.For = append(p.For, "calls itself "+some(a.agents, len(a.agents)))
	}
	return p
}

// weigh adds what speaks against a proposal of any kind.
func (r *Recorder) weigh(p *Proposal, a *address) *Proposal {
	if n := a.count(failures); n > 0 {
		text := plural(n, "failure")
		if len(a.failedNames) > 0 {
			text += ", of " + some(a.failedNames, len(a.failed))
		}
		p.Against = append(p.Against, text)
	}
	if n := a.count(refusals); n > 0 {
		p.Against = append(p.Against, plural(n, "refusal")+" by an access list")
	}
	for _, c := range a.caughtBy() {
		p.Against = append(p.Against, fmt.Sprintf("caught by rule %q, %s, first at %s",
			r.rules[c.rule].spec.Name, plural(int(c.caught), "time"), stamp(time.UnixMicro(c.first))))
	}
	if !p.Gateway && !a.inStream(accepted) && !a.inStream(registered) && !a.inStream(calls) {
		p.Sure = false
		p.Against = append(p.Against, "only a log reports it, and callers can write lines of a log with uuid=true")
	}
	return p
}

// some lists a few names of n things.
func some(names []string, n int) string {
	list := strings.Join(names, ", ")
	if n > len(names) {
		list += ", …"
	}
	return list
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
