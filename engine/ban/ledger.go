package ban

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/event"
)

// A Ledger is the desired state: what is banned, what was, and what must not be. It is
// safe for concurrent use.
//
// A decision is known to its caller alone at first. [Ledger.Publish] passes it to the
// eager cursors, [Ledger.Commit] makes it durable and passes it to the others.
type Ledger struct {
	mu      sync.Mutex // guards everything below
	trust   *Trust
	grants  Trust               // trust that was given while the program runs
	bans    table[*held]        // in force
	origins []*origin           // of the latest bans
	history map[Target]offences // of what was banned, until it is forgotten
	past    int                 // maxPast, except in tests
	grace   table[time.Time]    // unbanned, and not to be banned by rules until then
	due     deadlines           // when bans and grants end, offences are forgotten, graces are over
	kinds   []TargetKind        // that can be banned
	place   func(netip.Addr) event.Place

	store     Store     // nil: nothing outlives the process
	dirty     []Target  // whose record the store does not yet have; some more than once
	room      room      // of the records of a commit
	unsaved   unsaved   // evidence that the store does not yet have
	fresh     []*Change // not yet published; a change does not change
	published []*Change // not yet durable
	seq       uint64    // of the latest change
	levelSeq  uint64    // of the latest change of the kinds in Levels
	cursors   []*Cursor
	asked     Ban // that Bars asks about
}

// offences is what is remembered of a target's last ban. Times are in microseconds since 1970, see [micro].
type offences struct {
	count  int
	until  int64 // the end of the last ban
	forget int64 // when it is forgotten; 0: never
}

// NewLedger returns an empty ledger that bans nothing that trust covers.
func NewLedger(trust *Trust) *Ledger {
	return &Ledger{
		trust:   trust,
		history: map[Target]offences{},
		past:    maxPast,
		kinds:   []TargetKind{TargetAddress, TargetNetwork},
		place:   func(netip.Addr) event.Place { return event.Place{} },
	}
}

// Enter decides about an order at the time now. The change is a ban, an extension
// or a refusal.
//
// An order is refused, in this order of reasons, if no action enforces bans of such
// targets, or if its target is trusted, in its grace, or banned for as long as the
// order asks. If a network contains a trusted address, the order's address is banned
// alone. The caller has advanced the ledger to now.
func (l *Ledger) Enter(o Order, now time.Time) *Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.consider(&o, now)
	if c.InForce() {
		if o.ByHand {
			l.grace.remove(c.Target)
		}
		l.put(&c.Ban)
	}
	return l.add(&c)
}

// SetKinds sets the kinds of targets that can be banned besides addresses and
// networks: those that an action which blocks enforces. Bans in force remain.
func (l *Ledger) SetKinds(kinds []TargetKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds = append([]TargetKind{TargetAddress, TargetNetwork}, kinds...)
}

// SetPlaces sets what says where addresses are. It must return at once.
func (l *Ledger) SetPlaces(place func(netip.Addr) event.Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.place = place
}

// Consider returns what Enter would decide, and decides nothing.
func (l *Ledger) Consider(o Order, now time.Time) Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.consider(&o, now)
}

func (l *Ledger) consider(o *Order, now time.Time) Change {
	if o.Address.IsValid() && l.trusted(o.Target) != nil && l.covers(o.Target) == nil {
		o.Target = Address(o.Address)
	}
	standing := l.standing(o.Target)
	if o.Offence > 0 {
		standing = l.exact(o.Target)
	}
	offence := l.offence(o, standing)
	term := o.Terms[min(offence, len(o.Terms))-1]
	if o.Evidence == nil {
		o.Evidence = []Evidence{} // in JSON a list
	}
	at := o.At.UTC().Truncate(time.Microsecond) // as the ledger keeps it
	c := Change{Kind: KindRefuse, At: at, Proven: o.Proven, Ban: Ban{
		Target: o.Target, Rule: o.Rule, Source: o.Source, Author: o.Author, Reason: o.Reason, Key: o.Key,
		Start: at, Until: term.End(at).Truncate(time.Microsecond), Term: term, Offence: offence, Forget: o.Forget,
		Actions: o.Actions, Evidence: o.Evidence,
	}}
	if c.Why = l.refusal(o, now); c.Why != "" {
		return c
	}
	// The author of a ban may renew it. A rule may not: what it sees while its ban is in
	// force is the rest of the same offence.
	renewed := standing != nil && (o.Offence > 0 || o.Rule == "" && o.Author == standing.Author && o.Target == standing.Target)
	longer := standing == nil || (term > standing.Term || renewed) && outlasts(c.Until, standing.Until)
	// The ban of a rule is not carried out while bans of rules are not enforced, and one that is not
	// shared holds at one node; the same order of another author is carried out, and everywhere.
	takenOver := standing != nil && o.Offence == 0 && o.Rule == "" && o.Target == standing.Target &&
		(standing.Rule != "" || IsOnlyHere(standing.Author) && o.ByHand && !IsOnlyHere(o.Author))
	if !longer && !takenOver && carriedOut(standing.Actions, o.Actions) {
		c.Why, c.Standing, c.Cover = alreadyBanned(standing, o.Target), true, standing
		return c
	}
	c.Kind, c.DryRun = KindBan, o.DryRun
	if standing != nil && standing.Target == o.Target {
		// One target has one ban: what is added to it takes nothing away.
		c.Kind = KindExtend
		c.Actions = together(standing.Actions, o.Actions)
		if !longer {
			c.Until, c.Term = standing.Until, standing.Term
		}
		if takenOver {
			c.Source, c.Key, c.Evidence = standing.Source, standing.Key, l.evidence(standing)
			c.Ban.Reason = strings.TrimPrefix(c.Ban.Reason+"; ", "; ") + "banned by " + standing.by() + " before: " + standing.Reason
		}
	}
	return c
}

