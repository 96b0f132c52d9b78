package history

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"
)

// An Incident is what one attacker did, and what was done about it.
type Incident struct {
	Target string `json:"target"` // an address, a network, an endpoint or an account; of an alert without one, its key
	event.Place
	Rule      string         `json:"rule"` // of the latest change; "": by hand
	Reason    string         `json:"reason"`
	Why       string         `json:"why,omitempty"` // it was spared, refused or unbanned, the latest time
	Bans      int            `json:"bans"`
	Alerts    int            `json:"alerts"`
	Spared    int            `json:"spared"`
	Refused   int            `json:"refused"`
	First     time.Time      `json:"first"` // of its events, or of the first change
	Last      time.Time      `json:"last"`  // of its events and changes
	Banned    bool           `json:"banned"`
	Until     time.Time      `json:"until,omitzero"` // the end of the latest ban; absent: it is permanent, or there was none
	Packets   uint64         `json:"packets"`        // dropped
	Evidence  []ban.Evidence `json:"evidence"`       // of the latest change, the newest events, oldest first
	Forgotten time.Time      `json:"forgotten,omitzero"`
}

// Bounds of the incidents and of the text that each keeps.
const (
	maxIncidents    = 800
	maxEvents       = 4
	maxIncidentText = 120 // bytes of a reason and of a text
)

// incidents are by target.
type incidents struct {
	all   map[string]*Incident
	saved map[string]bool // those in the file, or about to be; nil: there is no file
	dirty map[string]bool // those that differ from the file: no more than all and saved together
	room  []*Incident     // of those that thin dropped, used again
}

// mark notes that an incident is to be saved, or removed from the file. In a flood most were never in it.
func (in *incidents) mark(name string) {
	switch {
	case in.saved == nil:
	case in.all[name] != nil || in.saved[name]:
		in.dirty[name] = true
	default:
		delete(in.dirty, name)
	}
}

// subject returns the name of the incident of a target, or of a key if there is none.
func subject(target ban.Target, key string, s Settings) string {
	name := target.String()
	if !target.IsValid() {
		name = event.Printable(key)
	}
	if s.Masked {
		name = MaskKey(name)
	}
	return name[:min(len(name), event.MaxField)]
}

// add adds a change.
func (in *incidents) add(c *ban.Change, s Settings) {
	name := subject(c.Target, c.Key, s)
	i := in.all[name]
	if i == nil {
		if c.Kind == ban.KindUnban || c.Kind == ban.KindExpire {
			return // of a ban from before
		}
		if len(in.all) >= maxIncidents {
			in.thin()
		}
		if n := len(in.room); n > 0 {
			i, in.room = in.room[n-1], in.room[:n-1]
		} else {
			i = &Incident{}
		}
		*i = Incident{Target: name, First: c.At}
		in.all[name] = i
	}
	in.mark(name)
	i.Forgotten = c.At.Add(time.Duration(s.Days) * day)
	i.add(c)
	if s.Masked {
		i.mask()
	}
}

func (i *Incident) add(c *ban.Change) {
	if c.At.After(i.Last) {
		i.Last = c.At
	}
	if c.Why != "" {
		i.Why = event.Bound(c.Why, maxIncidentText)
	}
	switch c.Kind {
	case ban.KindBan, ban.KindExtend:
		if i.Banned, i.Until = true, c.Until; c.Kind == ban.KindBan {
			i.Bans++
			i.Why = ""
		}
		if c.Forget > 0 && !c.Until.IsZero() {
			i.Forgotten = c.Until.Add(c.Forget)
		}
	case ban.KindUnban, ban.KindExpire:
		i.Banned = false
		if i.Until = c.Until; c.Kind == ban.KindUnban {
			i.Until = c.At
		}
		if c.Forget > 0 {
			i.Forgotten = i.Until.Add(c.Forget)
		}
		return
	case ban.KindAlert:
		i.Alerts++
	case ban.KindSpare:
		i.Spared++
	case ban.KindRefuse:
		i.Refused++
	}
	i.Place, i.Rule, i.Reason = c.Place, c.Rule, event.Bound(c.Ban.Reason, maxIncidentText)
	i.prove(c.Evidence)
}

