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
)

// sizes says in what pieces a recording is read.
type sizes struct {
	block   int // bytes that are read at a time
	maxLine int // the longest line that is looked at, in bytes
	workers int // blocks that are decoded at the same time
}

// maxWorkers bounds the memory of a replay: one reader cannot keep more busy.
const maxWorkers = 8

func defaultSizes() sizes {
	return sizes{block: 512 << 10, maxLine: 64 << 10, workers: min(runtime.GOMAXPROCS(0), maxWorkers)}
}

// Replay reads the recording in one goroutine, decodes it in several and calls
// emit in the one that called it, in the order of the log.
//
// Its result does not depend on how the recording is divided. What an error of
// reading cut off in the middle of a line is not looked at. When ctx ends or emit
// fails, Replay returns without waiting for a Read that is under way.
func (s *source) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	return s.replay(ctx, rec, want, emit, defaultSizes())
}

func (s *source) replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error, sizes sizes) (plugin.Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	decoder := s.newDecoder(want, sizes.maxLine, rec.ModTime)

	reader := newReader(sizes, blocks{limits: decoder.limits, r: rec.R, size: sizes.block})
	go reader.run(ctx, func(sample []byte) *plan { return newPlan(s.patterns, decoder.use, sample) })
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
	order := ordered{clock: decoder.clock, emit: emit}
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
		stats.Recognised = stats.Recognised || b.known
		if err := order.hand(ctx, b); err != nil {
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

// until gives what the channel brings until it is closed or ctx ends.
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
	work   chan *block // filled, for whichever worker comes first
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
// blocks, so that it waits for nothing but a free one.
func (r *reader) run(ctx context.Context, newPlan func(sample []byte) *plan) {
	defer close(r.order)
	defer close(r.work)
	var plan *plan
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
	clock
	fold
	repeats
	year int // of the last line that told one, where years are needed
	emit func(*event.Event) error
}

func (o *ordered) hand(ctx context.Context, b *block) error {
	for i := range b.findings {
		f := &b.findings[i]
		if o.settle(f, o.year); !f.dated || f.refused {
			continue
		}
		o.unfold(f)
		o.mark(f.event)
		if !f.wanted {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.emit(f.event); err != nil {
			return err
		}
	}
	if b.year != 0 {
		o.year = b.year
	}
	return nil
}
