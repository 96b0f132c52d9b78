package esl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"

	"github.com/google/go-cmp/cmp"
)

const registrationsAnswer = `{"row_count":4,"rows":[` +
	`{"reg_user":"1000","realm":"pbx","token":"call-1","url":"sofia/internal/sip:1000@192.0.2.44:38643","expires":"1795348860","network_ip":"192.0.2.44","network_port":"38643","network_proto":"udp","hostname":"pbx1","metadata":""},` +
	`{"reg_user":"1001","realm":"pbx","token":"call-2","url":"error/user_not_registered","expires":"1795348801","network_ip":"2001:db8::5","network_port":"5060","network_proto":"tls","hostname":"pbx1","metadata":""},` +
	`{"reg_user":"1002","realm":"pbx","token":"over","url":"","expires":"1795348800","network_ip":"192.0.2.45","network_port":"1","network_proto":"udp","hostname":"pbx1","metadata":""},` +
	`{"reg_user":"1003","realm":"pbx","token":"broken","url":"","expires":"soon","network_ip":"192.0.2.46","network_port":"1","network_proto":"udp","hostname":"pbx1","metadata":""}]}`

// A fixed console has one answer.
type fixed string

func (f fixed) API(context.Context, string, ...string) (string, error) { return string(f), nil }

// listedRegistrations are the events of a list.
func listedRegistrations(answer string) (events []*event.Event, err error) {
	found, err := esl.Registrations(context.Background(), fixed(answer))
	for i := range found {
		if e := registered(&found[i], "esl.test", noon); e != nil {
			events = append(events, e)
		}
	}
	return events, err
}

// list updates gateways from an answer of the switch.
func (g *gateways) list(ctx context.Context, answer string) ([]*event.Event, error) {
	listed, err := esl.Gateways(ctx, fixed(answer))
	if err != nil {
		return nil, err
	}
	return g.update(ctx, listed)
}

