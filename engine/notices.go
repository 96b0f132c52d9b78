package engine

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/fleet"
	"freeswitch-security/engine/notice"
	"freeswitch-security/engine/registrations"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

// notices is what a running engine tells the peers of its fleet about events, and hears from them. It
// belongs to the core.
type notices struct {
	counts, known box

	next   notice.Notice // with the rules that counted its event so far; no event: none
	fields []string      // by which they count

	firings status.Firings // Late is part of Node

	joined  bool           // the peers were asked what their switches know
	asked   bool           // a peer asks what the switches of this node know
	told    time.Time      // when it was last told
	telling []*event.Event // what is still to be told of it
}

// A box is the notices of one kind, and those of the peers.
type box struct {
	out    *notice.Outbox
	in     notice.Inbox
	unsent []notice.Sealed // for when the node is in its fleet again
	told   uint64          // notices
	lost   uint64          // notices that were in unsent for too long
}

// Bounds of what is told.
const (
	maxUnsent  = 256         // messages of a kind: what a node counts by itself must not be told much later
	askedEvery = time.Second // what the switches know is told again at most this often, and to the end first
	toldAtOnce = 1000        // of that, in lookEvery
)

// send sends what is in the box, as far as the node is in its fleet. It reports whether all is sent.
func (b *box) send(node *fleet.Node, kind string) bool {
	if b.out == nil {
		return true
	}
	b.unsent = append(b.unsent, b.out.Take()...)
	for ; len(b.unsent) > maxUnsent; b.unsent = b.unsent[1:] {
		b.lost += uint64(b.unsent[0].Notices)
	}
	for ; len(b.unsent) > 0; b.unsent = b.unsent[1:] {
		if !node.Publish(kind, b.unsent[0].Bytes) {
			return false
		}
		b.told += uint64(b.unsent[0].Notices)
	}
	return true
}

// add adds a notice.
func (b *box) add(n notice.Notice, fields []string, now time.Time) {
	if b.out == nil {
		b.out = notice.NewOutbox()
	}
	b.out.Add(n, fields, now)
}

// hearNotices has a new node of the fleet pass on what peers tell. It must be called before the node runs.
func (e *Engine) hearNotices(ctx context.Context, node *fleet.Node) {
	hear := func(kind string, b *box, take func(notice.Notice)) {
		node.Subscribe(kind, func(peer string, message []byte) {
			_ = e.between(ctx, func() { // an error: the engine has stopped
				all, err := b.in.Open(peer, message, e.now)
				if err != nil {
					e.options.Log.Debug("notice of a peer refused", "peer", peer, "err", err)
				}
				for _, n := range all {
					take(n)
				}
			})
		})
	}
	n := &e.live.notices
	n.joined = false
	hear(config.ShareCounts, &n.counts, e.hearMatch)
	hear(config.ShareRegistrations, &n.known, e.hearKnown)
}

// tellCounts has the rules tell the peers what they count, if the configuration says so.
func (e *Engine) tellCounts() {
	cfg := e.cfg.Fleet
	if e.rules.Tell = nil; cfg == nil || e.live.fleet.node == nil || !cfg.Shares(config.ShareCounts) {
		return
	}
	h := fnv.New32()
	_, _ = h.Write([]byte(cfg.Node)) // not all nodes wait as long, so that the first one can tell the others
	e.rules.Tell, e.rules.Patience = e.tellMatch, time.Second+time.Duration(h.Sum32()%1000)*time.Millisecond
	e.rules.Alone = !cfg.Shares(config.ShareBans)
}

// toldBy are the kinds of notices of what a rule did.
var toldBy = map[rule.Told]notice.Kind{rule.Matched: notice.Matched, rule.Fired: notice.Fired, rule.FiredKept: notice.FiredKept}

// tellMatch adds what a rule did to the notices. Rules that count one event share a notice. Where the bans
// of rules are not enforced, or bans are not shared, a peer has to fire: it is not told of the firing.
func (e *Engine) tellMatch(id rule.ID, spec *rule.Spec, ev *event.Event, what rule.Told) {
	n := &e.live.notices
	if what != rule.Matched {
		if n.firings.Node++; spec.Bans() && (!e.cfg.Security.AutoBlock || e.rules.Alone) {
			return
		}
	}
	if n.next.Event != ev || n.next.Kind != toldBy[what] {
		e.endNotice()
		n.next = notice.Notice{Kind: toldBy[what], Event: ev}
	}
	n.next.Rules = append(n.next.Rules, uint64(id))
	n.fields = append(n.fields, spec.CountsBy()...)
}

