package admin

import (
	"context"
	"log/slog"

	"freeswitch-security/engine/ban"
)

// A wish is what somebody wanted done.
type wish struct {
	what   string     // "ban", "unban", "trust", "untrust", "reload"
	target ban.Target // none: the whole program
	lasts  ban.Term   // of an unban: its grace; 0: not said, or there is none
	why    string     // in his words; "": none were given
}

// audit writes to the log who wanted to change what, why, and that it was done,
// or what came of it instead.
func (s *Server) audit(who *caller, w wish, err error) {
	attrs := []slog.Attr{
		slog.String("who", who.name), slog.String("via", who.via), slog.String("what", w.what),
	}
	if w.target.IsValid() {
		attrs = append(attrs, slog.String("ip", w.target.String()))
	}
	if w.lasts != 0 {
		attrs = append(attrs, slog.String("for", w.lasts.String()))
	}
	if w.why != "" {
		attrs = append(attrs, slog.String("why", w.why))
	}
	if err != nil {
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "admin change refused", append(attrs, slog.Any("err", err))...)
		return
	}
	s.Log.LogAttrs(context.Background(), slog.LevelInfo, "admin change", attrs...)
}

// banning is the wish that an order stands for.
func banning(o *ban.Order) wish {
	w := wish{what: "ban", target: o.Target, why: o.Reason}
	if len(o.Terms) > 0 {
		w.lasts = o.Terms[0]
	}
	return w
}

// trusting is the wish that an entry stands for.
func trusting(t *Trusted) wish {
	w := wish{what: "trust", target: ban.Network(t.Network), lasts: ban.Permanent, why: t.Comment}
	if !t.Until.IsZero() {
		w.lasts = ban.Term(t.Until.Sub(t.Since))
	}
	return w
}
