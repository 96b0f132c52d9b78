package esl

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

const (
	applyTimeout = 10 * time.Second // for all that one batch asks of the switch
	giveUpAfter  = 5 * time.Minute  // since a change was first tried

	// maxWaiting is how many changes may wait for a switch that cannot be reached.
	maxWaiting = 1000
)

// Action has a switch act on callers and accounts.
type Action struct {
	config config
	relist time.Duration // between the two looks at a list; set by tests

	// Of the goroutine that calls Apply alone.
	done      uint64               // every change up to this one has been dealt with
	tried     map[uint64]time.Time // when those after it were first tried, by Seq; zero: given up
	commanded map[uint64]bool      // those of them whose commands were answered

	mu      sync.Mutex // guards what follows
	failed  string     // what the last batch failed with; "" after a success
	givenUp int        // changes that the switch could not be told of in time
	notSent int        // what was not sent because of a value in it
	odd     string     // the last of those values, and why
}

var (
	_ plugin.Action   = (*Action)(nil)
	_ plugin.Reporter = (*Action)(nil)
	_ plugin.Comparer = (*Action)(nil)
)

func newAction(c config) *Action {
	return &Action{config: c, relist: time.Second, tried: map[uint64]time.Time{}, commanded: map[uint64]bool{}}
}

// Same reports whether the other action was made from the same words and speaks
// to the same switch.
func (a *Action) Same(other any) bool {
	o, ok := other.(*Action)
	return ok && reflect.DeepEqual(a.config, o.config)
}

func (a *Action) log() *slog.Logger { return slog.With("action", a.config.name) }

// Apply does what the changes ask for, over one connection. Where that breaks, the
// same changes may come again; hanging up twice is harmless, and a command that was
// answered is not sent again for the same change. What the switch refused comes
// back as an error, once.
func (a *Action) Apply(ctx context.Context, batch ban.Batch) error {
	wishes, last := a.wishes(batch)
	if len(wishes) == 0 {
		a.finish(last)
		a.settled(nil)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	refused, err := a.act(ctx, wishes)
	if err == nil {
		a.finish(last)
		a.settled(refused)
		return refused
	}
	err = errors.Join(err, refused)
	a.settled(err)
	if len(batch.Changes) > maxWaiting {
		a.giveUp(len(wishes))
		a.finish(last)
		return nil
	}
	return err
}

// wishes gives what is to be done about the changes that have not been dealt with,
// and the number of the last of them. Those that have waited too long are given up.
func (a *Action) wishes(batch ban.Batch) (wishes []wish, last uint64) {
	stale := 0
	for i := range batch.Changes {
		c := &batch.Changes[i]
		if c.Seq != 0 && c.Seq <= a.done {
			continue
		}
		last = max(last, c.Seq)
		w, ok := wishOf(c, a.config.name)
		if !ok {
			continue
		}
		first, again := a.tried[c.Seq]
		switch {
		case !again:
			a.tried[c.Seq] = batch.Now
		case first.IsZero():
			continue // given up before
		case batch.Now.Sub(first) > giveUpAfter:
			a.tried[c.Seq] = time.Time{}
			stale++
			continue
		}
		wishes = append(wishes, w)
	}
	a.giveUp(stale)
	return wishes, last
}

// finish notes that every change up to seq has been dealt with.
func (a *Action) finish(seq uint64) {
	a.done = max(a.done, seq)
	maps.DeleteFunc(a.tried, func(tried uint64, _ time.Time) bool { return tried <= a.done })
	maps.DeleteFunc(a.commanded, func(sent uint64, _ bool) bool { return sent <= a.done })
}

// act connects and does everything. refused is what the switch did not do though
// it was told to; err is why it could not be told, or what it said not be read.
func (a *Action) act(ctx context.Context, wishes []wish) (refused, err error) {
	console, err := a.config.at.Console(ctx)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	s := &session{action: a, config: &a.config, console: console, wishes: wishes, said: map[string]bool{}}
	err = s.run(ctx)
	return s.refusals(), err
}

// settled notes how a batch ended.
func (a *Action) settled(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = ""
	if err != nil {
		a.failed = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
}

// unsent counts what was not sent, and says so: whoever can make the switch report
// a value can have it refused here, so that it is no error of the action.
func (a *Action) unsent(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notSent++
	a.odd = err.Error()
	a.log().Warn("nothing sent to the switch because of a value", "err", err)
}

func (a *Action) giveUp(n int) {
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.givenUp += n
	a.log().Error("changes given up: the switch could not be told of them in time", "changes", n)
}

// Report implements [plugin.Reporter]. Its problems keep no ban from being in force.
func (a *Action) Report(context.Context) (r status.Report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != "" {
		r.Add(status.Warning, "the switch did not do what it was last asked for: %s", a.failed)
	}
	if a.givenUp > 0 {
		r.Add(status.Warning, "changes given up because the switch could not be told of them in time: %d", a.givenUp)
	}
	if a.notSent > 0 {
		r.Add(status.Warning, "commands not sent because of a value in them: %d, the last: %s", a.notSent, a.odd)
	}
	return r
}

// A console carries out commands, as [esl.Console] does.
type console interface {
	API(ctx context.Context, command string, args ...string) (string, error)
}

var _ console = (*esl.Console)(nil)
