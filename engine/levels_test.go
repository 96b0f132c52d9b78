package engine

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// A slow is a level whose answers take some time.
type slow struct {
	wall
	takes time.Duration
	err   error
	gaps  []plugin.Gap
}

func (s *slow) Apply(ctx context.Context, b ban.Batch) error {
	<-time.After(s.takes)
	return errors.Join(s.wall.Apply(ctx, b), s.err)
}

func (s *slow) Resync(ctx context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	<-time.After(s.takes)
	drift, err := s.wall.Resync(ctx, want)
	drift.Gaps = s.gaps
	return drift, errors.Join(err, s.err)
}

func (s *slow) Repair(context.Context) (plugin.Drift, error) {
	return plugin.Drift{Gaps: s.gaps}, s.err
}

// TestLevelsOfDifferentTargets bans an address and an account: each waits for the level that enforces
// it, and fails if that fails.
func TestLevelsOfDifferentTargets(t *testing.T) {
	for name, test := range map[string]struct {
		kernel, pbx      slow
		address, account string // why it is not applied
		took             [2]time.Duration
	}{
		"a switch that hangs":     {pbx: slow{takes: time.Minute}, took: [2]time.Duration{0, time.Minute}},
		"a kernel that hangs":     {kernel: slow{takes: time.Minute}, took: [2]time.Duration{time.Minute, 0}},
		"a switch that fails":     {pbx: slow{err: errors.New("unreachable")}, account: "action locks.x: resync: unreachable"},
		"a kernel that fails":     {kernel: slow{err: errors.New("exit status 4")}, address: "action wall.x: resync: exit status 4"},
		"a gap of the account":    {pbx: slow{gaps: []plugin.Gap{{Account: ban.Account("1007", "PBX"), Why: "refused"}}}, account: "refused"},
		"a gap of another":        {pbx: slow{gaps: []plugin.Gap{{Account: ban.Account("1008", "pbx"), Why: "refused"}}}},
		"a gap of the address":    {kernel: slow{gaps: []plugin.Gap{{Network: netip.MustParsePrefix("203.0.113.0/24"), Why: "no jump"}}}, address: "no jump"},
		"a gap of all the kernel": {kernel: slow{gaps: []plugin.Gap{{Network: netip.MustParsePrefix("0.0.0.0/0"), Why: "no jump"}}}, address: "no jump"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := guessing(t)
				cfg.Actions = []config.Action{
					{Ref: "wall.x", Action: &test.kernel, Blocks: true},
					{Ref: "locks.x", Action: &test.pbx, Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}},
				}
				e := runQuietly(t, cfg)
				account := orderOf("203.0.113.7", "api alice", "2h", t)
				account.Target = ban.Account("1007", "pbx")
				for i, order := range []ban.Order{orderOf("203.0.113.7", "api alice", "2h", t), account} {
					began := time.Now()
					out, err := e.Ban(t.Context(), []ban.Order{order})
					why := []string{test.address, test.account}[i]
					if err != nil || out[0].Why != why || out[0].Applied != (why == "") || time.Since(began) > 5*test.took[i] || i == 0 && time.Since(began) < test.took[0] {
						t.Errorf("%s: %+v, %v after %s; want %q", order.Target, out, err, time.Since(began), why)
					}
				}
				both, err := e.Ban(t.Context(), []ban.Order{orderOf("203.0.113.8", "api alice", "2h", t), account})
				if err != nil || both[1].Why != test.account {
					t.Errorf("both: %+v, %v", both, err)
				}
			})
		})
	}
}

// TestLevelsInOneRequest bans addresses and accounts in one request, which ends before a level that hangs
// has answered.
func TestLevelsInOneRequest(t *testing.T) {
	for _, hangs := range []int{0, 1} {
		for range 20 { // in any order
			synctest.Test(t, func(t *testing.T) {
				levels := [2]slow{}
				levels[hangs].takes = time.Minute
				cfg := guessing(t)
				cfg.Actions = []config.Action{
					{Ref: "wall.x", Action: &levels[0], Blocks: true},
					{Ref: "locks.x", Action: &levels[1], Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}},
				}
				e := runQuietly(t, cfg)
				orders := []ban.Order{orderOf("203.0.113.7", "api alice", "2h", t), orderOf("203.0.113.7", "api alice", "2h", t)}
				orders[1].Target = ban.Account("1007", "pbx")
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				out, err := e.Ban(ctx, orders)
				if err != nil || out[hangs].Applied || !out[1-hangs].Applied {
					t.Fatalf("level %d hangs: %+v, %v", hangs, out, err)
				}
			})
		}
	}
}

// TestNoLevelForAccounts bans an account where nothing holds such bans.
func TestNoLevelForAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := guessing(t)
		cfg.Actions = []config.Action{
			{Ref: "wall.x", Action: &wall{}, Blocks: true},
			{Ref: "teller.x", Action: &teller{}, Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}},
		}
		e := runQuietly(t, cfg)
		order := orderOf("203.0.113.7", "api alice", "1h", t)
		order.Target = ban.Account("1007", "pbx")
		out, err := e.Ban(t.Context(), []ban.Order{order})
		if err != nil || out[0].Applied || !strings.HasPrefix(out[0].Why, "no action enforces bans of accounts") {
			t.Errorf("%+v, %v", out, err)
		}
	})
}

// TestReadyBeforeTheSwitch: a switch that hangs delays neither READY nor what the kernel is asked.
func TestReadyBeforeTheSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := guessing(t)
		cfg.Actions = []config.Action{
			{Ref: "locks.x", Action: &slow{takes: time.Hour}, Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount}},
			{Ref: "wall.x", Action: &slow{takes: time.Second}, Blocks: true},
		}
		cfg.Sources = append(cfg.Sources, config.Source{Ref: "log.quiet", Source: &listener{asked: make(chan map[string]bool, 10)}})
		began, ready := time.Now(), make(chan time.Duration, 1)
		e := New(cfg, Options{Ready: func() { ready <- time.Since(began) }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		if took := <-ready; took != time.Second {
			t.Errorf("ready after %s", took)
		}
		views, err := e.Kernel(ctx)
		if err != nil || len(views) != 2 || views[0].Action != "wall.x" || !views[0].Drops() || views[1].Action != "locks.x" || views[1].Drops() {
			t.Errorf("%+v, %v", views, err)
		}
		cancel()
		<-done
	})
}
