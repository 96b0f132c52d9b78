package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// TestGuide makes the calls of the integration guide, word for word.
func TestGuide(t *testing.T) {
	l := newLab(t, nil)
	l.want(200, `"applied":true`, "POST", "/security/blacklist", `{
    "ip": "192.0.2.100",
    "reason": "Testing IPTables integration",
    "permanent": false
  }`)
	l.want(200, `"target":"192.0.2.100"`, "GET", "/security/iptables", "")
	l.want(200, `"status":"success"`, "DELETE", "/security/blacklist/192.0.2.100", "")
	if text := l.want(200, "", "GET", "/security/iptables", ""); strings.Contains(text, "192.0.2.100") {
		t.Errorf("still in the kernel: %s", text)
	}
	text := l.want(200, "", "POST", "/security/blacklist/batch", `[
    {"ip": "192.0.2.10", "reason": "Batch test 1"},
    {"ip": "192.0.2.11", "reason": "Batch test 2"},
    {"ip": "192.0.2.12", "reason": "Batch test 3"}
  ]`)
	results := parse[struct{ Results []status.Result }](t, text).Results
	for i, ip := range []string{"192.0.2.10", "192.0.2.11", "192.0.2.12"} {
		if got := results[i]; got.Target != ip || got.Status != success || !got.Applied || got.Until.IsZero() || got.Unbanned != nil {
			t.Errorf("result %d: %+v", i, got)
		}
	}
}

