package plugin

import (
	"context"
	"time"

	"freeswitch-security/engine/event"
)

// A Resumer is a follower that can go on after a restart where it stopped.
type Resumer interface {
	Follower

	// Resume is Follow from a position on: one that it gave to save in an
	// earlier run, or nil if there is none.
	//
	// A position says that all events that were emitted before save was called
	// are done with, and none after. So it must become durable together with
	// what those events led to or later, never sooner: the simplest way is to
	// let it take the same road as they do, behind them. save may block.
	//
	// emit returns when the event was taken over for certain. For a stop without
	// loss, events and positions are taken until Resume has returned, also after
	// ctx has ended: there are no more than one event and one position then.
	Resume(ctx context.Context, position []byte, save func(position []byte), want map[string]bool, emit func(*event.Event)) error
}

// A Meter is a source that can say how far it has come with what happens now.
// It may be asked by any goroutine at any time.
type Meter interface {
	Progress() Progress
}

// Progress is how far a source has come since it began to follow.
type Progress struct {
	Stats
	Events    int64     // how many were emitted
	LastEvent time.Time // the stamp of the last of them; zero if there was none
	Behind    int64     // bytes that are there and were not read yet
	Fault     string    // why nothing can be read at present; empty if all is well
}
