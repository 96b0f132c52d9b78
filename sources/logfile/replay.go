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
	workers int // goroutines that read and decode
}

// maxWorkers bounds the memory of a replay.
const maxWorkers = 8

func defaultSizes() sizes {
	return sizes{block: 512 << 10, maxLine: 64 << 10, workers: min(runtime.GOMAXPROCS(0), maxWorkers)}
}

// Replay decodes the recording in several goroutines, which take turns at reading it, and
// calls emit in the goroutine of the caller, in the order of the log.
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
	r := &reader{
		blocks:  blocks{Buffer: lines.Buffer{Splitter: decoder.Splitter}, before: decoder.Before(), behind: decoder.Behind(), r: rec.R, size: sizes.block},
		decoder: decoder,
	}
	turn, free, filled := make(chan *reader, 1), make(chan *block, sizes.workers+2), make(chan *block, sizes.workers+2)
	for range cap(free) {
		free <- &block{done: make(chan struct{}, 1)}
	}
	for range sizes.workers {
		go work(ctx, turn, free, filled)
	}
	turn <- r
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
	stats.Bytes = r.bytes
	if err := r.end; err != io.EOF {
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

// A reader of a recording is owned by the goroutine whose turn it is.
type reader struct {
	blocks
	decoder decoder // copied by those that decode
	plan    *pattern.Plan
}

// work reads and scans blocks until the recording or ctx ends. The queues have room for all
// blocks, so that it waits only for its turn and for a free one. The block that is scanned
// has just been read, and is still in the cache of the processor.
func work(ctx context.Context, turn chan *reader, free <-chan *block, filled chan<- *block) {
	var s *scanner
	for {
		next, ok := receive(ctx, free)
		r, more := receive(ctx, turn)
		if !ok || !more {
			return
		}
		if !r.fill(next) {
			close(turn)
			close(filled)
			return
		}
		if s == nil {
			s = &scanner{decoder: r.decoder}
		}
		filled <- next
		turn <- r
		s.scan(next)
		next.done <- struct{}{}
	}
}

// fill fills a block and reports whether there was anything to fill it with.
func (r *reader) fill(b *block) bool {
	if r.plan == nil {
		var c *carrier.Carrier
		r.r, c = carrier.Open(r.r, r.MaxLine, r.decoder.others)
		r.decoder.setCarrier(c)
	}
	if !r.next(b) {
		return false
	}
	if r.plan == nil {
		r.plan = r.decoder.plan(b.log[b.from:b.to])
	}
	b.plan = r.plan
	return true
}
