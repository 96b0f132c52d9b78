package engine

import (
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/names"
)

// trust returns what must not be banned: the host's own addresses, what the configuration
// lists, what its names resolve to, and the gateways. What is written is named before what was learned.
func (e *Engine) trust() *ban.Trust {
	trusted := slices.Concat(e.options.Hosts(), e.cfg.Trusted, e.trustedNames())
	if e.known.gateways != nil {
		trusted = append(trusted, e.known.gateways.Trusted()...)
	}
	return ban.NewTrust(trusted)
}

// setTrust sets the trust of the ledger, which unbans what it covers.
func (e *Engine) setTrust() {
	e.known.changed = false
	for _, c := range e.ledger.SetTrust(e.trust(), e.now) {
		e.decide(c)
	}
}

// retrust is setTrust if the gateways or the names have changed. A switch reports hundreds of them at a
// connect, and the ledger looks at all of its bans each time. So it is called before an
// order and before a commit.
func (e *Engine) retrust() {
	if e.known.changed {
		e.setTrust()
	}
}

// lookUpNames looks up the trusted names for which it is time. The core does not wait: it takes each answer
// when it arrives.
func (e *Engine) lookUpNames(now time.Time) {
	if e.options.Resolver == nil {
		return
	}
	ctx, resolve := e.live.ctx, e.options.Resolver
	for _, name := range e.known.names.Due(now) {
		go func() {
			answer := names.LookUp(ctx, resolve, name)
			_ = e.between(ctx, func() { e.takeName(answer) }) // an error: the engine has stopped
		}()
	}
}

// takeName takes the answer about a trusted name.
func (e *Engine) takeName(answer names.Answer) {
	c := e.known.names.Take(answer, time.Now())
	if c.Failed != nil {
		e.options.Log.Warn("trusted name not resolved", "name", c.Name, "err", c.Failed)
	}
	if len(c.Added) > 0 || len(c.Removed) > 0 {
		e.options.Log.Info("trust of a name changed", "name", c.Name, "added", c.Added, "removed", c.Removed)
		e.known.changed = true
	}
}

// trustedNames returns the trust in what the names of the configuration resolve to.
func (e *Engine) trustedNames() (all []ban.Trusted) {
	for _, n := range e.cfg.Names {
		for _, addr := range e.known.names.Addresses(n.Host) {
			one := n.Trust
			one.Target = ban.Network(single(addr))
			all = append(all, one)
		}
	}
	return all
}

// hosts returns the names without what is said about them.
func hosts(all []config.TrustedName) (hosts []string) {
	for _, n := range all {
		hosts = append(hosts, n.Host)
	}
	return hosts
}
