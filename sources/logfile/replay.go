package logfile

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// sizes says in what parts a recording is read.
type sizes struct {
	block   int // bytes that are read at a time
	maxLine int // the longest line that is examined, in bytes
	workers int // blocks that are decoded at the same time
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
	decoder := s.newDecoder(want, sizes.maxLine, rec.ModTime)

	reader := newReader(sizes, blocks{Lines: decoder.Lines, before: decoder.Before(), behind: decoder.Behind(), r: rec.R, size: sizes.block})
	go reader.run(ctx, decoder.plan)
	var workers sync.WaitGroup
	for range sizes.workers {
		workers.Go(func() {
			scanner := scanner{decoder: decoder}
			for b := range until(ctx, reader.work) {
				scanner.scan(b)
				b.done <- struct{}{}
			}
		})
	}
	defer workers.Wait()
	defer cancel()

	var stats plugin.Stats
	order := ordered{clock: decoder.Clock, sink: emit}
	for b := range until(ctx, reader.order) {
		select {
		case <-b.done:
		case <-ctx.Done():
			return stats, ctx.Err()
		}
		stats.Lines += b.lines
		stats.Bytes = b.read
		stats.Skipped += b.skipped
		stats.Doubted += b.doubted
		stats.Recognised = stats.Recognised || b.recognised
		if err := order.emit(ctx, b); err != nil {
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

// until yields what the channel brings until it is closed or ctx ends.
func until[T any](ctx context.Context, c <-chan T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			select {
			case v, ok := <-c:
				if !ok || !yield(v) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// A reader reads blocks ahead of the workers.
type reader struct {
	blocks blocks
	free   chan *block // blocks that may be filled again
	work   chan *block // filled, for any worker
	order  chan *block // the same ones, in the order of the log
}

func newReader(sizes sizes, blocks blocks) *reader {
	n := sizes.workers + 2
	r := &reader{blocks: blocks, free: make(chan *block, n), work: make(chan *block, n), order: make(chan *block, n)}
	for range n {
		r.free <- r.blocks.newBlock()
	}
	return r
}

// run fills blocks until the recording or ctx ends. Each queue has room for all
// blocks, so that run waits only for a free one.
func (r *reader) run(ctx context.Context, newPlan func(sample []byte) *pattern.Plan) {
	defer close(r.order)
	defer close(r.work)
	var plan *pattern.Plan
	for {
		var b *block
		select {
		case b = <-r.free:
		case <-ctx.Done():
			return
		}
		if !r.blocks.next(ctx, b) {
			return
		}
		if plan == nil {
			plan = newPlan(b.data)
		}
		b.plan = plan
		r.order <- b
		r.work <- b
	}
}

// ordered does what can only be done in the order of the log.
type ordered struct {
	clock   record.Clock
	dst     dstResolver
	repeats repeatMarker
	year    int // of the last line that has one, if years are needed
	sink    func(*event.Event) error
}

// emit emits the events of a block. If ctx ends, it stops between two events.
func (o *ordered) emit(ctx context.Context, b *block) error {
	for i := range b.findings {
		f := &b.findings[i]
		if f.date(&o.clock, o.year); !f.dated || f.refused {
			continue
		}
		o.settle(f)
		if !f.wanted {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.sink(f.event); err != nil {
			return err
		}
	}
	if b.year != 0 {
		o.year = b.year
	}
	return nil
}

// settle corrects the time of an event and marks a repeat.
func (o *ordered) settle(f *finding) {
	o.dst.resolve(f)
	o.repeats.mark(f.event)
}
