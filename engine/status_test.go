package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"
)

// A courier delivers, and reports its deliveries.
type courier struct {
	teller
	delivery status.Delivery
}

func (c *courier) Report(context.Context) status.Report { return status.Report{Delivery: &c.delivery} }

// A dim wall is one of which only a part can be seen.
type dimWall struct{ wall }

func (*dimWall) Inspect(context.Context) (status.Kernel, error) {
	return status.Kernel{Chain: "FREESWITCH"}, errors.Join(errors.New("IPv4: exit status 4"), errors.New("IPv6: exit status 4"))
}

// TestGauges: how messages get on is shown, and what could not be read is not taken
// for nothing.
func TestGauges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now()
		cfg := guessing(t)
		cfg.Actions = []config.Action{
			{Ref: "courier.x", Action: &courier{delivery: status.Delivery{
				Delivered: 12, Dropped: 1, Failed: 4, Waiting: 3, Since: since, Error: "answered 503", SpoolError: "disk full",
			}}},
			{Ref: "wall.x", Action: &dimWall{}, Blocks: true},
		}
		g := runQuietly(t, cfg)
		s, err := g.Status(t.Context())
		if err != nil || len(s.Actions) != 2 || s.Actions[1].Delivery != nil {
			t.Fatalf("%+v, %v", s.Actions, err)
		}
		want := status.Delivery{Delivered: 12, Dropped: 1, Failed: 4, Waiting: 3, Since: since, Error: "answered 503", SpoolError: "disk full"}
		if got := s.Actions[0].Delivery; got == nil || *got != want {
			t.Errorf("%+v", got)
		}
		views, err := g.Kernel(t.Context())
		if err != nil || len(views) != 1 || !views[0].Unread || views[0].Count != nil || len(views[0].Problems) != 2 {
			t.Errorf("%+v, %v", views, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		idle := New(cfg, Options{})
		if views, err := idle.Kernel(gone); err == nil {
			t.Errorf("no view was expected: %+v", views)
		}
	})
}
