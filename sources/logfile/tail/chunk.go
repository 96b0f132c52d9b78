package tail

import (
	"bytes"
	"context"
	"time"
)

// A Chunk is a run of whole lines of one file.
type Chunk struct {
	Log      []byte // valid only until Take returns
	From, To int    // the lines in Log; in front of them stand up to Config.Before bytes, behind them an unfinished line
	CRLF     bool   // lines end in "\r\n"
	At       int64  // where the lines begin in the file
	Head     []byte // the first bytes of the file, HeadLength at most

	Quiet  time.Duration // since the file grew last
	Waited time.Duration // since the first line was held back; 0: it was not
	Final  bool          // nothing can follow: the lines must not be held back

	// Written tells that the call of write that wrote the last line has ended with what the chunk
	// and the unfinished line hold.
	Written bool
}

// HeadLength bounds the head of a file that a chunk shows, in bytes.
const HeadLength = 16 << 10

// A Verdict says what became of a chunk.
type Verdict struct {
	Done   int           // bytes of the lines that are done with; the others come again
	Wait   time.Duration // when the others come again, at the latest, if the file does not grow; not 0 if there are any
	Events bool          // something was reported, so that the position is worth saving soon
}

// A Consumer takes the lines of a file. One goroutine calls it.
type Consumer interface {
	// Take takes a chunk. It may hold lines back to see what follows them. If ctx ends,
	// it returns early with what is done.
	Take(ctx context.Context, c Chunk) Verdict

	// Recall shows the end of what was taken before a restart, as whole lines. They are
	// not to be reported again.
	Recall(lines []byte, crlf bool)
}

// RecallLength bounds what Recall is given, in bytes.
const RecallLength = 256 << 10

// offer hands the whole lines of a file that are pending to the consumer.
func (f *Follower) offer(ctx context.Context, t *file, final bool) {
	end, cut := t.complete(f.MaxLine)
	t.due = time.Time{}
	if end == t.passed {
		return
	}
	c := Chunk{
		Log: t.Log, From: t.passed, To: end, CRLF: t.CRLF, At: t.from, Head: t.start(),
		Quiet: f.now.Sub(t.grown), Final: final || cut, Written: t.written(),
	}
	if t.held == t.from && !t.heldSince.IsZero() {
		c.Waited = f.now.Sub(t.heldSince)
	}
	v := f.Consumer.Take(ctx, c)
	t.pass(v.Done, f.Before)
	if c.From+v.Done < end {
		t.due = f.now.Add(v.Wait)
		if t.held != t.from || t.heldSince.IsZero() {
			t.held, t.heldSince = t.from, f.now
		}
	}
	f.saving.events = f.saving.events || v.Events
	f.saving.lines = f.saving.lines || v.Done > 0
}

// recall shows the consumer what was handed on last before a restart.
func (f *Follower) recall(t *file) {
	data := make([]byte, min(RecallLength, t.from))
	start := t.from - int64(len(data))
	n, _ := t.file.ReadAt(data, start)
	data = data[:n]
	if start > 0 {
		data = data[bytes.IndexByte(data, '\n')+1:]
	}
	f.Consumer.Recall(data, t.CRLF)
}
