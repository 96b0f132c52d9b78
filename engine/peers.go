package engine

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/fleet"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// A fleetNode is this guard in its fleet. The zero value is in none.
type fleetNode struct {
	node        *fleet.Node // nil: it is in none
	fingerprint settings.Fingerprint
	cancel      context.CancelFunc
	done        chan struct{} // closed when the node has ended
	autoBlock   atomic.Bool   // bans of rules are enforced
}

// end ends the node, and returns a channel that is closed then.
func (f *fleetNode) end() <-chan struct{} {
	if f.node == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	f.cancel()
	f.node = nil
	return f.done
}

// reconcileFleet runs the node of the configuration, and no other. One whose block is the same is
// left alone. Nothing here waits.
func (e *Engine) reconcileFleet() {
	f, cfg := &e.live.fleet, e.cfg.Fleet
	f.autoBlock.Store(e.cfg.Security.AutoBlock)
	defer e.tellCounts()
	if e.options.DryRun || f.node != nil && cfg != nil && f.fingerprint == cfg.Fingerprint {
		return
	}
	before := f.end()
	if cfg == nil {
		return
	}
	o := fleet.Options{
		Ledger: e.ledger, Take: e.takeFromPeers, Durable: e.durableForPeers, Enforced: e.enforces,
		Now: e.options.Clock.Now, Version: e.options.Version, Log: e.options.Log,
	}
	if e.options.Dir != "" {
		o.Dir = filepath.Join(filepath.Dir(e.options.Dir), "fleet")
	}
	ctx, cancel := context.WithCancel(context.Background()) // it outlives the core: its last changes are sent
	f.node, f.fingerprint, f.cancel, f.done = fleet.New(cfg, o), cfg.Fingerprint, cancel, make(chan struct{})
	e.hearNotices(ctx, f.node)
	go func(node *fleet.Node, done chan<- struct{}) {
		defer close(done)
		<-before
		node.Run(ctx)
	}(f.node, f.done)
}

// enforces reports whether a ban of this node is one to share. It is safe for concurrent use.
func (e *Engine) enforces(b *ban.Ban) bool {
	return !strings.HasPrefix(b.Author, plugin.FeedAuthor) && b.Author != "takeover" && (e.live.fleet.autoBlock.Load() || !b.OfRule())
}

// durableForPeers returns when all earlier changes are on the disk.
func (e *Engine) durableForPeers(ctx context.Context) error {
	err := e.durable(ctx)
	if errors.Is(err, errStopped) {
		<-e.live.saved
		return e.live.saver.failed()
	}
	return errors.Join(err, e.live.saver.failed())
}

