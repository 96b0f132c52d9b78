package learn

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A Kind is what somebody looks like.
type Kind string

const (
	Carrier Kind = "carrier" // the calls of the world come from here
	Office  Kind = "office"  // several phones behind one address
)

// A Proposal is somebody who may be trusted.
type Proposal struct {
	Kind    Kind
	Network netip.Prefix // an address, or a /64
	Gateway bool         // the switch itself calls it
	Days    int          // on which it was seen

	// Sure: it did what no stranger can do, and nothing of weight speaks against
	// it. What is not sure is for a person who knows the address.
	Sure bool

	For, Against []string // not escaped: they quote what callers wrote
}

const (
	// fewestAccounts is how many make an office: one or two phones are a home.
	fewestAccounts = 3
	// fewestCalls and fewestCallers make a carrier.
	fewestCalls   = 20
	fewestCallers = 10
)

// carrier proposes whoever looks like one: a gateway of the switch's own, or an
// address that calls for many and is never asked for a password. The latter
// anybody can do where a profile asks for none, toll fraud does it for weeks: it
// never makes sure.
func (n *Notebook) carrier(a *address) *Proposal {
	p := n.proposal(Carrier, a)
	if len(a.gateways) > 0 {
		p.Gateway, p.Sure = true, true
		p.For = append([]string{"FreeSWITCH itself registers here: gateway " + strings.Join(a.gateways, ", ")}, p.For...)
		if a.failures() > 0 || len(a.catches) > 0 {
			p.Sure = false
		}
		n.speakAgainst(p, a)
		return p
	}
	challenges := a.most(func(t *tally) int32 { return t.challenges })
	rejected := a.most(func(t *tally) int32 { return t.rejected })
	if a.calls() < fewestCalls || len(a.callers) < fewestCallers || rejected*10 > a.calls() ||
		challenges > 0 || a.success() > 0 || a.failures() > 0 || a.refused() > 0 || a.forged() || len(a.catches) > 0 {
		return nil
	}
	p.For = append([]string{
		fmt.Sprintf("%s of %s, and was never asked for a password", plural(a.calls(), "call"), atMost(len(a.callers), "caller")),
	}, p.For...)
	if len(a.numbers) > 0 {
		p.For = append(p.For, fmt.Sprintf("%s dialled, %s to one dialled before", atMost(len(a.numbers), "number"), plural(int(a.again), "call")))
	}
	p.Against = append(p.Against, "whoever scans a profile that asks for no password looks the same")
	n.speakAgainst(p, a)
	return p
}

// office proposes an address from which several accounts register well. A phone with
// an old password may fail there far more often than the others register; so may
// somebody who has a few passwords and guesses another.
func (n *Notebook) office(a *address) *Proposal {
	if len(a.well) < fewestAccounts || a.prowls() || a.forged() || len(a.gateways) > 0 {
		return nil
	}
	p := n.proposal(Office, a)
	p.Sure = !a.failsMore()
	p.For = append([]string{
		fmt.Sprintf("%s registered well, %s: %s", plural(len(a.well), "account"), plural(a.success(), "time"), some(a.wellNames, len(a.well))),
	}, p.For...)
	if roaming := n.roaming(a); roaming > 0 {
		p.Against = append(p.Against, fmt.Sprintf("%d of its accounts registered elsewhere, too", roaming))
		// Passwords that were found are used beside those who own them.
		p.Sure = p.Sure && roaming*2 <= len(a.well)
	}
	n.speakAgainst(p, a)
	return p
}

func (n *Notebook) proposal(kind Kind, a *address) *Proposal {
	p := &Proposal{Kind: kind, Network: a.target(), Days: a.days}
	p.For = append(p.For, fmt.Sprintf("seen on %s, %s to %s", plural(a.days, "day"), stamp(a.first), stamp(a.last)))
	if len(a.agents) > 0 {
		p.For = append(p.For, "calls itself "+some(a.agents, len(a.agents)))
	}
	return p
}

// speakAgainst adds what every kind of proposal has in common.
func (n *Notebook) speakAgainst(p *Proposal, a *address) {
	if failures := a.failures(); failures > 0 {
		text := plural(failures, "failure")
		if len(a.failedNames) > 0 {
			text += ", of " + some(a.failedNames, len(a.failed))
		}
		p.Against = append(p.Against, text)
	}
	if refused := a.refused(); refused > 0 {
		p.Against = append(p.Against, plural(refused, "refusal")+" by an access list")
	}
	for _, c := range a.catches {
		p.Against = append(p.Against, fmt.Sprintf("caught by rule %q, %s, first at %s", n.rules[c.rule].spec.Name, plural(int(c.times), "time"), stamp(time.UnixMicro(c.first))))
	}
	stream := &a.told[byStream]
	if !p.Gateway && stream.success() == 0 && stream.calls == 0 {
		p.Sure = false
		p.Against = append(p.Against, "only a log tells of it, and callers can write lines of a log with uuid=true")
	}
}

// roaming is how many of the accounts at an address also registered elsewhere.
func (n *Notebook) roaming(a *address) int {
	roaming := 0
	for _, account := range a.well {
		if n.homes[account].others {
			roaming++
		}
	}
	return roaming
}

// some lists a few names of n things.
func some(names []string, n int) string {
	list := strings.Join(names, ", ")
	if n > len(names) {
		list += ", …"
	}
	return list
}

// atMost counts what is not counted any further than maxNumbers.
func atMost(n int, thing string) string {
	if n >= maxNumbers {
		return fmt.Sprintf("%d %ss or more", n, thing)
	}
	return plural(n, thing)
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
