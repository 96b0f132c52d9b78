package plugin

import "time"

// A Beginner is a follower to which what was there before it began is history. What
// follows it says that it is ready only once it has begun, unless that takes seconds.
type Beginner interface {
	Follower
	// Begun is closed once Follow has found where it begins: whatever is written
	// from then on it will report.
	Begun() <-chan struct{}
}

// A Meter is a follower or a feed that can say how far it has come. It may be asked by
// any goroutine at any time.
type Meter interface {
	Progress() Progress
}

// Progress is how far a source has come since it was first followed.
type Progress struct {
	Stats
	Events    int64     // how many were emitted
	Lost      int64     // events that were dropped on their way, here or at the switch
	LastEvent time.Time // the stamp of the last of them; zero if there was none
	Behind    int64     // bytes that are there and were not read yet
	Connects  int64     // how often it has come to be heard, where it is connected to
	Restarts  int64     // how often the switch was seen to have been started anew
	Fault     string    // why nothing can be read at present; empty if it can
	Warning   string    // what is amiss though it is read; empty if nothing is
}
