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
	counted := &counter{r: rec.R}
	frames, decoder := esl.NewReader(counted), s.newDecoder(want)
	for {
		if err := ctx.Err(); err != nil {
			return stats, err
		}
		m, err := frames.Next()
		stats.Bytes, stats.Skipped = counted.n, frames.Skipped()
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

// merge joins recordings, so that events and log records from two connections are paired
// as if they had come over one.
func (s *source) merge(recordings []io.Reader) io.Reader { return esl.Merge(s.zone, recordings) }

// counter counts the bytes of a reader.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