// refusal returns why an order is refused whatever is banned; "" if it is not.
func (l *Ledger) refusal(o *Order, now time.Time) string {
	if kind := o.Target.Kind(); !slices.Contains(l.kinds, kind) {
		return "no action of the rule files can ban a target of the kind " + string(kind)
	}
	if _, domain, _ := o.Target.Account(); domain == AnyDomain {
		return "an account is banned with its domain"
	}
	if entry := l.trusted(o.Target); entry != nil {
		return "trusted: " + entry.String()
	}
	if until, ok := l.inGrace(o.Target, now); ok && !o.ByHand {
		return "in its grace time until " + stamp(until)
	}
	return ""
}

// carriedOut reports whether the actions of a ban include all of those asked for;
// nil is every action.
func carriedOut(by, asked []string) bool {
	if by == nil || asked == nil {
		return by == nil
	}
	return !slices.ContainsFunc(asked, func(a string) bool { return !slices.Contains(by, a) })
}

// together returns the actions of both; nil is every action.
func together(a, b []string) []string {
	if a == nil || b == nil {
		return nil
	}
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// add numbers a change and keeps it for the next publication.
func (l *Ledger) add(c *Change) *Change {
	l.seq++
	c.Seq, c.At, c.Place = l.seq, c.At.UTC(), l.place(c.Target.Prefix().Addr())
	if c.Evidence == nil {
		c.Evidence = []Evidence{} // in JSON a list
	}
	if slices.Contains(Levels, c.Kind) {
		l.levelSeq = c.Seq
		l.dirty = append(l.dirty, c.Target)
	}
	l.fresh = append(l.fresh, c)
	return c
}

// Add adds an alert or a sparing to the changes. It changes no ban.
func (l *Ledger) Add(c Change) *Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(&c)
}

// put brings a ban into force, and into the history if a rule ordered it: the orders of
// others are no offences.
func (l *Ledger) put(b *Ban) {
	if old, ok := l.bans.get(b.Target); ok {
		l.unsaved.remove(old.unsaved)
	}
	h := l.hold(b)
	if len(b.Evidence) > 0 {
		h.unsaved = l.unsaved.add(b.Evidence)
	}
	l.bans.put(b.Target, h)
	l.remind(b.Until, &h.target)
	if b.Rule == "" {
		return
	}
	past := offences{count: b.Offence, until: h.until}
	if b.Forget > 0 && h.until != 0 {
		past.forget = micro(b.Until.Add(b.Forget))
	}
	l.history[b.Target] = past
	l.remind(fromMicro(past.forget), &h.target)
	l.thin()
}

// standing returns the ban in force that covers all of target and ends last.
func (l *Ledger) standing(target Target) *Ban {
	var found *held
	for b := range l.bans.around(target) {
		if found == nil || found.until != 0 && (b.until == 0 || b.until > found.until) {
			found = b
		}
	}
	if found == nil {
		return nil
	}
	b := found.ban()
	return &b
}

// offence returns the number of the offence. While a ban is in force, what follows is the
// rest of the same offence. Only the orders of rules count.
func (l *Ledger) offence(o *Order, standing *Ban) int {
	if o.Offence > 0 {
		return max(o.Offence, l.history[o.Target].count)
	}
	if standing != nil {
		return max(1, standing.Offence)
	}
	h, known := l.history[o.Target]
	switch {
	case !known || o.Forget > 0 && h.until != 0 && !o.At.Before(fromMicro(h.until).Add(o.Forget)):
		return 1
	case o.Rule == "":
		return h.count
	}
	return h.count + 1
}

// Offended reports whether a rule has banned exactly this target, and it is not forgotten. An unban
// erases it.
func (l *Ledger) Offended(target Target) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.history[target]
	return known
}

// inGrace reports whether anything in target, or all of it, is in its grace.
func (l *Ledger) inGrace(target Target, now time.Time) (time.Time, bool) {
	for until := range l.grace.around(target) {
		if now.Before(until) {
			return until, true
		}
	}
	for _, until := range l.grace.networks.Subnets(target.Prefix()) {
		if now.Before(until) {
			return until, true
		}
	}
	return time.Time{}, false
}

