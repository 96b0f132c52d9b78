package admin

import (
	"freeswitch-security/engine/ban"
)

// done is the JSON of a change that was made.
type done struct {
	Status    string       `json:"status"`
	Message   string       `json:"message"`
	Target    string       `json:"target"`
	Applied   bool         `json:"applied"`
	Why       string       `json:"why,omitempty"`
	ExpiresAt moment       `json:"expiresAt"`
	Lifted    list[string] `json:"lifted"`
}

// success is the status of what was done.
const success = "success"

// result is the JSON of one item of a batch: it has a status or an error.
type result struct {
	Target  string `json:"target"`
	Status  string `json:"status,omitempty"`
	Error   string `json:"error,omitempty"`
	Applied bool   `json:"applied"`
	Why     string `json:"why,omitempty"`
}

// banShape is the JSON of a ban.
type banShape struct {
	Target    string              `json:"target"`
	Rule      string              `json:"rule"`
	Source    string              `json:"source"`
	Key       string              `json:"key"`
	Reason    string              `json:"reason"`
	AddedAt   moment              `json:"addedAt"`
	ExpiresAt moment              `json:"expiresAt"`
	Permanent bool                `json:"permanent"`
	Offence   int                 `json:"offence"`
	Author    string              `json:"author"`
	Actions   []string            `json:"actions"`
	Evidence  list[evidenceShape] `json:"evidence"`
	Packets   *uint64             `json:"packets"`
	Bytes     *uint64             `json:"bytes"`
	Applied   *bool               `json:"applied"`
}

// shapeOfBan leaves out what the kernel does with a ban where nobody could look: that
// is not the same as nothing.
func shapeOfBan(b *ban.Ban, standing *kernelTable) banShape {
	shape := banShape{
		Target: b.Target.String(), Rule: b.Rule, Source: b.Source, Key: b.Key, Reason: b.Reason,
		AddedAt: moment(b.Start), ExpiresAt: moment(b.Until), Permanent: b.Until.IsZero(),
		Offence: b.Offence, Author: b.Author, Actions: b.Actions, Evidence: shapeOfEvidence(b.Evidence),
	}
	if applied := standing.covers(b.Target); applied || !standing.unread {
		entry, _ := standing.entries.Get(b.Target.Prefix())
		shape.Packets, shape.Bytes, shape.Applied = &entry.Packets, &entry.Bytes, &applied
	}
	return shape
}

type evidenceShape struct {
	Time   moment `json:"time"`
	Event  string `json:"event"`
	Source string `json:"source"`
	IP     string `json:"ip"`
	User   string `json:"user"`
	Domain string `json:"domain"`
	Text   string `json:"text"`
}

func shapeOfEvidence(all []ban.Evidence) list[evidenceShape] {
	var out list[evidenceShape]
	for _, e := range all {
		shape := evidenceShape{moment(e.Time), e.Event, e.Source, "", e.User, e.Domain, e.Text}
		if e.IP.IsValid() {
			shape.IP = e.IP.String()
		}
		out = append(out, shape)
	}
	return out
}

// trustShape is the JSON of an entry of the trust.
type trustShape struct {
	Target    string `json:"target"`
	Name      string `json:"name"`
	Comment   string `json:"comment"`
	Where     string `json:"where"`
	RunTime   bool   `json:"runTime"`
	Author    string `json:"author"`
	AddedAt   moment `json:"addedAt"`
	ExpiresAt moment `json:"expiresAt"`
	Permanent bool   `json:"permanent"`
}

func shapeOfTrust(t *Trusted) trustShape {
	return trustShape{
		Target: ban.Network(t.Network).String(), Name: t.Name, Comment: t.Comment, Where: t.Where, RunTime: t.RunTime,
		Author: t.Author, AddedAt: moment(t.Since), ExpiresAt: moment(t.Until), Permanent: t.Until.IsZero(),
	}
}