// prove replaces the evidence.
func (i *Incident) prove(evidence []ban.Evidence) {
	if len(evidence) == 0 {
		return
	}
	if first := evidence[0].Time; first.Before(i.First) {
		i.First = first
	}
	kept := slices.Clone(evidence[max(0, len(evidence)-maxEvents):])
	for n := range kept {
		e := &kept[n]
		e.User, e.Domain, e.Text = event.Bound(e.User, maxNameBytes), event.Bound(e.Domain, maxNameBytes), event.Bound(e.Text, maxIncidentText)
	}
	i.Evidence = kept
}

// mask hides numbers and accounts. It may be repeated.
func (i *Incident) mask() {
	i.Target, i.Reason, i.Why = MaskKey(i.Target), MaskReason(i.Reason), MaskReason(i.Why)
	i.Evidence = maskEvidence(i.Evidence)
}

func maskEvidence(evidence []ban.Evidence) []ban.Evidence {
	evidence = slices.Clone(evidence)
	for n := range evidence {
		e := &evidence[n]
		e.User, e.Text = Mask(e.User), ""
	}
	return evidence
}

// MaskBan hides numbers and accounts in what is shown of a ban, but for its target.
func MaskBan(b *ban.Ban) {
	b.Key, b.Reason, b.Evidence = MaskKey(b.Key), MaskReason(b.Reason), maskEvidence(b.Evidence)
}

// MaskTarget returns what is shown of a target.
func MaskTarget(t ban.Target) string {
	if t.Kind() == ban.TargetAccount {
		return Mask(t.String())
	}
	return t.String()
}

// MaskKey masks what is no address in a target, or in the fields of a key.
func MaskKey(key string) string {
	fields := strings.Split(key, ",")
	for i, field := range fields {
		if t, err := ban.ParseTarget(field); err != nil || t.Kind() == ban.TargetAccount {
			fields[i] = Mask(field)
		}
	}
	return strings.Join(fields, ",")
}

// MaskReason returns a reason without what a rule counts by and what is in quotes, and with what looks like a number or an
// account masked.
func MaskReason(reason string) string {
	reason = quoted.Use().ReplaceAllString(reason, `"…"`)
	for _, end := range []string{", ", " (", "; "} {
		reason, _, _ = strings.Cut(reason, end)
	}
	words := strings.Split(reason, " ")
	for i, word := range words {
		if strings.Contains(word, "@") || manyDigits.Use().MatchString(word) {
			words[i] = Mask(word)
		}
	}
	return strings.Join(words, " ")
}

// quoted is a value in the reason of a rule, escaped; it may be cut at the end.
var quoted = regex.New(`"([^"\\]|\\.)*("|\\?$)`)

// manyDigits are more of them in a row than a date or an IPv4 address has.
var manyDigits = regex.New(`[0-9]{5}`)

// dropped counts packets of a target.
func (in *incidents) dropped(name string, packets uint64) {
	if i := in.all[name]; i != nil {
		i.Packets += packets
		in.mark(name)
	}
}

// forget drops what is to be forgotten.
func (in *incidents) forget(now time.Time) {
	for name, i := range in.all {
		if !i.Banned && now.After(i.Forgotten) {
			in.remove(name)
		}
	}
}

func (in *incidents) remove(name string) {
	delete(in.all, name)
	in.mark(name)
}

// thin drops half of the incidents, those with the fewest bans, and of these the oldest: senders that are
// forged are banned once.
func (in *incidents) thin() {
	all := in.sorted(func(a, b *Incident) int { // in steps: a flood sorts them every 400 bans
		if c := cmp.Compare(a.Bans, b.Bans); c != 0 {
			return c
		}
		if c := a.Last.Compare(b.Last); c != 0 {
			return c
		}
		return strings.Compare(a.Target, b.Target)
	})
	dropped := all[:len(all)/2]
	for _, i := range dropped {
		in.remove(i.Target)
		*i = Incident{}
	}
	in.room = dropped
}

func (in *incidents) sorted(order func(a, b *Incident) int) []*Incident {
	all := make([]*Incident, 0, len(in.all))
	for _, i := range in.all {
		all = append(all, i)
	}
	slices.SortFunc(all, order)
	return all
}