func alreadyBanned(standing *Ban, target Target) string {
	s := "already banned"
	if standing.Target != target {
		s += " with " + standing.Target.String()
	}
	if standing.Until.IsZero() {
		return s + " permanently"
	}
	return s + " until " + stamp(standing.Until)
}

// stamp formats a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Unban ends the ban of exactly this target, erases its offences and keeps rules from
// banning it for the grace. It returns nil if there is no such ban; the grace is given
// all the same.
func (l *Ledger) Unban(target Target, why string, now time.Time, grace time.Duration) *Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	if grace > 0 {
		until := now.Add(grace)
		l.grace.put(target, until)
		l.remind(until, &target)
		l.dirty = append(l.dirty, target)
	}
	return l.unban(target, why, now)
}

// Withdraw ends the ban of exactly this target for its author. The offences remain, and
// so does the rest of the ban of a rule that the order had taken over. It returns nil if
// there is no such ban.
func (l *Ledger) Withdraw(target Target, why string, now time.Time) *Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.bans.get(target)
	h, offended := l.history[target]
	if !ok || !offended || h.until != 0 && !now.Before(fromMicro(h.until)) {
		return l.end(target, why, now)
	}
	left := b.ban()
	left.Author, left.Until = ByRule, fromMicro(h.until)
	left.Offence = h.count
	if left.Term = Permanent; !left.Until.IsZero() {
		left.Term = Term(left.Until.Sub(left.Start))
	}
	held := l.hold(&left)
	held.unsaved = b.unsaved
	l.bans.put(target, held)
	l.remind(left.Until, &held.target)
	return l.add(&Change{Kind: KindExtend, Ban: left, At: now})
}

// Lift ends the ban of exactly this target, as if it had expired at now: the offences
// remain. It returns nil if there is no such ban.
func (l *Ledger) Lift(target Target, why string, now time.Time) *Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.end(target, why, now)
	if h, offended := l.history[target]; c != nil && offended {
		h.until = micro(now)
		if c.Forget > 0 {
			h.forget = micro(now.Add(c.Forget))
		}
		l.history[target] = h
		l.remind(fromMicro(h.forget), &target)
	}
	return c
}

// unban ends a ban and erases the offences.
func (l *Ledger) unban(target Target, why string, now time.Time) *Change {
	c := l.end(target, why, now)
	if c != nil {
		delete(l.history, target)
	}
	return c
}

func (l *Ledger) end(target Target, why string, now time.Time) *Change {
	b, ok := l.bans.get(target)
	if !ok {
		return nil
	}
	ended := b.ban()
	ended.Evidence = l.evidence(&ended)
	l.bans.remove(target)
	l.unsaved.remove(b.unsaved)
	return l.add(&Change{Kind: KindUnban, Ban: ended, At: now, Why: why})
}

// Bars reports whether a ban that had begun by a time, and that holds for enforced, covers packets
// of these protocols from an address and its port, which may be 0. The function must not keep the ban.
func (l *Ledger) Bars(from netip.AddrPort, protocols []Protocol, begun time.Time, enforced func(*Ban) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest := begun.UnixMicro()
	bars := func(h *held) bool {
		if h == nil || h.start > latest {
			return false
		}
		l.asked = h.ban()
		return enforced(&l.asked)
	}
	if l.bans.networks.Contains(from.Addr()) {
		for _, b := range l.bans.networks.Supernets(Address(from.Addr()).Prefix()) {
			if bars(b) {
				return true
			}
		}
	}
	return len(l.bans.others) > 0 && from.Port() != 0 && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return bars(l.bans.others[Endpoint(from, p)])
	})
}

// Advance ends the bans that expire until now, and forgets what is to be forgotten by
// then. It returns the expired bans, in the order of their ends. Of very many that expire at once,
// only some have their evidence.
func (l *Ledger) Advance(now time.Time) []*Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	var expired []*Change
	for len(l.due) > 0 && l.due[0].at <= now.UnixMicro() {
		d, target := l.due.pop(), Target{}
		target = *d.target
		b, past, grant, grace := l.ending(d)
		if !(b || past || grant || grace) {
			continue
		}
		l.dirty = append(l.dirty, target)
		if b {
			h, _ := l.bans.get(target)
			ended := h.ban()
			if len(expired) < maxEvidenceAtOnce {
				ended.Evidence = l.evidence(&ended)
			}
			l.bans.remove(target)
			l.unsaved.remove(h.unsaved)
			expired = append(expired, l.add(&Change{Kind: KindExpire, Ban: ended, At: fromMicro(d.at)}))
		}
		if past {
			delete(l.history, target)
		}
		if grant {
			l.grants.table.remove(target)
		}
		if grace {
			l.grace.remove(target)
		}
	}
	return expired
}

// Next returns when [Ledger.Advance] has something to do next; ok is false if nothing is
// due.
func (l *Ledger) Next() (at time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.due) == 0 {
		return time.Time{}, false
	}
	return fromMicro(l.due[0].at), true
}