func TestRegistrations(t *testing.T) {
	events, err := listedRegistrations(registrationsAnswer)
	if err != nil {
		t.Fatal(err)
	}
	want := `0001-01-01T00:00:00.000000 registered ip="192.0.2.44" port="38643" user="1000" domain="pbx" profile="internal" call_id="call-1" transport="udp" [expires]="60" repeat fields=2
	"show registrations user=1000@pbx from 192.0.2.44:38643 profile=internal call-id=call-1"
0001-01-01T00:00:00.000000 registered ip="2001:db8::5" port="5060" user="1001" domain="pbx" call_id="call-2" transport="tls" [expires]="1" repeat fields=2
	"show registrations user=1001@pbx from [2001:db8::5]:5060 call-id=call-2"
`
	if diff := cmp.Diff(want, describeAll(events)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if events, err := listedRegistrations("{\"row_count\": 0}\n"); err != nil || len(events) != 0 {
		t.Errorf("%v, %v", events, err)
	}
	for _, bad := range []string{"", "0 total.", `{"rows":[{"expires":5}]}`, `{"rows":3}`} {
		if _, err := listedRegistrations(bad); err == nil || !strings.HasPrefix(err.Error(), "list registrations: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzRegistrations(f *testing.F) {
	f.Add(registrationsAnswer)
	f.Fuzz(func(t *testing.T, answer string) {
		events, _ := listedRegistrations(answer)
		for _, e := range events {
			checkBounds(t, e)
		}
	})
}

// gatewayAnswer is an answer to `sofia xmlstatus gateway`, shortened.
func gatewayAnswer(entries ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n")
	for _, entry := range entries {
		parts := strings.Split(entry, " ") // name, proxy, realm
		fmt.Fprintf(&b, `  <gateway>
    <name>%s</name>
    <profile>external</profile>
    <scheme>Digest</scheme>
    <realm>%s</realm>
    <username>us & them</username>
    <password>yes</password>
    <from>&lt;sip:us@%[2]s&gt;</from>
    <contact>&lt;sip:gw+x@10.77.0.10:5080;transport=udp;gw=x&gt;</contact>
    <to>sip:us@%[3]s</to>
    <proxy>sip:%[3]s</proxy>
    <state>REGED</state>
    <status>UP</status>
  </gateway>
`, parts[0], parts[2], parts[1])
	}
	return b.String() + "</gateways>\n"
}

// names is a DNS.
type names struct {
	hosts map[string][]string // addresses
	srv   map[string][]string // targets, by "_sip._udp.name"
	asked int
}

func (n *names) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n.asked++
	var found []netip.Addr
	for _, text := range n.hosts[strings.TrimSuffix(host, ".")] {
		found = append(found, netip.MustParseAddr(text))
	}
	if found == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, ctx.Err()
}

func (n *names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	var found []*net.SRV
	for _, target := range n.srv["_"+service+"._"+proto+"."+name] {
		found = append(found, &net.SRV{Target: target + "."})
	}
	return "", found, nil
}

func newGateways(dns *names) *gateways {
	return &gateways{source: "esl.test", resolver: dns, known: map[string]addresses{}}
}

// changes lists events of gateways: "+name address" or "-name address".
func changes(events []*event.Event) string {
	var all []string
	for _, e := range events {
		sign := "+"
		if e.Name == event.GatewayRemoved {
			sign = "-"
		}
		if e.IP.IsValid() {
			all = append(all, sign+e.Fields["gateway"]+" "+e.IP.String())
		} else {
			all = append(all, sign+e.Fields["gateway"])
		}
	}
	return strings.Join(all, ", ")
}

func TestGateways(t *testing.T) {
	dns := &names{
		hosts: map[string][]string{
			"sbc.example": {"192.0.2.20", "2001:db8::20", "::ffff:192.0.2.21"}, "realm.example": {"192.0.2.22"},
			"a.srv.example": {"192.0.2.30"}, "b.srv.example": {"192.0.2.31"}, "blocked.example": {"0.0.0.0", "::"},
			"sbc": {"192.0.2.40"},
		},
		srv: map[string][]string{"_sip._udp.srv.example": {"a.srv.example"}, "_sips._tcp.srv.example": {"b.srv.example", "nowhere.example"}},
	}
	for entry, want := range map[string]string{
		"gw 192.0.2.10 x":                          "+gw 192.0.2.10",
		"gw 192.0.2.10:5060;transport=tcp x":       "+gw 192.0.2.10",
		"gw [2001:db8::1]:5060 192.0.2.9":          "+gw 192.0.2.9, +gw 2001:db8::1",
		"gw us@sbc.example:5060 sbc.example":       "+gw 192.0.2.20, +gw 192.0.2.21, +gw 2001:db8::20",
		"gw 192.0.2.10 realm.example":              "+gw 192.0.2.10, +gw 192.0.2.22",
		"gw 192.0.2.10 sbc":                        "+gw 192.0.2.10", // a realm that is no name in the DNS
		"gw sbc sbc":                               "+gw 192.0.2.40",
		"gw 192.0.2.10 invented.realm":             "+gw 192.0.2.10",
		"gw srv.example srv.example":               "+gw 192.0.2.30, +gw 192.0.2.31",
		"gw srv.example:5060 x":                    "error", // with a port, SRV is not looked up
		"gw nowhere.example realm.example":         "error+gw 192.0.2.22",
		"gw blocked.example x":                     "",
		"<i>gw</i> 192.0.2.10 x":                   "+ 192.0.2.10",
		strings.Repeat("g", 300) + " 192.0.2.10 x": "+" + strings.Repeat("g", 256) + " 192.0.2.10",
		"a&b 192.0.2.10 x":                         "+a&b 192.0.2.10",
		"\xff 192.0.2.10 x":                        "+\ufffd 192.0.2.10",
	} {
		events, err := newGateways(dns).list(t.Context(), gatewayAnswer(entry))
		got := changes(events)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "look up gateway \"gw\": ") {
				t.Errorf("%q: %v", entry, err)
			}
			got = "error" + got
		}
		if got != want {
			t.Errorf("%q:\n %s\nwant %s", entry, got, want)
		}
	}
	for _, bad := range []string{"", "Invalid Gateway!\n", "<gateway><name>x</name></gateway>", "<gateways><gateway></gateways>"} {
		g := newGateways(dns)
		g.known["gw"] = addresses{netip.MustParseAddr("192.0.2.1"): noon}
		if events, err := g.list(t.Context(), bad); err == nil && len(events) == 0 || len(g.known) == 0 && err != nil {
			t.Errorf("%q: %v, %v", bad, events, err)
		}
	}
}

func TestGatewaysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &names{hosts: map[string][]string{"a.example": {"192.0.2.1", "192.0.2.2"}}}
		g := newGateways(dns)
		list := func(entries ...string) string {
			time.Sleep(relistAfter)
			events, err := g.list(t.Context(), gatewayAnswer(entries...))
			if err != nil {
				return "error, " + changes(events)
			}
			return changes(events)
		}
		check := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		check(list("a a.example x", "b 192.0.2.9 x"), "+a 192.0.2.1, +a 192.0.2.2, +b 192.0.2.9")
		dns.hosts["a.example"] = []string{"192.0.2.3"} // the DNS returns them in turn, or has changed
		check(list("a a.example x"), "+a 192.0.2.1, +a 192.0.2.2, +a 192.0.2.3, -b")
		dns.hosts["a.example"] = nil
		time.Sleep(2 * forgetAfter)
		check(list("a a.example x"), "error, +a 192.0.2.1, +a 192.0.2.2, +a 192.0.2.3") // a DNS that fails removes nothing
		dns.hosts["a.example"] = []string{"192.0.2.3"}
		check(list("a a.example x"), "+a 192.0.2.1, +a 192.0.2.2, +a 192.0.2.3")
		time.Sleep(forgetAfter)
		check(list("a a.example x"), "-a 192.0.2.1, -a 192.0.2.2, +a 192.0.2.3")
		check(list(), "-a")
		check(list(), "")
	})
}

func TestHostOf(t *testing.T) {
	for uri, want := range map[string]string{
		"": "", "sbc.example": "sbc.example", "sip:sbc.example": "sbc.example", "SIPS:sbc.example:5061": "sbc.example port",
		"<sip:user@sbc.example:5060;transport=tls>": "sbc.example port", "sip:a@b@c.example?x=y": "c.example", "[2001:db8::1]": "2001:db8::1",
		"[2001:db8::1]:5060": "2001:db8::1 port", "192.0.2.1:5060": "192.0.2.1 port", " 192.0.2.1 ": "192.0.2.1",
	} {
		host, hasPort := hostOf(uri)
		if hasPort {
			host += " port"
		}
		if host != want {
			t.Errorf("%q: %q, want %q", uri, host, want)
		}
	}
}

func FuzzGateways(f *testing.F) {
	f.Add(gatewayAnswer("a sip.example x", "b 192.0.2.1 y"))
	f.Fuzz(func(t *testing.T, answer string) {
		events, _ := newGateways(&names{}).list(context.Background(), answer)
		for _, e := range events {
			checkBounds(t, e)
		}
	})
}

// An answering console has an answer for each command.
type answering struct {
	mu      sync.Mutex // guards both
	answers map[string]string
	asked   []string
}

func (a *answering) API(_ context.Context, command string, args ...string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := strings.Join(append([]string{command}, args...), " ")
	a.asked = append(a.asked, line)
	answer, ok := a.answers[line]
	if !ok {
		return "", errors.New("the switch says no")
	}
	return answer, nil
}

func (a *answering) Close() error { return nil }

func (a *answering) answer(line, answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[line] = answer
}

// since returns the commands since its last call.
func (a *answering) since() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

