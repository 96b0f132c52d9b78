package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An anchor is a record that the bucket held, as the node knows. A server that crashed may have lost its
// latest records, and have given their numbers to others since: then the bucket lacks an anchor.
type anchor struct {
	key   string
	rev   uint64
	stamp Stamp
}

// mostAnchors is how many anchors are asked for: one is enough, unless its key has changed since.
const mostAnchors = 8

// soonOver is how long before its end a record is no anchor: the server has another clock.
const soonOver = 5 * time.Minute

// anchors returns the latest records that are not over soon.
func (t *table) anchors(now time.Time) []anchor {
	now = now.Add(soonOver)
	var latest []anchor
	for i, e := range t.entries {
		if e.rev == 0 || e.base.over(now) || len(latest) == mostAnchors && e.rev < latest[0].rev {
			continue
		}
		if len(latest) == mostAnchors {
			latest = latest[1:]
		}
		one := anchor{i.key(), e.rev, e.base.stamp}
		at, _ := slices.BinarySearchFunc(latest, one, func(a, b anchor) int { return cmp.Compare(a.rev, b.rev) })
		latest = slices.Insert(latest, at, one)
	}
	return latest
}

// lacks reports whether the bucket has lost an anchor.
func (s *session) lacks(ctx context.Context, prefix string, anchors []anchor) (bool, error) {
	for _, a := range slices.Backward(anchors) {
		m, err := s.stream.GetLastMsgForSubject(ctx, prefix+a.key)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return true, nil
		case err != nil:
			return false, err
		case m.Sequence > a.rev: // it has changed since
			continue
		case m.Sequence < a.rev:
			return true, nil
		}
		var r Record
		return json.Unmarshal(m.Data, &r) != nil || r.Stamp != a.stamp, nil
	}
	return false, nil
}
