package admin

import (
	"bufio"
	"context"
	"errors"
	"iter"
	"net/netip"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

func prefix(s string) netip.Prefix {
	p, err := ban.ParseTarget(s)
	if err != nil {
		panic(err)
	}
	return p.Prefix()
}

// carriers is what the rule files of a lab trust.
var carriers = []ban.Trusted{
	{Target: ban.Network(prefix("198.51.100.0/24")), Name: "carriers", Comment: "SIP trunks", Where: "rules.d/00-site.hcl:4"},
	{Target: ban.Network(prefix("10.0.0.0/8")), Name: "security.trusted_networks", Where: "rules.d/00-site.hcl:9"},
}

// configuration is that of a lab: a source, a rule, an action that blocks and one that sends.
func (l *lab) configuration() *config.Config {
	match, problems := rule.Compile("event == 'auth_failure'", rule.Vocabulary{Events: event.Names})
	key, err := rule.ParseKey([]string{"ip"})
	if len(problems) > 0 || err != nil {
		l.t.Fatal(problems, err)
	}
	return &config.Config{
		Security: config.Security{AutoBlock: true, BlockDuration: ban.Term(time.Hour)},
		Trusted:  carriers,
		Sources:  []config.Source{{Ref: "log.freeswitch", Source: l.source, Description: l.source.Describe()}},
		Actions:  []config.Action{{Ref: "iptables.drop", Action: l.wall, Blocks: true}, {Ref: "webhook.noc", Action: l.courier}},
		Rules: []*rule.Spec{{
			Name: "password guessing", Where: "rules.d/20-registration.hcl:3", On: []string{"log.freeswitch"}, Match: match,
			Threshold: &rule.Threshold{Count: 5, Within: 10 * time.Minute, Per: key},
			Ban:       &rule.Ban{Terms: []ban.Term{ban.Term(time.Hour)}, Network: rule.Host},
		}},
	}
}

// A scribe is a source that reads lines with "SIP auth failure", and emits what a test gives it.
type scribe struct {
	events   chan *event.Event
	progress *plugin.Progress // once it is followed
}

func (*scribe) Describe() plugin.Description {
	return plugin.Description{Explain: func(string) string { return "No event." }}
}

func (*scribe) Replay(_ context.Context, rec plugin.Recording, _ map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	lines := bufio.NewScanner(rec.R)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "SIP auth failure") {
			continue
		}
		if err := emit(&event.Event{Name: "auth_failure"}); err != nil {
			return plugin.Stats{}, err
		}
	}
	return plugin.Stats{}, nil
}

func (s *scribe) Follow(ctx context.Context, stream plugin.Stream) error {
	s.progress = stream.Progress
	s.progress.Update(func(p *status.Source) {
		p.Connects, p.Restarts, p.Lines, p.Bytes, p.Doubted, p.Behind = 2, 1, 1000, 100_000, 1, 10
	})
	stream.Ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-s.events:
			s.progress.Emitted(e)
			stream.Emit(e)
		}
	}
}

// A wall is an action that holds entries as the firewall does, and can be broken.
type wall struct {
	mu      sync.Mutex // guards what follows
	entries map[ban.Target]status.Entry
	stuck   error         // why it applies nothing; nil: it does
	slow    time.Duration // how long it takes to apply a batch
	unread  error         // why part of it cannot be read; nil: all of it can
	looks   int           // calls of Inspect
}

func (w *wall) set(change func(*wall)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *wall) Apply(ctx context.Context, b ban.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slow > 0 {
		select {
		case <-time.After(w.slow):
		case <-ctx.Done():
		}
	}
	if w.stuck != nil {
		return w.stuck
	}
	for _, c := range b.Changes {
		if c.InForce() {
			w.entries[c.Target] = status.Entry{Target: c.Target, Packets: 3, Bytes: 180, Remaining: 3600}
		} else {
			delete(w.entries, c.Target)
		}
	}
	return nil
}

func (w *wall) Resync(context.Context, iter.Seq[ban.Ban]) (plugin.Drift, error) {
	return plugin.Drift{}, nil
}

func (*wall) Repair(context.Context) (plugin.Drift, error) { return plugin.Drift{}, nil }

func (*wall) Withdraw(context.Context) error { return nil }

func (w *wall) Inspect(context.Context) (status.Kernel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	k := status.Kernel{
		Chain: "FREESWITCH", Backend: "rules", Versions: []string{"iptables v1.8.9 (nf_tables)"},
		Jumps: []status.Jump{{Family: "IPv4", Hook: "INPUT", Position: 1}},
	}
	for _, e := range w.entries {
		k.Entries = append(k.Entries, e)
	}
	return k, w.unread
}

// A courier is an action that sends notifications. Each status of the engine asks it once.
type courier struct {
	mu      sync.Mutex // guards what follows
	failed  string     // error of the latest attempt
	reports int        // calls of Report
}

func (*courier) Apply(context.Context, ban.Batch) error { return nil }

func (c *courier) Report(context.Context) status.Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports++
	r := status.Report{Delivery: &status.Delivery{Delivered: 12, Dropped: 1, Failed: 4, Waiting: 3, Error: c.failed}}
	if c.failed != "" {
		r.Add(status.Warning, "notification not delivered: %s", c.failed)
	}
	return r
}

// A disk keeps nothing, and can be full.
type disk struct {
	mu   sync.Mutex
	full bool // guarded by mu
}

func (d *disk) Save([]ban.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errors.New("no space left on device")
	}
	return nil
}

func (*disk) Load(func(ban.Record)) error               { return nil }
func (*disk) Evidence(*ban.Ban) []ban.Evidence          { return nil }
func (*disk) LoadPositions() (map[string][]byte, error) { return nil, nil }
func (*disk) SavePositions(map[string][]byte) error     { return nil }

// attack has addresses fail to register: 203.0.113.1 and .2 until they are banned, .9 four times
// and .8 twice.
func (l *lab) attack() {
	l.t.Helper()
	events := uint64(0)
	for address, n := range map[string]int{"203.0.113.1": 5, "203.0.113.2": 5, "203.0.113.9": 4, "203.0.113.8": 2} {
		for range n {
			l.source.events <- &event.Event{Name: "auth_failure", Source: "log.freeswitch", Time: time.Now(), IP: netip.MustParseAddr(address)}
			events++
		}
	}
	for {
		s, err := l.engine.Status(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		if s.Stats.Events == events {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// covering is the ban that covers a target.
func (l *lab) covering(target string) (ban.Ban, bool) {
	return l.engine.Ledger().Covering(ban.Network(prefix(target)))
}