// takeFromPeers enters decisions of peers into the ledger, share by share. See [fleet.Options].
func (e *Engine) takeFromPeers(ctx context.Context, records []*fleet.Record, busy func() map[ban.Target]bool) ([]fleet.Verdict, error) {
	if len(records) > manyDecided {
		e.options.Busy()
	}
	verdicts := make([]fleet.Verdict, 0, len(records))
	for part := range slices.Chunk(records, share) {
		err := e.between(ctx, func() {
			e.retrust()
			changed := busy()
			for _, r := range part {
				verdict := fleet.Verdict{Again: changed[r.Target]}
				if !verdict.Again {
					verdict.Refused = e.takeFromPeer(r)
				}
				verdicts = append(verdicts, verdict)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// takeFromPeer enters one decision, and returns why it is not in force here; "" if it is, or is over. One in the name of
// this node, which comes back after the state was lost, is a peer's too: any node may have written it.
func (e *Engine) takeFromPeer(r *fleet.Record) (refused string) {
	author := fleet.AuthorPrefix + r.Node
	if r.Kind != fleet.KindBan && e.decidedHere(r) {
		return ""
	}
	switch r.Kind {
	case fleet.KindBan:
		return e.banForPeer(r, author)
	case fleet.KindUnban:
		why := "by " + author
		if r.Reason != "" {
			why += ": " + r.Reason
		}
		if c := e.ledger.Unban(r.Target, why, e.now, max(0, r.Until.Sub(e.now))); c != nil {
			e.decide(c)
		}
	case fleet.KindTrust:
		trusted := ban.Trusted{Target: r.Target, Name: "whitelist", Comment: r.Reason, Author: author, Since: r.Start, Until: r.Until}
		for _, c := range e.ledger.Grant(trusted, e.now) {
			e.decide(c)
		}
	case fleet.KindUntrust:
		e.ledger.Revoke(r.Target)
	}
	return ""
}

// decidedHere reports whether a person has banned or trusted the target of an unban or a decision about trust
// at this node alone: that stands, but a longer trust.
func (e *Engine) decidedHere(r *fleet.Record) bool {
	if r.Kind == fleet.KindUnban {
		b, banned := e.ledger.Get(r.Target)
		return banned && ban.IsOnlyHere(b.Author)
	}
	t := e.ledger.TrustCovering(r.Target, true)
	return t != nil && t.Target == r.Target && ban.IsOnlyHere(t.Author) && (r.Kind == fleet.KindUntrust || !outlasts(r.Until, t.Until))
}

// outlasts reports whether an end is later than another one; the zero time is never.
func outlasts(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// banForPeer enters a ban, unless what is trusted or protected here forbids it. A grace of the target
// itself does not: the fleet has settled that.
func (e *Engine) banForPeer(r *fleet.Record, author string) (refused string) {
	if !r.Until.IsZero() && !e.now.Before(r.Until) {
		return ""
	}
	term := ban.Permanent
	if !r.Until.IsZero() {
		term = ban.Term(r.Until.Sub(r.Start))
	}
	_, settled := e.ledger.Grace(r.Target)
	o := ban.Order{
		Target: r.Target, Rule: r.Rule, Author: author, Reason: r.Reason, Key: r.Key, At: r.Start, Terms: []ban.Term{term}, Forget: r.Forget,
		Actions: r.Actions, Evidence: r.Evidence, Proven: r.Proven, Offence: max(1, r.Offence), ByHand: settled || !r.ByRule(),
	}
	if c := e.ledger.Consider(o, e.now); !c.InForce() && !c.Standing {
		return c.Why
	}
	if why := e.protectedFromPeer(r); why != "" {
		return "protected: " + why
	}
	if b, ok := e.ledger.Get(r.Target); ok && outlasts(b.Until, r.Until) && !strings.HasPrefix(b.Author, plugin.FeedAuthor) && !ban.IsOnlyHere(b.Author) {
		// The peer unbanned it, and banned it again.
		e.decide(e.ledger.Unban(r.Target, "by "+author, e.now, 0))
	}
	c := e.ledger.Enter(o, e.now)
	if c.Kind == ban.KindRefuse {
		return ""
	}
	e.decide(c)
	return ""
}

// protectedFromPeer says what protects the target of a peer's ban here; "" if nothing does.
func (e *Engine) protectedFromPeer(r *fleet.Record) string {
	network := r.Target.Prefix()
	if !network.IsValid() { // an account
		return ""
	}
	if table := e.known.registrations; table != nil && table.Holds(network, e.now) && e.protected(network) {
		return e.whyRegistered(network, nil)
	}
	if e.known.nat64.IsWide(network) {
		return "many hosts share it behind a translator"
	}
	if at := e.lastDialogue(network, netip.Addr{}); !r.Proven && !at.IsZero() {
		return "a call or login " + ban.FormatDuration(e.now.Sub(at).Truncate(time.Second)) + " ago, and the sender may be forged"
	}
	return ""
}

// tellUnban tells the fleet of an unban by a person, and of the bans that it has ended, or notes that they
// are ended here alone.
func (e *Engine) tellUnban(r Release, ended []*ban.Change) {
	node := e.live.fleet.node
	switch {
	case node == nil:
	case r.Here:
		node.EndedHere(r.Target, false)
		for _, c := range ended {
			node.EndedHere(c.Target, false)
		}
	default:
		var grace time.Time
		if r.Grace > 0 {
			grace = e.now.Add(r.Grace)
		}
		node.Unbanned(r.Target, grace, r.Author, r.Reason, e.now)
	}
}

// tellUntrust tells the fleet that a person no longer trusts a target, or notes that this node alone does not.
func (e *Engine) tellUntrust(target ban.Target, here bool) {
	node := e.live.fleet.node
	switch {
	case node == nil:
	case here:
		node.EndedHere(target, true)
	default:
		node.Untrusted(target, "", e.now)
	}
}

// savingTime bounds the time until what a person changed is in fleet.db.
const savingTime = 5 * time.Second

// savedForPeers waits until what the fleet was told is on the disk, or could not be saved: after a crash, a
// ban that a person ended would be entered again, as the bucket has it, and one that follows an unban would have
// an earlier stamp than that, if the clock of this host is behind. The change is made already, so the end of ctx
// does not end the wait. It returns err, unless that is nil.
func (e *Engine) savedForPeers(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), savingTime)
	defer cancel()
	var saved <-chan struct{}
	err = e.between(ctx, func() {
		if node := e.live.fleet.node; node != nil {
			saved = node.Saved()
		}
	})
	if err != nil || saved == nil {
		return err
	}
	select {
	case <-saved:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

// tellTrust tells the fleet of a trust by a person, and of the bans that it has ended.
func (e *Engine) tellTrust(t *ban.Trusted, ended []*ban.Change) {
	node := e.live.fleet.node
	if node == nil || ban.IsOnlyHere(t.Author) {
		return
	}
	node.Trusted(t)
	for _, c := range ended {
		node.Unbanned(c.Target, time.Time{}, t.Author, c.Why, e.now)
	}
}
