package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
	"freeswitch-security/sources/logfile/journal"
	"freeswitch-security/sources/logfile/tail"
)

// Journal makes sources of FreeSWITCH's lines in systemd's journal.
var Journal = plugin.SourceKind{Name: "journal", New: newJournal}

// journalSource is one `source "journal"` block.
type journalSource struct {
	*source
	query journal.Query
}

// newJournal reads the block `source "journal" "name" { … }`.
func newJournal(b *settings.Block, env plugin.SourceEnv) plugin.Source {
	s := &journalSource{source: newContent(b, env), query: journal.Query{Unit: "freeswitch.service"}}
	if b.String("unit", &s.query.Unit) && !journal.IsUnit(s.query.Unit) {
		b.Error("unit", "Bad unit", fmt.Sprintf("%q is not the name of one systemd unit, such as \"freeswitch.service\".", s.query.Unit))
	}
	b.Path("directory", &s.query.Directory)
	b.Strings("match", &s.query.Match)
	for _, m := range s.query.Match {
		if !journal.IsMatch(m) {
			b.Error("match", "Bad match", fmt.Sprintf("%q is not a field of the journal with its value, such as \"CONTAINER_NAME=freeswitch\".", m))
		}
	}
	return s
}

// Follow reports what is written to the journal from a position on. Without a position it
// begins now. It returns why journalctl has ended, nil if ctx has.
func (s *journalSource) Follow(ctx context.Context, stream plugin.Stream) error {
	e := &journalConsumer{consumer: s.newConsumer(stream, defaultPatience()), place: journal.Place{Since: time.Now()}}
	if stream.From != nil {
		place, err := journal.ParsePlace(stream.From)
		if err != nil {
			slog.Warn("journal position damaged; what was written meanwhile is skipped", "source", s.name, "err", err)
		} else {
			e.place = place
		}
	}
	stream.Position(e.place.Bytes())
	stream.Ready()
	if stream.From != nil { // journalctl follows the entries of this boot alone
		err := s.run(ctx, e, false)
		if errors.Is(err, journal.ErrPlace) {
			slog.Warn("journal replaced; what was written meanwhile is skipped", "source", s.name)
			e.place = journal.Place{Since: time.Now()}
			stream.Position(e.place.Bytes())
		} else if err != nil || ctx.Err() != nil {
			return err
		}
	}
	e.live = true
	if err := s.run(ctx, e, true); err != nil || ctx.Err() != nil {
		return err
	}
	return errors.New("journalctl has ended")
}

// run hands the entries behind the last one to the consumer.
func (s *journalSource) run(ctx context.Context, e *journalConsumer, follow bool) error {
	return s.query.Run(ctx, e.place, follow, func(r io.Reader) {
		_ = tail.Stream(ctx, tail.Config{ // Run tells why it has ended
			Pace: tail.DefaultPace(), MaxLine: maxEntry, Before: e.Before(), Consumer: e,
			Save: func([]byte) { e.stream.Position(e.place.Bytes()) },
		}, r)
	}, func(text string) {
		e.stream.Progress.Report("journalctl", status.Warning, "journalctl: "+text)
	})
}

// maxEntry bounds an entry in JSON, in bytes: a byte that is no text takes five.
const maxEntry = 8 * 64 << 10

// A journalConsumer takes entries of the journal, one a line. It implements [tail.Consumer].
type journalConsumer struct {
	*consumer
	place journal.Place // behind the last entry that is done with
}

// anEntry is a head by which the consumer recognises the carrier.
var anEntry = []byte(`{"MESSAGE":""}` + "\n")

func (e *journalConsumer) Take(ctx context.Context, chunk tail.Chunk) tail.Verdict {
	chunk.Head = anEntry
	v := e.consumer.Take(ctx, chunk)
	done := bytes.TrimSuffix(chunk.Log[chunk.From:chunk.From+v.Done], []byte{'\n'})
	if place, ok := journal.At(done[bytes.LastIndexByte(done, '\n')+1:]); ok {
		e.place = place
	}
	return v
}
