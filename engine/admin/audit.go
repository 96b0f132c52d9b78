package admin

import (
	"context"
	"log/slog"

	"freeswitch-security/engine/ban"
)

// An auditEntry is what a caller wanted to change.
type auditEntry struct {
	what   string     // "ban", "unban", "trust", "untrust", "reload"
	target ban.Target // the zero Target: the whole program
	term   ban.Term   // of an unban: its grace; 0: not given, or none
	reason string     // "" if none was given
	here   bool       // at this node of a fleet alone
}

// audit logs a change, its author and its reason, and the error if it was refused.
func (s *Server) audit(who *caller, c auditEntry, err error) {
	attrs := []slog.Attr{
		slog.String("who", who.name), slog.String("via", who.via), slog.String("what", c.what),
	}
	if c.target.IsValid() {
		attrs = append(attrs, slog.String("ip", c.target.String()))
	}
	if c.term != 0 {
		attrs = append(attrs, slog.String("for", c.term.String()))
	}
	if c.here {
		attrs = append(attrs, slog.Bool("only_here", true))
	}
	if c.reason != "" {
		attrs = append(attrs, slog.String("why", c.reason))
	}
	if err != nil {
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "admin change refused", append(attrs, slog.Any("err", err))...)
		return
	}
	s.Log.LogAttrs(context.Background(), slog.LevelInfo, "admin change", attrs...)
}

// mostAudited bounds the changes of one request that are logged one by one, and as many refused ones:
// those of an import would fill the disk.
const mostAudited = 100

// A tally counts the changes of one request.
type tally struct{ made, refused int }

// add counts a change, and reports whether it is logged by itself.
func (t *tally) add(err error) bool {
	if err != nil {
		t.refused++
		return t.refused <= mostAudited
	}
	t.made++
	return t.made <= mostAudited
}

// auditBatch logs how many items a batch had, and what became of them. Those that are neither made nor refused
// were wrong, or the caller had gone. digest is that of the list that they are from; "": not given.
func (s *Server) auditBatch(who *caller, what string, items int, t *tally, digest string) {
	attrs := []slog.Attr{
		slog.String("who", who.name), slog.String("via", who.via), slog.String("what", what),
		slog.Int("items", items), slog.Int("made", t.made), slog.Int("refused", t.refused),
	}
	if digest != "" {
		attrs = append(attrs, slog.String("sha256", digest))
	}
	s.Log.LogAttrs(context.Background(), slog.LevelInfo, "admin batch", attrs...)
}

func auditBan(o *ban.Order) auditEntry {
	c := auditEntry{what: "ban", target: o.Target, reason: o.Reason, here: ban.IsOnlyHere(o.Author)}
	if len(o.Terms) > 0 {
		c.term = o.Terms[0]
	}
	return c
}

func auditTrust(t *ban.Trusted) auditEntry {
	c := auditEntry{what: "trust", target: t.Target, term: ban.Permanent, reason: t.Comment, here: ban.IsOnlyHere(t.Author)}
	if !t.Until.IsZero() {
		c.term = ban.Term(t.Until.Sub(t.Since))
	}
	return c
}
