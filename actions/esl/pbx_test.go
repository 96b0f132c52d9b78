package esl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
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
	flushed       []esl.Registration
	unlisted      map[string]bool // calls that are not listed yet
	hash          []string
	before        func(command string) // called for every command
	override      map[string]string    // answers by the beginning of a command
	data          map[string]map[string]string
	began, ended  map[string]time.Time // calls, by UUID
}

func newPBX(t testing.TB, options esltest.Options) *pbx {
	p := &pbx{override: map[string]string{}, data: map[string]map[string]string{}, began: map[string]time.Time{}, ended: map[string]time.Time{}}
	options.API = p.api
	p.Switch = esltest.Start(t, options)
	return p
}

// restart drops all connections, calls and registrations, and listens again on the same address after
// what happens meanwhile.
func (p *pbx) restart(t testing.TB, meanwhile func()) {
	t.Helper()
	address := p.Addr()
	p.Close()
	meanwhile()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p.Switch = esltest.StartOn(t, listener, esltest.Options{API: p.api})
}

// A caller is one that makes calls, with all that it may write.
type caller struct {
	account, realm, domain string // of the digest, and in the directory; "": no digest
	from, presence, code   string
	dials                  string
	more                   map[string]string // headers
}

// digest returns a caller that has proven an account.
func digest(account, domain string) caller {
	return caller{account: account, realm: domain, domain: domain, from: account + "@" + domain, presence: account + "@" + domain, dials: "0900123456"}
}

// dial begins a call as FreeSWITCH does: it lists it and reports it.
func (p *pbx) dial(uuid string, c caller) {
	row := esl.Channel{UUID: uuid, CallUUID: uuid, Direction: "inbound", IP: "203.0.113.7", PresenceID: c.presence, AccountCode: c.code, Dest: c.dials, InitialDest: c.dials}
	user, host, _ := strings.Cut(c.from, "@")
	h := map[string]string{
		"Unique-ID": uuid, "Call-Direction": row.Direction, "Channel-Name": "sofia/internal/" + c.from, "Channel-Presence-ID": c.presence,
		"Caller-Source": "mod_sofia", "Caller-Username": user, "Caller-Destination-Number": c.dials, "Caller-Network-Addr": row.IP,
		"variable_sip_from_user": user, "variable_sip_from_host": host, "variable_accountcode": c.code,
	}
	if c.account != "" {
		maps.Copy(h, map[string]string{
			"variable_sip_authorized": "true", "variable_sip_auth_username": c.account, "variable_sip_auth_realm": c.realm,
			"variable_requested_user_name": c.account, "variable_requested_domain_name": c.domain,
			"variable_user_name": c.account, "variable_domain_name": c.domain,
		})
	}
	maps.Copy(h, c.more)
	row.Direction = h["Call-Direction"]
	p.mu.Lock()
	p.channels = append(p.channels, row)
	p.data[uuid], p.began[uuid] = h, time.Now()
	p.mu.Unlock()
	p.Event("CHANNEL_CREATE", h, "")
}

// register registers a phone with a digest, under any name.
func (p *pbx) register(r esl.Registration, account, realm string) {
	p.mu.Lock()
	p.registrations = append(p.registrations, r)
	p.mu.Unlock()
	p.Event("sofia::register", map[string]string{
		"profile-name": r.Profile(), "from-user": r.User, "from-host": r.Realm, "call-id": r.CallID, "network-ip": r.IP,
		"username": account, "realm": realm, "sip_auth_username": account, "sip_auth_realm": realm, "user_name": account, "domain_name": realm,
	}, "")
}

// calls returns the calls that are up.
func (p *pbx) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	up := []string{}
	for _, c := range p.channels {
		up = append(up, c.UUID)
	}
	return up
}

// registered returns the registrations that are up, by user, realm and Call-ID.
func (p *pbx) registered() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	up := []string{}
	for _, r := range p.registrations {
		up = append(up, r.User+"@"+r.Realm+" "+r.CallID)
	}
	return up
}

// lasted returns how long a call was up.
func (p *pbx) lasted(uuid string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended[uuid].Sub(p.began[uuid])
}

// word reads the first word of arguments with quotes and backslashes, as most commands do.
func word(args string) (first, rest string) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(args); i++ {
		switch c := args[i]; {
		case c == '\\' && i+1 < len(args):
			i++
			b.WriteByte(cmp.Or(map[byte]byte{'s': ' ', 'n': '\n', 'r': '\r', 't': '\t'}[args[i]], args[i]))
		case c == '\'':
			quoted = !quoted
		case c == ' ' && !quoted:
			return b.String(), args[i+1:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// hangup ends a call.
func (p *pbx) hangup(uuid string) string {
	i := slices.IndexFunc(p.channels, func(c esl.Channel) bool { return c.UUID == uuid })
	if i < 0 {
		return "-ERR No such channel!\n"
	}
	p.channels = slices.Delete(p.channels, i, i+1)
	p.ended[uuid] = time.Now()
	delete(p.data, uuid)
	return "+OK\n"
}

// dump does what uuid_dump does.
func (p *pbx) dump(args string) string {
	uuid, _ := word(args)
	h, ok := p.data[uuid]
	if !ok {
		return "-ERR No such channel!\n"
	}
	text, err := json.Marshal(h)
	if err != nil {
		panic(err) // not with strings alone
	}
	return string(text)
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
		return listing(slices.DeleteFunc(slices.Clone(p.channels), func(c esl.Channel) bool { return p.unlisted[c.UUID] }))
	case command == "show registrations as json":
		return listing(slices.Concat(p.registrations, p.flushed)) // until they expire
	case words[0] == "uuid_dump" && strings.HasSuffix(command, " json"):
		return p.dump(strings.TrimPrefix(command, "uuid_dump "))
	case words[0] == "uuid_kill" && len(words) == 3 && words[2] == "CALL_REJECTED":
		return p.hangup(words[1])
	case strings.HasPrefix(command, "sched_hangup +0 ") && strings.HasSuffix(command, " CALL_REJECTED"):
		uuid, _ := word(strings.TrimPrefix(command, "sched_hangup +0 "))
		return p.hangup(uuid)
	case words[0] == "sofia_contact" && len(words) == 2:
		for _, r := range p.registrations {
			if words[1] == r.Profile()+"/"+r.User+"@"+r.Realm {
				return r.URL
			}
		}
		return "error/user_not_registered"
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
		flushed := r.CallID == args[0] || r.Realm == host && (user == "" || r.User == user)
		if flushed && !slices.Contains(p.flushed, r) {
			p.flushed = append(p.flushed, r)
		}
		return flushed
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
	return strings.ReplaceAll(string(text), `\ufffd`, "\xc3") // FreeSWITCH writes the bytes
}

// sent returns the api commands, without those that list.
func (p *pbx) sent() []string {
	var sent []string
	for _, command := range p.Commands() {
		if strings.HasPrefix(command, "api ") && !strings.HasPrefix(command, "api show ") && !strings.HasPrefix(command, "api uuid_dump ") && !strings.HasPrefix(command, "api sofia_contact ") {
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

func batch(changes ...ban.Change) ban.Batch { return ban.BatchOf(start, changes...) }

func apply(t *testing.T, a *Action, changes ...ban.Change) {
	t.Helper()
	if err := a.Apply(t.Context(), batch(changes...)); err != nil {
		t.Error(err)
	}
}
