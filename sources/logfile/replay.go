package logfile

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
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

	reader := newReader(sizes, decoder, rec.R)
	go reader.run(ctx)
	var stats plugin.Stats
	order := ordered{sink: emit}
	for {
		b, ok := receive(ctx, reader.order)
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
		reader.free <- b
	}
	if err := ctx.Err(); err != nil {
		return stats, err
	}
	stats.Bytes = reader.blocks.bytes
	if err := reader.blocks.end; err != io.EOF {
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

// A reader reads blocks ahead of the caller and has each scanned.
type reader struct {
	blocks  blocks
	decoder decoder
	free    chan *block // blocks that may be filled again
	order   chan *block // filled, in the order of the log; done tells when they are scanned
}

func newReader(sizes sizes, d decoder, r io.Reader) *reader {
	n := sizes.workers + 2
	reader := &reader{
		blocks:  blocks{Buffer: lines.Buffer{Splitter: d.Splitter}, before: d.Before(), behind: d.Behind(), r: r, size: sizes.block},
		decoder: d, free: make(chan *block, n), order: make(chan *block, n),
	}
	for range n {
		reader.free <- reader.blocks.newBlock()
	}
	return reader
}

// run fills blocks until the recording or ctx ends. The queues have room for all
// blocks, so that it waits only for a free one.
func (r *reader) run(ctx context.Context) {
	defer close(r.order)
	var plan *pattern.Plan
	for {
		b, ok := receive(ctx, r.free)
		if !ok || !r.blocks.next(b) {
			return
		}
		if plan == nil {
			plan = r.decoder.plan(b.log[b.from:b.to])
		}
		if b.plan == nil {
			b.plan, b.scanner = plan, scanner{decoder: r.decoder}
		}
		r.order <- b
		go func() {
			b.scanner.scan(b)
			b.done <- struct{}{}
		}()
	}
}
