package logfile

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
	"freeswitch-security/sources/logfile/tail"
)

// Follow reports what is written to the log from a position on; see [tail.Follower].
// Without a position it begins at the present end: what is there before is history,
// for Replay. It returns nil when ctx has ended.
//
// Lines that are truncated or deleted before they were read are lost, unless a copy of the
// log holds them. So a log that is truncated and longer than before within some
// milliseconds loses what was written to it last.
//
// The sink gets a position at most every 200 ms, and at the end. So only a kill -9 can
// have events counted twice, those of its last 200 ms.
func (s *source) Follow(ctx context.Context, stream plugin.Stream) error {
	s.follow(ctx, stream, tail.DefaultPace(), defaultPatience())
	return nil
}

func (s *source) follow(ctx context.Context, stream plugin.Stream, pace tail.Pace, patience patience) {
	c := s.newConsumer(stream, patience)
	f := s.newFollower(c, pace)
	defer f.Close()
	f.Begin(stream.From)
	c.lookBack(s.path)
	stream.Ready()
	f.Run(ctx)
}

func (s *source) newConsumer(stream plugin.Stream, patience patience) *consumer {
	c := &consumer{scanner: scanner{decoder: s.newDecoder(stream.Want, defaultSizes().maxLine, time.Time{})}, stream: stream, patience: patience, live: stream.From == nil}
	c.order.sink = c.emit
	c.sight.others = c.others
	c.carried.MaxLine, c.carried.others, c.context = c.MaxLine, c.others, c.Before()
	return c
}

func (s *source) newFollower(c *consumer, pace tail.Pace) *tail.Follower {
	f := tail.New(tail.Config{
		Path: s.path, Pace: pace, MaxLine: c.MaxLine, Before: c.Before(), Consumer: c, Stamp: c.stamp, CaughtUp: func() { c.live = true },
		Save: c.stream.Position, Lost: c.lose, Log: slog.With("source", s.name),
	})
	c.stream.Progress.Look(func(s *status.Source) { s.Behind, s.Fault = f.Behind(), f.Fault() })
	return f
}

// A patience says how long a consumer waits for what may follow the last message.
// FreeSWITCH writes a message at once: what follows later is too late to refuse it.
type patience struct {
	settle  time.Duration // if it looks complete, but may not have been written as a whole
	message time.Duration // if FreeSWITCH writes more lines after its first one, or more lines may tell that it is forged
	line    time.Duration // if an unfinished line that may belong to it follows
}

func defaultPatience() patience {
	return patience{settle: 2 * time.Millisecond, message: 50 * time.Millisecond, line: time.Second}
}

// A consumer makes events of the lines of a log that grows. It implements
// [tail.Consumer].
type consumer struct {
	scanner
	block    block // handed to the scanner again and again
	order    ordered
	patience patience
	sight    sight
	stream   plugin.Stream
	sampled  int // how many bytes the plan was made from
	carried  chunkUnwrapper
	context  int       // bytes of the log in front of a chunk
	written  int64     // where in the file a call of write ended, see [tail.Chunk]
	divided  bool      // a message goes on behind such a place: it is not written as a whole
	live     bool      // what is taken has just been written
	shown    time.Time // when a stamp was last passed on beside the events
}

// Take reports the events of a chunk. It holds back a last message that may go on
// behind the chunk.
func (c *consumer) Take(ctx context.Context, chunk tail.Chunk) tail.Verdict {
	if c.recognise(chunk.Head); c.carried.carrier == nil || chunk.From == chunk.To {
		return c.take(ctx, chunk)
	}
	v := c.take(ctx, c.carried.unwrap(chunk, c.patience.line))
	return c.carried.pass(&chunk, v, c.context, c.patience.line)
}

// take takes a chunk of plain lines.
func (c *consumer) take(ctx context.Context, chunk tail.Chunk) tail.Verdict {
	c.ModTime = time.Now()
	c.sample(&chunk)
	c.notice(&chunk)
	c.showClock(chunk.Log[chunk.From:chunk.To])
	b := &c.block
	b.log, b.from, b.to, b.crlf = chunk.Log, chunk.From, chunk.To, chunk.CRLF
	c.scan(b)
	v := tail.Verdict{Done: chunk.To - chunk.From}
	if !chunk.Final {
		if at, wait := c.unsettled(&chunk); wait > 0 {
			b.to = chunk.From + at
			c.scan(b)
			v.Done, v.Wait = at, wait
		}
	}
	if left, err := c.order.emit(ctx, b); err != nil {
		v.Done = left
	} else {
		c.count(b, v.Done)
	}
	v.Events = slices.ContainsFunc(b.findings, func(f finding) bool { return f.wanted })
	return v
}

