package esl

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

const (
	applyTimeout = 10 * time.Second // for one batch
	giveUpAfter  = 5 * time.Minute  // since the first attempt at a change

	// maxWaiting bounds the changes that wait for a switch that cannot be reached.
	maxWaiting = 1000
)

// Action acts on calls and registrations of a switch.
type Action struct {
	config config
	relist time.Duration // between the two readings of a list; shorter in tests

	ended, flushed summary

	// Of the goroutine that calls Apply alone.
	finished uint64          // changes up to this one are finished
	tries    map[uint64]*try // of those after it, by Seq

	mu      sync.Mutex // guards all below
	failed  string     // error of the last batch; "" after a success
	givenUp int        // changes
	notSent int        // commands, because of a value
	odd     string     // the last of those values, and why
}

// A try is what was done about a change that is not finished.
type try struct {
	first     time.Time
	commanded bool // its commands were answered
	givenUp   bool
}

func newAction(c config) *Action {
	return &Action{
		config: c, relist: time.Second, tries: map[uint64]*try{},
		ended: newSummary("calls hung up", "calls"), flushed: newSummary("registrations flushed", "registrations"),
	}
}

func (a *Action) log() *slog.Logger { return slog.With("action", a.config.name) }

// Apply carries out the tasks of the changes over one connection. After an error the same
// changes may come again. To hang up twice is harmless, and an answered command is not
// sent again for the same change. A refusal of the switch is returned once.
func (a *Action) Apply(ctx context.Context, batch ban.Batch) error {
	tasks, last := a.tasks(batch)
	if len(tasks) == 0 {
		a.finish(last)
		a.note(nil)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	refused, err := a.run(ctx, tasks)
	if err == nil {
		a.finish(last)
		a.note(refused)
		return refused
	}
	err = errors.Join(err, refused)
	a.note(err)
	if len(batch.Changes) > maxWaiting {
		a.giveUp(len(tasks))
		a.finish(last)
		return nil
	}
	return err
}

// tasks returns the tasks of the unfinished changes, and the number of the last of these.
// It gives up the changes that have waited too long. One that is held off shares the task of an
// earlier one about the same: the alerts of a flood cost no more than one.
func (a *Action) tasks(batch ban.Batch) (tasks []*task, last uint64) {
	stale, latest := 0, map[string]*task{}
	for _, c := range batch.Changes {
		if c.Seq != 0 && c.Seq <= a.finished {
			continue
		}
		last = max(last, c.Seq)
		t := taskOf(c, a.config.name)
		if t == nil {
			continue
		}
		if a.tries[c.Seq] == nil {
			a.tries[c.Seq] = &try{first: batch.Now}
		}
		switch try := a.tries[c.Seq]; {
		case try.givenUp:
		case batch.Now.Sub(try.first) > giveUpAfter:
			try.givenUp = true
			stale++
		default:
			same := latest[t.subject()]
			if c.Held && same != nil && a.tries[same.seq].commanded == try.commanded {
				maps.Copy(same.places, t.places)
				a.tries[c.Seq] = a.tries[same.seq]
				continue
			}
			latest[t.subject()] = t
			tasks = append(tasks, t)
		}
	}
	a.giveUp(stale)
	return tasks, last
}

// finish notes that all changes up to seq are finished.
func (a *Action) finish(seq uint64) {
	a.finished = max(a.finished, seq)
	maps.DeleteFunc(a.tries, func(seq uint64, _ *try) bool { return seq <= a.finished })
}

// run connects and carries out the tasks. refused is what the switch refused; err is an
// error of the connection or of a list.
func (a *Action) run(ctx context.Context, tasks []*task) (refused, err error) {
	console, err := a.config.at.Console(ctx)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	s := &session{action: a, config: &a.config, console: console, tasks: tasks, done: map[string]bool{}}
	err = s.run(ctx)
	a.ended.tell(a.log())
	a.flushed.tell(a.log())
	return s.refusals(), err
}

// note keeps the error of a batch for the report.
func (a *Action) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = ""
	if err != nil {
		a.failed = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
}

// skipped counts a command that was not sent because of a value. It is no error of the
// action, because callers can cause it.
func (a *Action) skipped(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notSent++
	a.odd = err.Error()
	a.log().Warn("command not sent", "err", err)
}

func (a *Action) giveUp(n int) {
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.givenUp += n
	a.log().Error("changes given up: the switch could not be reached in time", "changes", n)
}

// Report returns warnings. None of them keeps a ban from being in force.
func (a *Action) Report(context.Context) (r status.Report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != "" {
		r.Add(status.Warning, "the last batch failed: %s", a.failed)
	}
	if a.givenUp > 0 {
		r.Add(status.Warning, "changes given up because the switch could not be reached in time: %d", a.givenUp)
	}
	if a.notSent > 0 {
		r.Add(status.Warning, "commands not sent because of a value in them: %d, the last: %s", a.notSent, a.odd)
	}
	return r
}
