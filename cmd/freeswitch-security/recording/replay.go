package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// ErrInterrupted ends a replay whose context ended. Its streams may still be waiting for input.
var ErrInterrupted = errors.New("interrupted")

// An Account says what a replay read.
type Account struct {
	Stats    []plugin.Stats // of each input
	SetAside uint64         // events that would have been dropped
	Notes    []error        // worth knowing, no failure
	Unread   error          // the files that could not be read, or hold nothing of their source
}

// Piped reports whether an input is standard input.
func (s *Set) Piped() bool {
	return slices.ContainsFunc(slices.Concat(s.streams...), func(r *Stream) bool { return slices.Contains(r.paths, "-") })
}

// Replay has e decide on the set, once. see is called with every event before the rules see it.
// If progress is a terminal, it shows how much is read.
func (s *Set) Replay(ctx context.Context, e *engine.Engine, see func(*event.Event), progress io.Writer) (Account, error) {
	done := s.progress(progress)
	stats, err := e.Replay(ctx, s.inputs, see)
	done()
	if ctx.Err() != nil {
		return Account{}, ErrInterrupted
	}
	account := s.account(stats, err)
	account.SetAside = e.SetAside()
	return account, nil
}

func (s *Set) account(stats []plugin.Stats, reading error) Account {
	a := Account{Stats: stats}
	errs := []error{reading}
	for i, in := range s.inputs {
		var failed, empty []error
		var taken int64
		for _, r := range s.streams[i] {
			if r.disordered != nil {
				a.Notes = append(a.Notes, r.disordered)
			}
			failed = append(failed, r.failed...)
			for _, path := range r.empty {
				empty = append(empty, fmt.Errorf("%s is empty", inputName(path)))
			}
			taken += r.taken.Load()
		}
		if taken == 0 { // all files are empty
			failed, empty = append(failed, empty...), nil
		}
		a.Notes = append(a.Notes, empty...)
		errs = append(errs, failed...)
		if st := stats[i]; !st.Recognised && (st.Lines > 0 || len(failed) == 0) {
			why := fmt.Errorf("%s holds nothing that %s reads", in.Recording.Name, in.Ref)
			if !in.Source.Describe().Hears {
				why = fmt.Errorf("no line in %s looks like FreeSWITCH's log: cut off what another program wrote in front of each line, or export the journal with journalctl -o json", in.Recording.Name)
			}
			errs = append(errs, why)
		}
		if note := stats[i].Note; note != "" {
			a.Notes = append(a.Notes, fmt.Errorf("%s: %s", in.Recording.Name, note))
		}
		if n := stats[i].Skipped; n > 0 {
			a.Notes = append(a.Notes, fmt.Errorf("%s: skipped %s, too long to read", in.Recording.Name, terminal.Count(int(n), "line")))
		}
	}
	a.Unread = errors.Join(errs...)
	return a
}
