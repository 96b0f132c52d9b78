package enforce

import (
	"context"
	"testing"
	"testing/synctest"

	"freeswitch-security/engine/ban"
)

// A teller is an action that holds no state.
type teller struct{ heard []ban.Kind }

func (t *teller) Apply(ctx context.Context, b ban.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, c := range b.Changes {
		t.heard = append(t.heard, c.Kind)
	}
	return nil
}

func TestATellerHearsWhatWasDecidedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, told := ban.NewLedger(ban.NewTrust(nil)), &teller{}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it is to end before it has begun
		r := New("webhook.x", told, l, everything, quiet)
		enter(t, l, "203.0.113.1")
		l.Add(ban.Change{Kind: ban.KindAlert})
		commit(t, l)
		r.Run(ctx)
		if n := len(told.heard); n != 2 {
			t.Fatalf("%d of 2 were heard: %v", n, told.heard)
		}
	})
}

// An action without a state is always synced: its status must not say that bans are not
// in force.
func TestActionWithoutStateIsSynced(t *testing.T) {
	l := ban.NewLedger(ban.NewTrust(nil))
	if r := New("webhook.x", &teller{}, l, everything, quiet); !r.Status().Synced {
		t.Error("an action that holds no state does not agree with the ledger")
	}
	if r := New("wall.drop", &wall{}, l, everything, quiet); r.Status().Synced {
		t.Error("a level agrees with the ledger before it was asked")
	}
}