// hears has the follower listen to a channel, where nil is the end of a connection.
func (f *follower) hears() chan<- *esl.Message {
	messages := make(chan *esl.Message)
	f.listen = func(ctx context.Context, _ esl.Subscription, up func(), take func(esl.Message)) error {
		up()
		for {
			select {
			case m := <-messages:
				if m == nil {
					return esl.ErrClosed
				}
				take(*m)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return messages
}

// TestListing follows a switch through two connections, and checks the commands and
// their times.
func TestListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const now, show, gateway = "strepoch", "show registrations as json", "sofia xmlstatus gateway"
		s, taken := testSource(), newSink()
		f := s.follower(map[string]bool{event.Registered: true, event.Gateway: true, event.GatewayRemoved: true}, taken)
		answers := &answering{answers: map[string]string{show: `{"row_count":0}`}}
		f.lister.dial = func(context.Context) (console, error) { return answers, nil }
		f.lister.gateways.resolver = &names{}
		take := f.hears()
		end := start(t, f)
		expect := func(after time.Duration, commands ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if diff := cmp.Diff(commands, answers.since()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		expect(0, locateSofia, now, show, gateway)
		if p := f.progress.Status(); p.Fault != "" || !slices.Equal(status.Texts(p.Problems, status.Warning), []string{"list gateways: the switch says no"}) {
			t.Errorf("%+v", p)
		}
		answers.answer(gateway, gatewayAnswer("gw no.example x"))
		expect(listPause+retryAfter, locateSofia, gateway) // what failed, again
		if p := f.progress.Status().Problems; len(p) != 1 || p[0].Severity != status.Info || !strings.HasPrefix(p[0].Text, `look up gateway "gw": no such host; `) {
			t.Errorf("the DNS does not know a gateway: %+v", p)
		}
		answers.answer(gateway, gatewayAnswer("gw 192.0.2.20 x"))
		expect(listPause+retryAfter, locateSofia, gateway)
		if p := f.progress.Status(); p.Problems != nil || p.Events != 1 {
			t.Errorf("%+v", p)
		}
		expect(relistAfter+listPause, locateSofia, gateway)
		expect(listPause)
		take <- message("sofia::gateway_add", noon, "Gateway", "new")
		expect(0, gateway)
		for range 3 {
			take <- message("sofia::gateway_state", noon, "Gateway", "new", "State", "TRYING", "Ping-Status", "DOWN")
			take <- message("sofia::gateway_state", noon, "Gateway", "new", "State", "REGED", "Ping-Status", "UP")
		}
		expect(0)
		expect(listPause, gateway) // once for all
		answers.answer(show, "no list")
		take <- nil
		expect(2*minPause+listPause, locateSofia, now, show, gateway)
		if p := f.progress.Status(); p.Fault != "" || len(p.Problems) != 1 || !strings.HasPrefix(p.Problems[0].Text, "list registrations: ") || p.Events != 5 {
			t.Errorf("the gateways are not listed despite registrations that cannot be read: %+v", p)
		}
		answers.answer(show, `{"row_count":0}`)
		expect(listPause+retryAfter, locateSofia, now, show, gateway)
		end()
	})
}

func TestUnwantedListsAreNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testSource().follower(map[string]bool{event.AuthFailure: true}, newSink())
		f.lister.dial = func(context.Context) (console, error) {
			t.Error("the switch got a command")
			return nil, errors.New("no")
		}
		f.hears()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		f.run(ctx)
	})
}

// TestSeveralPhones has a profile that keeps several registrations of an account, as the switch says
// at the connect; a user that it does not apply to; and a caller who claims it.
func TestSeveralPhones(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{API: func(command string) string {
		switch command {
		case locateSofia:
			return `<configuration name="sofia.conf"><profiles><profile name="internal"><settings><param name="multiple-registrations" value="contact"/></settings></profile>` +
				`<profile name="wss"><settings><param name="multiple-registrations" value="false"/></settings></profile></profiles></configuration>`
		case "show registrations as json":
			return strings.ReplaceAll(registrationsAnswer, "17953", "953") // in another century
		case "strepoch":
			return "95348800"
		}
		return "-ERR no such command\n"
	}})
	f := follow(t, switchAt(fake), map[string]bool{event.Registered: true, event.Unregistered: true})
	f.await(t, f.ctx, 2)
	for _, headers := range []map[string]string{
		{"profile-name": "internal"},
		{"profile-name": "wss", "multiple_registrations": "true"},
		{"profile-name": "internal", "sip-allow-multiple-registrations": "False"},
	} {
		headers["from-user"], headers["network-ip"] = "1000", "192.0.2.44"
		fake.Event("sofia::register", headers, "")
	}
	var several []string
	for _, e := range f.await(t, f.ctx, 5) {
		several = append(several, e.Profile+":"+e.Fields["multiple_registrations"])
	}
	if got := strings.Join(several, " "); got != "internal:true : internal:true wss: internal:" {
		t.Error(got)
	}
}

// TestListsOverTheSocket reads the lists of the fake switch.
func TestListsOverTheSocket(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{API: func(command string) string {
		switch command {
		case "show registrations as json":
			return strings.ReplaceAll(registrationsAnswer, "17953", "953") // in another century
		case "strepoch":
			return "95348800"
		case "sofia xmlstatus gateway":
			return gatewayAnswer("gw 192.0.2.20:5060 192.0.2.21")
		}
		return "-ERR no such command\n"
	}})
	f := follow(t, switchAt(fake), map[string]bool{event.Registered: true, event.Unregistered: true, event.Gateway: true})
	got := f.await(t, f.ctx, 4)
	if changes(got[2:]) != "+gw 192.0.2.20, +gw 192.0.2.21" || got[0].User != "1000" || !got[0].Repeat {
		t.Errorf("%s", describeAll(got))
	}
	fake.Event("sofia::unregister", map[string]string{"from-user": "1000", "from-host": "pbx", "call-id": "call-1"}, "")
	if last := f.await(t, f.ctx, 5)[4]; last.Name != event.Unregistered || last.CallID != "call-1" {
		t.Errorf("%s", describe(last))
	}
}
