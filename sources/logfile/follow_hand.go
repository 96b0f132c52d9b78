package logfile

import (
	"bytes"
	"context"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// digest decodes the whole lines of a file that are pending and hands on their
// events. Unless all is to be judged as it is, it holds back a last message that
// may go on behind them.
func (f *follower) digest(ctx context.Context, t *tail, all bool) {
	end, cut := t.complete(f.block.maxLine)
	t.held, t.doubted = 0, false
	if end == 0 {
		return
	}
	b := &f.block
	b.data, b.crlf, b.plan = t.pending[:end], t.crlf, f.plan(t)
	b.lead, b.trail = f.lead(t), nil
	f.scanner.scan(b)
	if !all && !cut {
		if at := f.unsettled(b, t, end); at >= 0 {
			b.data, b.trail, end = t.pending[:at], t.pending[at:end], at
			f.scanner.scan(b)
		}
	}
	t.pass(f.hand(ctx, b, end))
}

// unsettled is where the lines begin that must wait for more, -1 if none must. It
// notes for how long they may.
func (f *follower) unsettled(b *block, t *tail, end int) int {
	if at := f.firstOpen(b, t); at >= 0 {
		t.held, t.doubted = f.pace.message, true
		return at
	}
	b.findings = slices.DeleteFunc(b.findings, func(f finding) bool { return f.refused })
	if n := len(b.findings); n > 0 {
		last := &b.findings[n-1]
		if t.held = f.outstanding(b, last, t.pending[end:]); t.held > 0 {
			return last.at
		}
	}
	return -1
}

// lead gives what stands in the file before what is pending, as much as is looked at
// around a line.
func (f *follower) lead(t *tail) []byte {
	if f.scanner.piece == 0 {
		return nil
	}
	lead := f.block.lead[:min(int64(f.scanner.before()), t.from)]
	if n, _ := t.file.ReadAt(lead, t.from-int64(len(lead))); n < len(lead) {
		return lead[:0] // it is being truncated
	}
	return lead
}

// firstOpen is where the first line begins that lines behind it may still show to
// be forged, -1 if there is none: they are waited for, but not for ever.
func (f *follower) firstOpen(b *block, t *tail) int {
	for i := range b.findings {
		if !b.findings[i].open {
			continue
		}
		at := b.findings[i].at
		if place := t.from + int64(at); t.open != place || t.opened.IsZero() {
			t.open, t.opened = place, f.now
		}
		if f.now.Sub(t.opened) < f.pace.message {
			return at
		}
	}
	return -1
}

// hand hands on the findings of a block, of which end bytes are done with then.
// When ctx ends it stops between two events and says how far it came.
func (f *follower) hand(ctx context.Context, b *block, end int) (done int) {
	before := f.emitted
	if err := f.order.hand(ctx, b); err != nil {
		return firstLeft(b.findings, f.emitted-before)
	}
	f.countBlock(b, end)
	return end
}

// firstLeft is where the line begins of the first wanted finding behind n others.
func firstLeft(findings []finding, n int) int {
	for i := range findings {
		if !findings[i].wanted {
			continue
		}
		if n == 0 {
			return findings[i].at
		}
		n--
	}
	return 0
}

func (f *follower) emit(e *event.Event) error {
	f.sink.Emit(e)
	f.emitted++
	f.count(e)
	return nil
}

// outstanding says for how long the rest of the last message that was found may
// still come; 0: it is complete. partial is the unfinished line behind the block.
func (f *follower) outstanding(b *block, last *finding, partial []byte) time.Duration {
	_, rest := b.cut(b.data[last.at:])
	further := 0
	for len(rest) > 0 {
		var line string
		line, rest = b.cut(rest)
		if beginsRecord(line) {
			return 0
		}
		further++
	}
	switch {
	case len(partial) > 0 && beginsRecord(b.line(partial)):
		return 0
	case len(partial) > 0:
		return f.pace.line
	case further < len(expected(last.event.Message)):
		return f.pace.message
	}
	return f.pace.pulse
}

// plan gives the prefilter, made from the end of the file that is read first.
func (f *follower) plan(t *tail) *plan {
	if f.block.plan == nil {
		sample := make([]byte, sampleLength)
		n, _ := t.file.ReadAt(sample, max(0, t.offset-sampleLength))
		f.block.plan = newPlan(f.source.patterns, f.use, sample[:n])
	}
	return f.block.plan
}

// prime goes once more through what was handed on last before a restart, to know
// which attempts were reported already.
func (f *follower) prime(t *tail) {
	data := make([]byte, min(sampleLength, t.from))
	start := t.from - int64(len(data))
	n, _ := t.file.ReadAt(data, start)
	data = data[:n]
	if start > 0 {
		data = data[bytes.IndexByte(data, '\n')+1:]
	}
	b := &f.block
	b.data, b.crlf, b.plan = data, t.crlf, f.plan(t)
	b.lead, b.trail = b.lead[:0], nil
	f.scanner.scan(b)
	f.order.emit = func(*event.Event) error { return nil }
	_ = f.order.hand(context.Background(), b) // it has no reason to fail
	f.order.emit = f.emit
}
