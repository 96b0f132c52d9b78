package status

import "slices"

// hidden replaces a text that may name accounts and numbers.
const hidden = "the text may name accounts or numbers: freeswitch-security status shows it"

func hide(text *string) {
	if *text != "" {
		*text = hidden
	}
}

// Mask hides the texts that may name accounts or numbers: errors of rules and of peers, and what private actions say.
// The problems must be in place. The parts of s that others hold stay as they are.
func (s *Status) Mask() {
	s.Rules = slices.Clone(s.Rules)
	for i := range s.Rules {
		hide(&s.Rules[i].LastError)
	}
	s.Actions = slices.Clone(s.Actions)
	private := map[string]bool{}
	for i := range s.Actions {
		if a := &s.Actions[i]; a.Private {
			private["action "+a.Name] = true
			a.mask()
		}
	}
	s.Problems = slices.Clone(s.Problems)
	for i := range s.Problems {
		if p := &s.Problems[i]; private[p.Subject] {
			hide(&p.Text)
		}
	}
	s.Problems = slices.Compact(s.Problems)
	if s.Fleet != nil {
		fleet := *s.Fleet
		fleet.Peers = slices.Clone(fleet.Peers)
		for i := range fleet.Peers {
			hide(&fleet.Peers[i].Why)
		}
		s.Fleet = &fleet
	}
}

func (a *Action) mask() {
	hide(&a.Error)
	a.Drift.Notes = slices.Clone(a.Drift.Notes)
	for i := range a.Drift.Notes {
		hide(&a.Drift.Notes[i])
	}
	a.Problems = slices.Clone(a.Problems)
	for i := range a.Problems {
		hide(&a.Problems[i].Text)
	}
	if a.Delivery != nil {
		delivery := *a.Delivery
		hide(&delivery.Error)
		hide(&delivery.SpoolError)
		a.Delivery = &delivery
	}
}
