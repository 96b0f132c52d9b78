package admin

import (
	"context"
	"log/slog"
	"net/netip"

	"freeswitch-security/engine/ban"
)

// audit writes to the log who wanted to change what, why, and that it was done,
// or what came of it instead. An invalid target stands for the whole program.
func (s *Server) audit(who *caller, what string, target netip.Prefix, why string, err error) {
	attrs := []slog.Attr{
		slog.String("who", who.name), slog.String("via", who.via), slog.String("what", what),
	}
	if target.IsValid() {
		attrs = append(attrs, slog.String("ip", ban.FormatTarget(target)))
	}
	if why != "" {
		attrs = append(attrs, slog.String("why", why))
	}
	if err != nil {
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "admin change refused", append(attrs, slog.Any("err", err))...)
		return
	}
	s.Log.LogAttrs(context.Background(), slog.LevelInfo, "admin change", attrs...)
}
