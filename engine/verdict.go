package engine

import (
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/rule"
)

// A VerdictKind says what was decided.
type VerdictKind string

const (
	Ban     VerdictKind = "ban"     // the target is banned, or banned for longer than it was
	Unban   VerdictKind = "unban"   // a ban ended
	Alert   VerdictKind = "alert"   // somebody is told, nobody is banned
	Refused VerdictKind = "refused" // a rule wished for a ban and did not get it
)

// A Verdict is a decision, with all that is needed to explain it.
type Verdict struct {
	Time     time.Time // of the firing event; of an unban: when it took effect
	Kind     VerdictKind
	Target   ban.Target // the zero Target where the event bore no address
	Rule     string
	Source   string
	Author   string    // who ordered it: ban.ByRule, "api alice", "feed apiban"
	Offence  int       // 1 the first time; 0 for an alert
	Term     ban.Term  // of the ban, or of the ban that was refused; 0 for an alert
	Until    time.Time // zero: permanent, or there is no ban
	Reason   string
	Evidence []ban.Evidence // oldest first
	Standing bool           // refused because a ban stands already
	// Protected: refused because the target is protected by security.protect.
	Protected bool
	Actions   []string // the actions it is meant for; nil: all

	// WouldBlock marks a ban that no action carries out against the caller,
	// because rules may not block at present.
	WouldBlock bool
}

func banned(c *ban.Change) Verdict {
	return Verdict{
		Time: c.At, Kind: Ban, Target: c.Ban.Target, Rule: c.Ban.Rule, Source: c.Ban.Source, Author: c.Ban.Author,
		Offence: c.Ban.Offence, Term: c.Ban.Term, Until: c.Ban.Until, Reason: c.Ban.Reason,
		Evidence: c.Ban.Evidence, Actions: c.Ban.Actions,
	}
}

func unbanned(c *ban.Change) Verdict {
	v := banned(c)
	v.Kind = Unban
	v.Reason = c.Kind.String()
	if c.Reason != "" {
		v.Reason += ": " + c.Reason
	}
	return v
}

func refused(r *ban.Refusal) Verdict {
	return Verdict{
		Time: r.Order.At, Kind: Refused, Target: r.Order.Target, Rule: r.Order.Rule, Source: r.Order.Source, Author: r.Order.Author,
		Offence: r.Offence, Term: r.Term, Reason: r.Reason, Evidence: r.Order.Evidence,
		Standing: r.Standing != nil, Actions: r.Order.Actions,
	}
}

// spared is the verdict on a ban that its target's protection forbids.
func spared(c *ban.Change) Verdict {
	v := banned(c)
	v.Kind, v.Protected, v.Reason = Refused, true, c.Reason
	v.Until = time.Time{} // there is no ban
	return v
}

// alerted is the verdict of a firing that bans nobody, for the given reason.
func alerted(f *rule.Firing, reason string) Verdict {
	v := Verdict{
		Time: f.Event.Time, Kind: Alert, Rule: f.Spec.Name, Source: f.Event.Source, Author: ban.ByRule,
		Reason: reason, Evidence: f.Evidence,
	}
	if ip := f.Event.IP; ip.IsValid() {
		v.Target = ban.Address(ip)
	}
	if f.Spec.Alert != nil {
		v.Actions = f.Spec.Alert.Actions
	}
	return v
}