// Recall marks the attempts as known that were reported before a restart.
func (c *consumer) Recall(lines []byte, crlf bool) {
	c.ModTime = time.Now()
	if c.recognise(lines); c.carried.carrier != nil {
		lines, crlf = c.carried.plain(lines)
	}
	c.block.plan, c.sampled = c.plan(lines), len(lines)
	b := &c.block
	b.log, b.from, b.to, b.crlf = lines, 0, len(lines), crlf
	c.scan(b)
	c.order.sink = func(*event.Event) error { return nil }
	_, _ = c.order.emit(context.Background(), b) // it cannot fail
	c.order.sink = c.emit
}

// sample makes the plan: at the start of a file, and again when there is a much
// better sample of it.
func (c *consumer) sample(chunk *tail.Chunk) {
	n := chunk.To - chunk.From
	if c.block.plan == nil || chunk.At == 0 || c.sampled < pattern.SampleLength && n > 2*c.sampled {
		c.block.plan, c.sampled = c.plan(chunk.Log[chunk.From:chunk.To]), n
	}
}

// unsettled returns where the lines begin that must wait for more lines, and for how
// long; 0 if none must.
func (c *consumer) unsettled(chunk *tail.Chunk) (at int, wait time.Duration) {
	b := &c.block
	for i := range b.findings {
		if !b.findings[i].open {
			continue
		}
		at, wait = b.findings[i].at, c.patience.message
		if at == 0 {
			wait -= chunk.Waited
		}
		if wait > 0 {
			return at, wait
		}
	}
	b.findings = slices.DeleteFunc(b.findings, func(f finding) bool { return f.refused })
	if n := len(b.findings); n > 0 {
		last := &b.findings[n-1]
		return last.at, c.outstanding(last, chunk) - chunk.Quiet
	}
	return 0, 0
}

// outstanding returns for how long the rest of the last message may still come; 0: it
// is complete. FreeSWITCH writes a message by one call of write, and so are the lines that a caller
// adds to it. A program between it and the file may divide that.
func (c *consumer) outstanding(last *finding, chunk *tail.Chunk) time.Duration {
	partial := chunk.Log[chunk.To:] // the unfinished line behind the block
	_, rest := c.Cut(c.block.log[c.block.from+last.at : c.block.to])
	further := 0
	for len(rest) > 0 {
		var line string
		line, rest = c.Cut(rest)
		if record.Begins(line) {
			return 0
		}
		further++
	}
	switch {
	case len(partial) > 0 && record.Begins(c.Line(partial)):
		return 0
	case len(partial) > 0:
		return c.patience.line
	case further < len(expected(last.event.Message)):
		return c.patience.message
	case chunk.Written && !c.divided:
		return 0
	}
	return c.patience.settle
}

// notice notes whether a message goes on behind the end of a call of write.
func (c *consumer) notice(chunk *tail.Chunk) {
	length := chunk.To - chunk.From
	if at := c.written - chunk.At; chunk.At > 0 && at >= 0 && at < int64(length) {
		line, _ := c.Cut(chunk.Log[chunk.From+int(at) : chunk.To])
		c.divided = c.divided || !record.Begins(line)
	}
	if chunk.Written && len(chunk.Log) == chunk.To {
		c.written = chunk.At + int64(length)
	}
}

// stamp returns the time of a line, zero if it has no header.
func (c *consumer) stamp(line []byte) time.Time {
	h, ok := record.ParseHeader(c.Line(line))
	if !ok {
		form, known := carrier.Form(c.Line(line))
		if !known {
			return time.Time{}
		}
		u := form.Unwrapper(c.MaxLine, c.others)
		plain, _ := c.Cut(u.Flush(u.Append(nil, c.Line(line))))
		if h, ok = record.ParseHeader(plain); !ok {
			return time.Time{}
		}
	}
	c.ModTime = time.Now()
	return c.Time(h.Stamp)
}

// showClock passes on the stamp of the last line, once a second: there may be no events. Trap: a
// caller may have written that line, behind a first one that has another stamp.
func (c *consumer) showClock(lines []byte) {
	now := c.ModTime
	if !c.live || now.Sub(c.shown) < time.Second {
		return
	}
	lines = bytes.TrimSuffix(lines, []byte{'\n'})
	first, _, _ := bytes.Cut(lines, []byte{'\n'})
	at := c.stamp(lines[bytes.LastIndexByte(lines, '\n')+1:])
	if !at.IsZero() && at.Sub(c.stamp(first)).Abs() < time.Second {
		c.shown = now
		c.stream.Progress.Stamped(at)
	}
}

func (c *consumer) emit(e *event.Event) error {
	e.Live = c.live
	c.stream.Progress.Emitted(e)
	c.stream.Emit(e)
	return nil
}

// lose counts lines of a named pipe that were dropped.
func (c *consumer) lose(lines int) {
	c.stream.Progress.Update(func(s *status.Source) { s.Lost += uint64(lines) })
}

// count counts a block of which n bytes are done with.
func (c *consumer) count(b *block, n int) {
	c.stream.Progress.Update(func(s *status.Source) {
		s.Lines += uint64(b.lines)
		s.Bytes += uint64(n)
		s.Skipped += uint64(b.skipped)
		s.Doubted += uint64(b.doubted)
	})
	c.see(b.lines, b.recognised)
}
