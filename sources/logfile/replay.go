package logfile

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/lines"
	"freeswitch-security/sources/logfile/pattern"
)

// sizes says in what parts a recording is read.
type sizes struct {
	block   int // bytes that are read at a time
	maxLine int // the longest line that is examined, in bytes
	workers int // blocks that are decoded at the same time, but for two
}

// maxWorkers bounds the memory of a replay. One reader cannot keep more of them busy.
const maxWorkers = 8

func defaultSizes() sizes {
	return sizes{block: 512 << 10, maxLine: 64 << 10, workers: min(runtime.GOMAXPROCS(0), maxWorkers)}
}

// Replay reads the recording in one goroutine, decodes it in several, and calls emit
// in the goroutine of the caller, in the order of the log.
//
// The result does not depend on how the recording is divided. A line that an error of
// reading cuts off is skipped. When ctx ends or emit fails, Replay returns without
// waiting for a Read that is under way.
func (s *source) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	return s.replay(ctx, rec, want, emit, defaultSizes())
}

func (s *source) replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error, sizes sizes) (plugin.Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if rec.ModTime.IsZero() {
		rec.ModTime = time.Now() // nothing in it is later
	}
	decoder := s.newDecoder(want, sizes.maxLine, rec.ModTime)

	blocks := blocks{Buffer: lines.Buffer{Splitter: decoder.Splitter}, before: decoder.Before(), behind: decoder.Behind(), r: rec.R, size: sizes.block}
	free, filled := make(chan *block, sizes.workers+2), make(chan *block, sizes.workers+2)
	for range cap(free) {
		free <- blocks.newBlock()
	}
	go blocks.fill(ctx, decoder, free, filled)
	var stats plugin.Stats
	order := ordered{sink: emit}
	for {
		b, ok := receive(ctx, filled)
		if !ok {
			break
		}
		receive(ctx, b.done)
		if ctx.Err() != nil {
			break
		}
		stats.Lines += b.lines
		stats.Bytes = b.read
		stats.Skipped += b.skipped
		stats.Doubted += b.doubted
		stats.Recognised = stats.Recognised || b.recognised
		if _, err := order.emit(ctx, b); err != nil {
			return stats, err
		}
		free <- b
	}
	if err := ctx.Err(); err != nil {
		return stats, err
	}
	stats.Bytes = blocks.bytes
	if err := blocks.end; err != io.EOF {
		return stats, fmt.Errorf("read %s: %w", rec.Name, err)
	}
	return stats, nil
}

// receive returns the next value of a channel. It fails if the channel is closed or
// ctx ends.
func receive[T any](ctx context.Context, c <-chan T) (v T, ok bool) {
	select {
	case v, ok = <-c:
	case <-ctx.Done():
	}
	return v, ok
}

// fill fills blocks until the recording or ctx ends, and has each scanned. The queues have
// room for all blocks, so that it waits only for a free one.
func (b *blocks) fill(ctx context.Context, d decoder, free <-chan *block, filled chan<- *block) {
	defer close(filled)
	var c *carrier.Carrier
	b.r, c = carrier.Open(b.r, b.MaxLine, d.others)
	d.setCarrier(c)
	var plan *pattern.Plan
	for {
		next, ok := receive(ctx, free)
		if !ok || !b.next(next) {
			return
		}
		if plan == nil {
			plan = d.plan(next.log[next.from:next.to])
		}
		if next.plan == nil {
			next.plan, next.scanner = plan, scanner{decoder: d}
		}
		filled <- next
		go func() {
			next.scanner.scan(next)
			next.done <- struct{}{}
		}()
	}
}
