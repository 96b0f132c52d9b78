package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"freeswitch-security/engine/dbfile"
)

// keepHistory reads the history from its file and saves it there every minute, until end is called. If
// that is not possible, and in a dry run, the history is kept in memory.
func (d *Daemon) keepHistory(ctx context.Context) (end func()) {
	if !d.options.DryRun {
		d.openHistory()
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.saveHistory(ctx)
	}()
	return func() {
		cancel()
		<-ended
		if err := errors.Join(d.history.Save(time.Now()), d.history.Close()); err != nil {
			d.log.Error("history not saved", "err", err)
		}
	}
}

func (d *Daemon) openHistory() {
	path := filepath.Join(d.options.State, "history.db")
	err := d.history.Open(path)
	if errors.Is(err, dbfile.ErrDamaged) {
		aside, moving := dbfile.MoveAside(path, time.Now())
		d.log.Error("history damaged: moved aside, starting with an empty one", "err", errors.Join(err, moving), "aside", aside)
		err = d.history.Open(path)
	}
	if err != nil {
		d.log.Error("history not opened: it is kept in memory only", "err", err)
	}
}

// saveEvery is how often the history is written: what a crash loses of it.
const saveEvery = time.Minute

// mostLooked is with how many bans the history counts dropped packets. To read a million from the kernel takes
// four seconds of processor time and 450 MB.
const mostLooked = 100_000

// saveHistory counts what the kernel drops, and saves, until ctx ends.
func (d *Daemon) saveHistory(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	var failed bool
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if n := d.engine.Ledger().Size(); n > 0 && n <= mostLooked {
				if views, err := d.engine.Kernel(ctx); err == nil {
					d.history.Kernel(views, now)
				}
			}
			err := d.history.Save(now)
			if err != nil && !failed {
				d.log.Error("history not saved", "err", err)
			}
			failed = err != nil
		}
	}
}