func TestBanLife(t *testing.T) {
	l := newLab(t, nil)
	l.want(404, "203.0.113.7 is not banned", "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, "203.0.113.7 banned until", "POST", "/security/blacklist", `{"ip":"203.0.113.7","reason":"scanner","ttl":"10m"}`)
	text := l.want(200, "", "GET", "/security/blacklist/203.0.113.7", "")
	b := parse[map[string]any](t, text)
	for key, want := range map[string]any{
		"target": "203.0.113.7", "reason": "scanner", "author": "api 127.0.0.1", "permanent": false,
		"packets": 3.0, "bytes": 180.0, "applied": true, "offence": 1.0,
	} {
		if b[key] != want {
			t.Errorf("%s: %v, want %v", key, b[key], want)
		}
	}
	l.want(200, "is already banned until", "POST", "/security/blacklist", `{"ip":"203.0.113.7","ttl":60}`)
	l.want(200, "stays banned, now permanently", "POST", "/security/blacklist", `{"ip":"203.0.113.7","permanent":true}`)
	l.want(200, `"permanent":true`, "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, "203.0.113.7 unbanned; rules do not ban 203.0.113.7 until 20", "DELETE", "/security/blacklist/203.0.113.7?grace=10m&reason=wrong+man", "")
	l.want(404, "203.0.113.7 is not banned; rules do not ban it until 20", "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, "was not banned", "DELETE", "/security/blacklist/203.0.113.7", "")
	// The grace is one from rules: who bans by hand takes it back.
	l.want(200, "banned until", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, "203.0.113.7 unbanned", "DELETE", "/security/blacklist/203.0.113.7", "")
	l.want(409, "trusted: carriers", "POST", "/security/blacklist", `{"ip":"198.51.100.1"}`)
	l.want(400, "neither an address nor a network", "DELETE", "/security/blacklist/203.0.113", "")
	l.want(400, "grace", "DELETE", "/security/blacklist/203.0.113.7?grace=permanent", "")
	l.want(400, "here: write true or false", "DELETE", "/security/blacklist/203.0.113.7?here=1", "")
	l.want(200, "banned until", "POST", "/security/blacklist", `{"ip":"203.0.113.7","ttl":600,"here":true}`)
	l.want(200, `"author":"api 127.0.0.1 (only here)"`, "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, "stays banned", "POST", "/security/blacklist", `{"ip":"203.0.113.7","ttl":60}`) // everywhere
	l.want(200, `"author":"api 127.0.0.1"`, "GET", "/security/blacklist/203.0.113.7", "")
}

// TestNetworks: a network raw or escaped, and an address that a network covers.
func TestNetworks(t *testing.T) {
	l := newLab(t, nil)
	for _, network := range []string{"203.0.113.0/24", "2001:db8:1::/48"} {
		l.want(200, `"target":"`+network+`"`, "POST", "/security/blacklist", `{"ip":"`+network+`","reason":"all of it"}`)
		l.want(200, `"target":"`+network+`"`, "GET", "/security/blacklist/"+network, "")
		l.want(200, `"target":"`+network+`"`, "GET", "/security/blacklist/"+escaped(network), "")
	}
	l.want(200, `"target":"203.0.113.0/24"`, "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, `"target":"203.0.113.0/24"`, "GET", "/security/blacklist/::ffff:203.0.113.7", "")
	l.want(200, `"target":"2001:db8:1::/48"`, "GET", "/security/blacklist/2001:db8:1::7", "")
	l.want(200, `already`, "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, `"applied":true`, "GET", "/security/blacklist/203.0.113.9", "")
	l.want(200, `"unbanned":["2001:db8:1::/48"]`, "DELETE", "/security/blacklist/2001:db8:1::7", "")
	l.want(404, "", "GET", "/security/blacklist/2001:db8:1::/48", "")

	// Both bans that cover an address are ended.
	l.want(200, "banned until", "POST", "/security/blacklist", `{"ip":"203.0.113.7","ttl":"2h"}`)
	l.want(200, `"unbanned":["203.0.113.7","203.0.113.0/24"]`, "DELETE", "/security/blacklist/203.0.113.7", "")
}

func TestTTL(t *testing.T) {
	l := newLab(t, nil)
	for i, c := range []struct {
		ttl  string
		want time.Duration // 0: refused
	}{
		{`600`, 10 * time.Minute}, {`"600"`, 10 * time.Minute}, {`"10m"`, 10 * time.Minute}, {`1.5`, 1500 * time.Millisecond},
		{`"2w"`, 14 * 24 * time.Hour}, {`null`, time.Hour}, {`"permanent"`, -1},
		{`0`, 0}, {`-1`, 0}, {`"0"`, 0}, {`""`, 0}, {`"5"x`, 0}, {`"-5m"`, 0}, {`"1ms"`, 0}, {`1e300`, 0}, {`"99999w"`, 0},
		{`true`, 0}, {`{}`, 0}, {`[1]`, 0}, {`1e999`, 0}, {`"18446744073709551615"`, 0},
	} {
		ip := fmt.Sprintf("203.0.113.%d", i)
		body := fmt.Sprintf(`{"ip":%q,"ttl":%s}`, ip, c.ttl)
		if c.want == 0 {
			l.want(400, `"error"`, "POST", "/security/blacklist", body)
			continue
		}
		l.want(200, "", "POST", "/security/blacklist", body)
		b, _ := l.covering(ip)
		if got := time.Duration(b.Term); got != c.want && (c.want > 0 || b.Term != ban.Permanent) {
			t.Errorf("ttl %s: %s, want %s", c.ttl, got, c.want)
		}
	}
	l.want(400, "contradict", "POST", "/security/blacklist", `{"ip":"203.0.113.200","ttl":5,"permanent":true}`)
}

// TestRefused: what must not be banned is not, and the answer says why.
func TestRefused(t *testing.T) {
	l := newLab(t, nil)
	for _, c := range []struct {
		ip     string
		status int
		why    string
	}{
		{"0.0.0.0/0", 400, "too wide"}, {"::/0", 400, "too wide"}, {"0.0.0.0/1", 400, "too wide"}, {"2000::/3", 400, "too wide"},
		{"::ffff:0.0.0.0/96", 400, "too wide"},
		{"198.51.100.9", 409, "trusted: carriers, SIP trunks (rules.d/00-site.hcl:4)"},
		{"198.51.0.0/16", 409, "trusted: carriers"},
		{"::ffff:198.51.100.9", 409, "trusted: carriers"},
		{"192.0.2.200", 409, "trusted: this host"}, {"192.0.2.0/24", 409, "trusted: this host"},
		{"127.0.0.1", 409, "trusted: loopback"}, {"::1", 409, "trusted: loopback"}, {"fe80::1", 409, "trusted: link-local"},
		{"0.0.0.0", 409, "unspecified"}, {"10.1.2.3", 409, "rules.d/00-site.hcl:9"},
		{"", 400, "missing"}, {"example.com", 400, "neither"}, {"203.0.113.7 ", 400, "neither"}, {"203.0.113.7/33", 400, "neither"},
		{"203.0.113.07", 400, "neither"}, {"fe80::1%eth0", 400, "neither"}, {"203.0.113.7\r\nX: y", 400, "neither"},
	} {
		body, _ := json.Marshal(map[string]string{"ip": c.ip})
		l.want(c.status, c.why, "POST", "/security/blacklist", string(body))
		text := l.want(200, c.why, "POST", "/security/blacklist/batch", "["+string(body)+"]")
		if strings.Contains(text, success) {
			t.Errorf("%s in a batch: %s", c.ip, text)
		}
	}
	if n := l.engine.Ledger().Size(); n != 0 {
		t.Errorf("%d bans", n)
	}
	for _, ip := range []string{"0.0.0.0/0", "::/0", "128.0.0.0/1", "fc00::/6"} {
		l.want(400, "too wide", "POST", "/security/whitelist", `{"ip":"`+ip+`"}`)
	}
}

// TestWide: no request bans, trusts or spares half of the internet. A ban of a feed that
// is so wide is shown and ended by its target.
func TestWide(t *testing.T) {
	l := newLab(t, nil)
	for _, network := range []string{"64.0.0.0/6", "2000::/4"} {
		if c := l.engine.Ledger().Enter(ban.Order{Target: ban.Network(prefix(network)), Author: "feed x", At: time.Now(), Terms: []ban.Term{ban.Permanent}}, time.Now()); !c.InForce() {
			t.Fatal(c.Why)
		}
		l.want(400, "too wide", "DELETE", "/security/blacklist/"+network+"?grace=10m", "")
		l.want(200, `"target":"`+network+`"`, "GET", "/security/blacklist/"+network, "")
		l.want(200, network+" unbanned", "DELETE", "/security/blacklist/"+network, "")
	}
}

// TestNotInForce: the answer says what the kernel does not enforce, and what is not durable.
func TestNotInForce(t *testing.T) {
	l := newLab(t, nil)
	l.wall.set(func(w *wall) { w.stuck = errors.New("exit status 4") })
	const why = `"applied":false,"why":"action iptables.drop: exit status 4"`
	l.want(200, why, "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, why, "POST", "/security/blacklist/batch", `[{"ip":"203.0.113.6"}]`)
	l.want(200, `"applied":false`, "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, `"status":"critical","version":"1.2.3","problems":[{"severity":"critical","subject":"action iptables.drop","text":"exit status 4"}]`, "GET", "/health", "")

	l = newLab(t, nil)
	l.disk.mu.Lock()
	l.disk.full = true
	l.disk.mu.Unlock()
	for _, c := range []struct{ method, target, body string }{
		{"POST", "/security/blacklist", `{"ip":"203.0.113.8"}`},
		{"DELETE", "/security/blacklist/203.0.113.8", ""},
		{"POST", "/security/whitelist", `{"ip":"203.0.113.8"}`},
		{"POST", "/security/blacklist/batch", `[{"ip":"203.0.113.9"}]`},
		{"POST", "/security/whitelist/batch", `[{"ip":"203.0.113.10"}]`},
	} {
		text := l.want(200, `"applied":false,"why":"it holds until the program ends: `, c.method, c.target, c.body)
		if !strings.Contains(text, "no space left on device") {
			t.Errorf("%s %s: %s", c.method, c.target, text)
		}
	}
	text := l.want(200, `"subject":"state","text":"not saved: `, "GET", "/security/status", "")
	if !strings.Contains(text, "no space left on device") {
		t.Errorf("the status lacks the error: %s", text)
	}
}

// TestSourceWarning: a source with a warning is up.
func TestSourceWarning(t *testing.T) {
	l := newLab(t, nil)
	l.source.progress.Report("list", status.Warning, "list gateways: the switch says no")
	l.want(200, `"status":"warning","version":"1.2.3","problems":[{"severity":"warning","subject":"source log.freeswitch","text":"list gateways: the switch says no"}]`, "GET", "/health", "")
	l.want(200, `"fault":"","problems":[{"severity":"warning","subject":"","text":"list gateways: the switch says no"}]`, "GET", "/security/sources", "")
	metrics := l.want(200, "freeswitch_security_source_warning{source=\"log.freeswitch\"} 1\n", "GET", "/metrics", "")
	if !strings.Contains(metrics, "freeswitch_security_source_up{source=\"log.freeswitch\"} 1\n") {
		t.Error("the source is reported as down")
	}
}

// TestKernelUnread: numbers that could not be read are absent or null, not 0.
// TestKernelTableEndpoints: an endpoint in the kernel covers itself alone, and an address
// its endpoints.
func TestKernelTableEndpoints(t *testing.T) {
	targets := map[string]ban.Target{}
	for _, text := range []string{"203.0.113.7", "203.0.113.7:5060/udp", "203.0.113.7:5060/tcp", "203.0.113.8", "203.0.113.8:5060/udp"} {
		targets[text], _ = ban.ParseTarget(text)
	}
	views := []status.Kernel{{Entries: status.List[status.Entry]{
		{Target: targets["203.0.113.7:5060/udp"], Packets: 3, Bytes: 180}, {Target: targets["203.0.113.8"], Packets: 5, Bytes: 300},
	}}}
	table := newKernelTable(append(views, views...))
	for text, want := range map[string]struct {
		applied bool
		packets uint64
	}{
		"203.0.113.7": {false, 0}, "203.0.113.7:5060/udp": {true, 6}, "203.0.113.7:5060/tcp": {false, 0},
		"203.0.113.8": {true, 10}, "203.0.113.8:5060/udp": {true, 0},
	} {
		if got := table.Ban(&ban.Ban{Target: targets[text]}); *got.Applied != want.applied || *got.Packets != want.packets {
			t.Errorf("%s: applied %v, %d packets", text, *got.Applied, *got.Packets)
		}
	}
}

func TestKernelUnread(t *testing.T) {
	l := newLab(t, nil)
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.server.kernel.fetch = func() (*kernelTable, error) { return nil, errors.New("the engine has too much to do") }
	l.server.kernel.outdate()
	l.want(503, "kernel: the engine has too much to do", "GET", "/security/iptables", "")
	l.want(503, "too much to do", "GET", "/security/blacklist", "")
	l.want(200, `"subject":"kernel","text":"the engine has too much to do"`, "GET", "/health", "")
	blind := l.want(200, "\nfreeswitch_security_kernel_read_success 0\n", "GET", "/metrics", "")
	l.want(200, `"droppedPackets":null,"droppedBytes":null`, "GET", "/security/stats", "")

	l = newLab(t, nil)
	l.wall.set(func(w *wall) { w.unread = errors.New("IPv6: list table filter: exit status 4") })
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, `"problems":[{"severity":"critical","subject":"action iptables.drop","text":"IPv6: list table filter: exit status 4"}]`, "GET", "/security/iptables", "")
	l.want(200, `"unread":true,"count":null`, "GET", "/security/iptables", "")
	l.want(200, `"packets":3,"bytes":180,"applied":true`, "GET", "/security/blacklist/203.0.113.7", "")
	l.wall.set(func(w *wall) { clear(w.entries) })
	l.server.kernel.outdate()
	l.want(200, `"packets":null,"bytes":null,"applied":null`, "GET", "/security/blacklist/203.0.113.7", "")
	l.want(200, `"droppedPackets":null,"droppedBytes":null`, "GET", "/security/stats", "")
	partly := l.want(200, "\nfreeswitch_security_kernel_read_success 0\n", "GET", "/metrics", "")
	if !strings.Contains(partly, "\nfreeswitch_security_kernel_errors{action=\"iptables.drop\"} 1\n") {
		t.Error("the metrics do not tell that something could not be read")
	}
	for _, unknown := range []string{"\nfreeswitch_iptables_rules_total", "\nfreeswitch_security_kernel_entries", "\nfreeswitch_security_kernel_dropped"} {
		if strings.Contains(blind, unknown) || strings.Contains(partly, unknown) {
			t.Errorf("an unread number is a number of %s", unknown)
		}
	}
}

// TestDryRun: in a dry run the kernel is not read, and its numbers are absent.
func TestDryRun(t *testing.T) {
	l := newLabOf(t, engine.Options{DryRun: true}, nil)
	l.want(200, `"applied":false,"why":"dry run: no action is carried out"`, "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, `"droppedPackets":null,"droppedBytes":null`, "GET", "/security/stats", "")
	metrics := l.want(200, "\nfreeswitch_security_bans_active 1\n", "GET", "/metrics", "")
	for _, unknown := range []string{"\nfreeswitch_iptables_rules_total", "\nfreeswitch_security_kernel_"} {
		if strings.Contains(metrics, unknown) {
			t.Errorf("an unread number is a number of %s", unknown)
		}
	}
}

// TestUndelivered: notifications that are not delivered are a warning.
func TestUndelivered(t *testing.T) {
	l := newLab(t, nil)
	l.courier.failed = "https://hooks.example.com answered 503"
	const want = `"problems":[{"severity":"warning","subject":"action webhook.noc","text":"notification not delivered: https://hooks.example.com answered 503"}]`
	l.want(200, `{"status":"warning","version":"1.2.3",`+want, "GET", "/health", "")
	l.want(200, `{"status":"warning","version"`, "GET", "/security/status", "")
	l.want(200, want, "GET", "/security/status", "")
}

// TestNames: a name that stands twice, or in another case than the API's, is refused.
func TestNames(t *testing.T) {
	l := newLab(t, nil)
	for body, want := range map[string]string{
		`{"ip":"203.0.113.1","ip":"203.0.113.2"}`:             `body: \"ip\" stands twice`,
		`{"ip":"203.0.113.1","IP":"203.0.113.2"}`:             `body: unknown field \"IP\": write \"ip\"`,
		`{"Ip":"203.0.113.1"}`:                                `body: unknown field \"Ip\": write \"ip\"`,
		`{"ip":"203.0.113.1","\u0069p":"203.0.113.2"}`:        `body: \"ip\" stands twice`,
		`{"ip":"203.0.113.1","reason":{"a":[{"b":1,"b":2}]}}`: `body: \"b\" stands twice`,
		`{"ip":"203.0.113.1","":1}`:                           `body: unknown field`,
	} {
		l.want(400, want, "POST", "/security/blacklist", body)
		l.want(200, strings.TrimPrefix(want, "body: "), "POST", "/security/blacklist/batch", "["+body+"]")
	}
	l.want(400, `stands twice`, "POST", "/security/test", `{"source":"esl.pbx","event":{"user":"1","user":"2"}}`)
	l.want(200, "{}", "GET", "/security/blacklist", "")
}

func TestBatch(t *testing.T) {
	l := newLab(t, nil)
	text := l.want(200, "", "POST", "/security/blacklist/batch", `[
		{"ip":"203.0.113.1"}, {"ip":"nonsense"}, {"ip":5}, "x", {"ip":"203.0.113.2","ttk":5}, {"ip":"198.51.100.1"},
		{"ip":"203.0.113.3","ttl":"x"}, null, {"ip":"203.0.113.4/31","permanent":true}]`)
	got := parse[struct{ Results []status.Result }](t, text).Results
	for i, want := range []struct{ ip, fault string }{
		{"203.0.113.1", ""}, {"nonsense", "neither"}, {"", "ip must not be a number"}, {"", "the item must not be a string"},
		{"203.0.113.2", `unknown field "ttk"`}, {"198.51.100.1", "trusted: carriers"}, {"203.0.113.3", "not a duration"},
		{"", "missing"}, {"203.0.113.4/31", ""},
	} {
		if got[i].Target != want.ip || !strings.Contains(got[i].Error, want.fault) || (got[i].Status == success) != (want.fault == "") {
			t.Errorf("result %d: %+v, want %+v", i, got[i], want)
		}
	}
	l.want(200, `{"results":[]}`, "POST", "/security/blacklist/batch", `[]`)
	l.want(200, `{"results":[],"applied":0}`, "POST", "/security/blacklist/batch?brief=true", `[]`)
	text = l.want(200, "", "POST", "/security/blacklist/batch?brief=true",
		`[{"ip":"x"},{"ip":"203.0.113.6"},{"ip":"203.0.113.7"},{"ip":"198.51.100.1"},{"ip":"203.0.113.8"}]`)
	brief := parse[struct {
		Results []status.Result
		Applied int
	}](t, text)
	if got := brief.Results; len(got) != 2 || got[0].Item != 1 || got[0].Target != "x" || got[1].Item != 4 || got[1].Target != "198.51.100.1" || brief.Applied != 3 {
		t.Errorf("a brief answer: %s", text)
	}
	l.want(400, `brief: write true or false`, "POST", "/security/blacklist/batch?brief=yes", `[]`)
	for _, body := range []string{`{}`, `[`, `[{"ip":"203.0.113.9"}`, `[{"ip":"203.0.113.9"}] x`, `[{"ip":"203.0.113.9"},]`, `"x"`, `nul`, `[{"ip":"203.0.113.9"}][]`} {
		l.want(400, "body: ", "POST", "/security/blacklist/batch", body)
	}
	l.want(400, "it is empty", "POST", "/security/blacklist/batch", "", "Content-Type", "application/json")
	for _, body := range []string{`[`, `[{"ip":"203.0.113.9"}`, `[{"ip":"203.0.113.9"},`} {
		l.want(400, "it is incomplete", "POST", "/security/blacklist/batch", body)
	}
	if _, ok := l.covering("203.0.113.9"); ok {
		t.Error("a refused batch has banned an address")
	}
}

// TestBigBatch: results come in order over several changes of the engine.
func TestBigBatch(t *testing.T) {
	const n = itemsAtOnce*2 + 5
	l := newLab(t, func(_ *Options, lim *limits) { lim.banItems = n })
	var body strings.Builder
	body.WriteString("[")
	for i := range n {
		fmt.Fprintf(&body, `{"ip":"11.%d.%d.%d","reason":"batch"},`, i>>16, i>>8&255, i&255)
	}
	text := strings.TrimSuffix(body.String(), ",") + "]"
	w := &flushed{ResponseRecorder: httptest.NewRecorder()}
	r := request("POST", "/security/blacklist/batch", text)
	l.server.ServeHTTP(w, r)
	got := parse[struct{ Results []status.Result }](t, w.Body.String()).Results
	l.conforms(r, w.Result())
	if len(got) != n {
		t.Fatalf("%d results", len(got))
	}
	for i := range got {
		if want := fmt.Sprintf("11.%d.%d.%d", i>>16, i>>8&255, i&255); got[i].Target != want || got[i].Status != success {
			t.Fatalf("result %d: %+v, want %s", i, got[i], want)
		}
	}
	if w.n != 3 {
		t.Errorf("the results of %d changes", w.n)
	}
	l.want(413, "more than", "POST", "/security/blacklist/batch", strings.TrimSuffix(text, "]")+`,{"ip":"12.0.0.1"}]`)
}

// A flushed answer counts its pieces.
type flushed struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushed) Flush() { f.n++ }

func TestListing(t *testing.T) {
	l := newLab(t, nil)
	l.want(200, "{}\n", "GET", "/security/blacklist", "")
	l.want(200, `{"bans":[],"next":null}`, "GET", "/security/blacklist?format=list", "")
	want := []string{"11.0.0.0/16", "11.0.0.1", "11.0.1.0/24", "203.0.113.7", "2001:db8::/32", "2001:db8::7"}
	for _, ip := range []string{"2001:db8::7", "203.0.113.7", "11.0.0.1", "11.0.1.0/24", "11.0.0.0/16", "2001:db8::/32"} {
		l.want(200, "", "POST", "/security/blacklist", `{"ip":"`+ip+`"}`)
	}
	byTarget := parse[map[string]status.Ban](t, l.want(200, "", "GET", "/security/blacklist", ""))
	for _, ip := range want {
		if byTarget[ip].Target.String() != ip || byTarget[ip].Applied == nil || !*byTarget[ip].Applied {
			t.Errorf("%s: %+v", ip, byTarget[ip])
		}
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		cursor := ""
		for {
			type page struct {
				Bans []status.Ban
				Next *string
			}
			p := parse[page](t, l.want(200, "", "GET", fmt.Sprintf("/security/blacklist?format=list&limit=%d&cursor=%s", limit, escaped(cursor)), ""))
			for _, b := range p.Bans {
				got = append(got, b.Target.String())
			}
			if p.Next == nil {
				break
			}
			cursor = *p.Next
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
	for _, query := range []string{"format=x", "limit=0&format=list", "limit=x", "limit=10001", "cursor=x"} {
		l.want(400, "", "GET", "/security/blacklist?"+query, "")
		l.want(400, "", "GET", "/security/whitelist?"+query, "")
	}
}

func TestTrust(t *testing.T) {
	l := newLab(t, nil)
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, `"unbanned":["203.0.113.7"]`, "POST", "/security/whitelist", `{"ip":"203.0.113.0/24","comment":"new trunk","ttl":"1h"}`)
	l.want(404, "", "GET", "/security/blacklist/203.0.113.7", "")
	l.want(409, "new trunk", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
	l.want(200, `"comment":"new trunk"`, "GET", "/security/whitelist/203.0.113.7", "")
	l.want(200, `"203.0.113.0/24":{`, "GET", "/security/whitelist", "")
	l.want(200, `"where":"rules.d/00-site.hcl:4"`, "GET", "/security/whitelist/198.51.100.0%2F25", "")
	l.want(200, `"next":"10.0.0.0/8"`, "GET", "/security/whitelist?format=list&limit=2", "")
	l.want(200, `{"trusted":[{"target":"192.0.2.200"`, "GET", "/security/whitelist?format=list&limit=2&cursor=169.254.0.0/16", "")
	l.want(404, "not trusted", "GET", "/security/whitelist/203.0.112.7", "")
	l.want(409, "rules.d/00-site.hcl:4", "DELETE", "/security/whitelist/198.51.100.1", "")
	l.want(200, "203.0.113.0/24 untrusted", "DELETE", "/security/whitelist/203.0.113.7", "")
	l.want(200, "was not trusted", "DELETE", "/security/whitelist/203.0.113.7", "")
	l.want(400, "", "DELETE", "/security/whitelist/x", "")
	l.want(200, "", "POST", "/security/whitelist", `{"ip":"198.51.100.7","reason":"twice"}`)
	l.want(200, "still trusted by carriers", "DELETE", "/security/whitelist/198.51.100.7", "")
	// Two entries for one network have one cursor: they stand on one page.
	l.want(200, "", "POST", "/security/whitelist", `{"ip":"10.0.0.0/8"}`)
	l.want(200, `"runTime":false`, "GET", "/security/whitelist?format=list&limit=1&cursor=0.0.0.0", "")
	l.want(200, `"runTime":true`, "GET", "/security/whitelist?format=list&limit=1&cursor=0.0.0.0", "")
	l.want(200, "", "DELETE", "/security/whitelist/10.0.0.0%2F8", "")
	l.want(400, "mean the same", "POST", "/security/whitelist", `{"ip":"203.0.113.7","reason":"a","comment":"b"}`)
	l.want(200, `neither`, "POST", "/security/whitelist/batch", `[{"ip":"203.0.113.7","permanent":true},{"ip":"y"}]`)
	l.want(200, `"permanent":true`, "GET", "/security/whitelist/203.0.113.7", "")
	l.want(200, "", "POST", "/security/whitelist", `{"ip":"203.0.113.8"}`)
	entry := parse[status.Trusted](t, l.want(200, "", "GET", "/security/whitelist/203.0.113.8", ""))
	if got := entry.Until.Sub(entry.Since); got != 24*time.Hour {
		t.Errorf("trusted for %s", got)
	}
}

func TestObservation(t *testing.T) {
	l := newLab(t, nil)
	l.attack()
	for target, part := range map[string]string{
		"/health":                         `{"status":"ok","version":"1.2.3","problems":[]}`,
		"/security/status":                `"activeBans":2`,
		"/security/stats":                 `"bans":2`,
		"/security/iptables":              `"hook":"INPUT"`,
		"/security/rules":                 `"name":"password guessing"`,
		"/security/sources":               `"behindBytes":10,"lagSeconds":0.`,
		"/security/trackers":              `"key":"203.0.113.8"`,
		"/security/trackers?top=1":        `"key":"203.0.113.9"`,
		"/security/trackers?banned=false": `"key":"203.0.113.9"`,
		"/openapi.yaml":                   "openapi: 3.0.3",
	} {
		l.want(200, part, "GET", target, "")
	}
	l.want(400, "", "GET", "/security/trackers?top=x", "")
	l.want(400, "", "GET", "/security/trackers?banned=x", "")
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.9"}`)
	if left := l.want(200, `"key":"203.0.113.8"`, "GET", "/security/trackers?banned=false&top=1", ""); strings.Contains(left, "203.0.113.9") {
		t.Errorf("the key of a banned address: %s", left)
	}
	l.history.Observe(&event.Event{Time: time.Now(), Name: event.AuthFailure, Source: "log.freeswitch", IP: netip.MustParseAddr("203.0.113.7"), User: "1007", Domain: "pbx.example"})
	l.history.Decide(&ban.Change{Kind: ban.KindBan, At: time.Now(), Ban: ban.Ban{Target: ban.Address(netip.MustParseAddr("203.0.113.7")), Rule: "password guessing", Until: time.Now().Add(time.Hour)}})
	for target, part := range map[string]string{
		"/security/history": `{"kind":"ban","name":"password guessing","values":[0,`,
		"/security/history?step=5m&from=" + url.QueryEscape(time.Now().Add(-time.Hour).Format(time.RFC3339)): `"tops":[{"by":"networks","items":[{"name":"203.0.113.0/24","count":1}]}`,
		"/security/incidents":         `"rule":"password guessing"`,
		"/security/incidents?limit=1": `"all":1}`,
	} {
		l.want(200, part, "GET", target, "")
	}
	for _, wrong := range []string{"history?from=yesterday", "history?to=1", "history?step=x", "history?step=90s", "history?to=2020-01-01T00:00:00Z", "incidents?from=x", "incidents?limit=0"} {
		l.want(400, "", "GET", "/security/"+wrong, "")
	}
	l.want(200, "Rule never fires", "POST", "/security/reload", "")
	l.broken = []status.Diagnostic{{Severity: "error", Summary: "Unknown field", Detail: "Did you mean user?", Where: "rules.d/x.hcl:3:4"}}
	l.want(422, `"error":"1 mistake in rules.d","diagnostics":[{"severity":"error",`, "POST", "/security/reload", "")
	l.want(200, "password guessing", "POST", "/security/test", `{"line":"… SIP auth failure (REGISTER) …"}`)
	l.want(200, `"events":[]`, "POST", "/security/test", `{"line":"hello"}`)
	l.want(200, "password guessing", "POST", "/security/test", `{"event":{"event":"auth_failure","ip":"203.0.113.7"}}`)
	l.want(400, "no source", "POST", "/security/test", `{"line":"x","source":"esl.pbx"}`)
	l.want(400, "not both", "POST", "/security/test", `{"line":"x","event":{"event":"y"}}`)
	l.want(400, "not both", "POST", "/security/test", `{}`)
}

// TestUnknown: what is not there is answered in JSON, too.
func TestUnknown(t *testing.T) {
	l := newLab(t, nil)
	l.want(404, "openapi.yaml", "GET", "/security", "")
	l.want(404, "", "GET", "/health/", "")
	l.want(405, "GET", "POST", "/health", "")
	l.want(405, "POST", "PUT", "/security/blacklist", "{}")
	l.want(405, "", "DELETE", "/security/whitelist", "")
	l.want(400, "write all=true", "DELETE", "/security/blacklist", "")
	l.want(400, "missing", "GET", "/security/blacklist/", "")
	w := httptest.NewRecorder()
	if l.server.ServeHTTP(w, request("HEAD", "/health", "")); w.Code != http.StatusOK {
		t.Errorf("HEAD: %d", w.Code)
	}
}
