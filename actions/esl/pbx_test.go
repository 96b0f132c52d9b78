package esl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/hashicorp/hcl/v2"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the log has texts of callers
	m.Run()
}

// A pbx is a switch with calls and registrations. It treats them like FreeSWITCH.
type pbx struct {
	*esltest.Switch
	mu            sync.Mutex // guards what follows
	channels      []esl.Channel
	registrations []esl.Registration
	hash          []string
	before        func(command string) // called for every command
	override      map[string]string    // answers by the beginning of a command
}

func newPBX(t testing.TB, options esltest.Options) *pbx {
	p := &pbx{override: map[string]string{}}
	options.API = p.api
	p.Switch = esltest.Start(t, options)
	return p
}

func (p *pbx) api(command string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.before != nil {
		p.before(command)
	}
	for start, answer := range p.override {
		if strings.HasPrefix(command, start) {
			return answer
		}
	}
	words := strings.Split(command, " ")
	switch {
	case command == "show channels as json":
		return listing(p.channels)
	case command == "show registrations as json":
		return listing(p.registrations)
	case words[0] == "uuid_kill" && len(words) == 3 && words[2] == "CALL_REJECTED":
		for i := range p.channels {
			if p.channels[i].UUID == words[1] {
				p.channels = slices.Delete(p.channels, i, i+1)
				return "+OK\n"
			}
		}
		return "-ERR No such channel!\n"
	case strings.HasPrefix(command, "sofia profile ") && len(words) >= 4 && words[3] == "flush_inbound_reg":
		if words[2] != "internal" {
			return fmt.Sprintf("Invalid Profile [%s]\n", words[2])
		}
		return p.flush(words[4:])
	case words[0] == "hash" && len(words) == 2:
		p.hash = append(p.hash, words[1])
		return "+OK\n"
	}
	return fmt.Sprintf("-ERR %s Command not found!\n", words[0])
}

// flush does what sofia_reg_expire_call_id does, traps included.
func (p *pbx) flush(args []string) string {
	if len(args) == 0 || args[0] == "reboot" {
		p.registrations = nil
		return "+OK flushing all registrations\n"
	}
	user, host, isAccount := strings.Cut(args[0], "@")
	if !isAccount {
		user, host = "", args[0]
	}
	p.registrations = slices.DeleteFunc(p.registrations, func(r esl.Registration) bool {
		return r.CallID == args[0] || r.Realm == host && (user == "" || r.User == user)
	})
	return "+OK flushing all registrations matching specified call_id\n"
}

func listing[T any](rows []T) string {
	if len(rows) == 0 {
		return `{"row_count":0}`
	}
	text, err := json.Marshal(map[string]any{"row_count": len(rows), "rows": rows})
	if err != nil {
		panic(err) // not with strings alone
	}
	return string(text)
}

// sent returns the api commands, without those that list.
func (p *pbx) sent() []string {
	var sent []string
	for _, command := range p.Commands() {
		if strings.HasPrefix(command, "api ") && !strings.HasPrefix(command, "api show ") {
			sent = append(sent, strings.TrimPrefix(command, "api "))
		}
	}
	return sent
}

func (p *pbx) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := p.sent(); !slices.Equal(got, want) {
		t.Errorf("sent:\n%q\nwant:\n%q", got, want)
	}
}

// uuid returns the nth name of a channel.
func uuid(n int) string { return fmt.Sprintf("0ea680a1-b96e-4bb6-9c1b-%012x", n) }

// A fakeSource is a source on a switch that carries out commands.
type fakeSource struct {
	plugin.Source
	at esl.Switch
}

func (f fakeSource) Switch() esl.Switch { return f.at }

// An otherSource is a source of another kind.
type otherSource struct{}

func (otherSource) Describe() plugin.Description { return plugin.Description{} }

func (otherSource) Follow(context.Context, plugin.Stream) error { return nil }

func (otherSource) Replay(context.Context, plugin.Recording, map[string]bool, func(*event.Event) error) (plugin.Stats, error) {
	return plugin.Stats{}, io.EOF
}

func decodeBlock(t testing.TB, name, body string, at esl.Switch) (plugin.Action, hcl.Diagnostics) {
	t.Helper()
	b, a := readBlock(t, name, body, at)
	if b.Done(); b.Failed() {
		return nil, b.Diagnostics()
	}
	return a, b.Diagnostics()
}

func readBlock(t testing.TB, name, body string, at esl.Switch) (*settings.Block, plugin.Action) {
	t.Helper()
	b := settingstest.Block(t, name, body, nil)
	return b, Kind.New(b, plugin.ActionEnv{Name: "esl.fraud", Sources: map[string]plugin.Source{
		"esl.pbx": fakeSource{at: at}, "log.freeswitch": otherSource{},
	}})
}

// act makes an action on the switch, which reads the lists again at once.
func (p *pbx) act(t testing.TB, body string) *Action {
	t.Helper()
	return at(t, esl.Switch{Address: p.Addr(), Password: "ClueCon"}, body)
}

func at(t testing.TB, s esl.Switch, body string) *Action {
	t.Helper()
	made, diags := decodeBlock(t, "rules.hcl", "source = source.esl.pbx\n"+body, s)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	a := made.(*Action)
	a.relist = time.Millisecond
	return a
}

var start = time.Date(2026, 11, 22, 21, 45, 0, 0, time.UTC)

// used is evidence of an account that was used from an address.
func used(user, domain, ip string) ban.Evidence {
	e := ban.Evidence{Time: start, Event: event.Call, Proven: true, User: user, Domain: domain}
	e.IP, _ = netip.ParseAddr(ip)
	return e
}

// change makes a change of a target, "" for none.
func change(seq uint64, kind ban.Kind, target string, evidence ...ban.Evidence) ban.Change {
	c := ban.Change{Kind: kind, At: start, Seq: seq, Ban: ban.Ban{Rule: "toll fraud", Evidence: evidence}}
	if target != "" {
		c.Ban.Target = ban.Network(netip.MustParsePrefix(target))
	}
	return c
}

func batch(changes ...ban.Change) ban.Batch { return ban.Batch{Now: start, Changes: changes} }

func apply(t *testing.T, a *Action, changes ...ban.Change) {
	t.Helper()
	if err := a.Apply(t.Context(), batch(changes...)); err != nil {
		t.Error(err)
	}
}
