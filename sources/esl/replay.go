package esl

import (
	"context"
	"errors"
	"fmt"
	"io"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// Replay reads the recorded bytes of one connection: JSON events, plain events and log
// records, in any mix. Lines counts them; Skipped counts frames that cannot be decoded.
func (s *source) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	var stats plugin.Stats
	frames, decoder := esl.NewReader(rec.R), s.newDecoder(want)
	for {
		if err := ctx.Err(); err != nil {
			return stats, err
		}
		m, err := frames.Next()
		stats.Bytes, stats.Skipped = frames.Bytes(), frames.Skipped()
		if errors.Is(err, io.EOF) {
			return stats, nil
		}
		if err != nil {
			return stats, fmt.Errorf("read %s: %w", rec.Name, err)
		}
		stats.Lines++
		stats.Recognised = true
		if e := decoder.decode(&m); e != nil {
			if err := emit(e); err != nil {
				return stats, err
			}
		}
	}
}