func (e *Engine) endNotice() {
	n := &e.live.notices
	if n.next.Event != nil {
		n.counts.add(n.next, notice.FieldsOf(n.fields), e.now)
		n.next, n.fields = notice.Notice{}, nil
	}
}

// hearMatch counts what rules of a peer did.
func (e *Engine) hearMatch(n notice.Notice) {
	for what, kind := range toldBy {
		if kind != n.Kind || e.rules.Tell == nil {
			continue
		}
		for _, id := range n.Rules {
			spec, subject := e.rules.Hear(rule.ID(id), n.Event, what, e.fired)
			if spec != nil && what != rule.Matched {
				e.live.notices.firings.Peer++
			}
			if spec != nil && subject != "" && spec.Alert != nil { // the peer has alerted
				e.rules.Due(spec, subjectOf(onRequest, subject), spec.Alert.Every, n.Event.Time)
			}
		}
	}
}

// tellKnown tells the peers of a registration or a gateway at this node.
func (e *Engine) tellKnown(ev *event.Event) {
	cfg := e.cfg.Fleet
	if e.live.fleet.node == nil || cfg == nil || !cfg.Shares(config.ShareRegistrations) {
		return
	}
	registered := slices.Contains(registrations.Events, ev.Name) && e.known.registrations != nil
	if registered || slices.Contains(registrations.GatewayEvents, ev.Name) && e.known.gateways != nil {
		e.live.notices.known.add(notice.Notice{Kind: notice.Known, Event: ev}, notice.KnownFields, e.now)
	}
}

// hearKnown notes what the switch of a peer knows, or that a peer asks what this one knows.
func (e *Engine) hearKnown(n notice.Notice) {
	switch n.Kind {
	case notice.Known:
		e.known.learnFrom(n.Event, e.now)
	case notice.Asked:
		e.live.notices.asked = true
	}
}

// sendNotices sends what there is to tell.
func (e *Engine) sendNotices() {
	if node := e.live.fleet.node; node != nil {
		e.endNotice()
		e.live.notices.counts.send(node, config.ShareCounts)
		if !e.live.notices.known.send(node, config.ShareRegistrations) {
			e.live.notices.joined = false
		}
	}
}

// exchangeKnown asks the peers what their switches know, once the node is in its fleet, and tells what
// its own know: to all, as messages are for all.
func (e *Engine) exchangeKnown() {
	n, cfg := &e.live.notices, e.cfg.Fleet
	if e.live.fleet.node == nil || cfg == nil || !cfg.Shares(config.ShareRegistrations) {
		return
	}
	if !n.joined {
		n.known.unsent = nil // it is told once more
		n.known.add(notice.Notice{Kind: notice.Asked, Event: &event.Event{Time: e.now}}, nil, e.now)
		if n.joined = n.known.send(e.live.fleet.node, config.ShareRegistrations); !n.joined {
			return
		}
		n.asked, n.told = true, time.Time{}
	}
	if n.asked && len(n.telling) == 0 && e.now.Sub(n.told) >= askedEvery {
		n.asked, n.told, n.telling = false, e.now, e.ownKnown()
	}
	some := n.telling[:min(len(n.telling), toldAtOnce)]
	n.telling = n.telling[len(some):]
	for _, ev := range some {
		e.tellKnown(ev)
	}
}

// ownKnown returns the registrations and gateways of the switches of this node.
func (e *Engine) ownKnown() (all []*event.Event) {
	if e.known.registrations != nil {
		all = e.known.registrations.Own(e.now)
	}
	if e.known.gateways != nil {
		all = append(all, e.known.gateways.Own(e.now)...)
	}
	return all
}

// status adds what nodes tell each other about events to the status of the fleet.
func (n *notices) status(f *status.Fleet) {
	f.Firings = n.firings
	f.Firings.Node -= f.Firings.Late
	missed := map[string]uint64{}
	for _, kind := range []string{config.ShareCounts, config.ShareRegistrations} {
		b := &n.counts
		if kind == config.ShareRegistrations {
			b = &n.known
		}
		t := &b.in.Total
		one := status.Notices{Kind: kind, Told: b.told, Dropped: b.lost, Taken: t.Taken, Repeated: t.Repeated, Missed: t.Missed, Refused: t.Refused}
		if b.out != nil {
			one.Dropped += b.out.Dropped
		}
		f.Notices = append(f.Notices, one)
		for name, p := range b.in.Peers() {
			missed[name] += p.Missed
		}
	}
	f.Peers = slices.Clone(f.Peers) // the node keeps them
	for i := range f.Peers {
		f.Peers[i].Missed = missed[f.Peers[i].Name]
	}
}
