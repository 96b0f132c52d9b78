package esl

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"

	"github.com/google/go-cmp/cmp"
)

// stampOf writes a time like FreeSWITCH.
func stampOf(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// message makes a message of an event; pairs are its own headers.
func message(name string, at time.Time, pairs ...string) *esl.Message {
	m := &esl.Message{Headers: map[string]string{
		"Event-Name": name, "Core-UUID": "c1", "Event-Date-Timestamp": stampOf(at), "FreeSWITCH-Hostname": "pbx1",
	}}
	if strings.Contains(name, "::") {
		m.Headers["Event-Name"], m.Headers["Event-Subclass"] = "CUSTOM", name
	}
	for i := 0; i < len(pairs); i += 2 {
		m.Headers[pairs[i]] = pairs[i+1]
	}
	return m
}

func attempt(at time.Time, ip, port, to, callID string) *esl.Message {
	return message("sofia::register_attempt", at, "network-ip", ip, "network-port", port, "from-user", to, "to-user", "caller",
		"username", "account", "realm", "pbx", "call-id", callID, "auth-result", "FORBIDDEN")
}

func failure(at time.Time, ip, port, to string) *esl.Message {
	return message("sofia::register_failure", at, "network-ip", ip, "network-port", port, "to-user", to, "to-host", "pbx", "registration-type", "INVITE")
}

func TestFailureTakesItsAttempt(t *testing.T) {
	for _, test := range []struct {
		name    string
		before  []*esl.Message
		user    string
		callID  string
		restart bool
	}{
		{name: "none"},
		{name: "its own", before: []*esl.Message{attempt(noon, "192.0.2.1", "5060", "900", "a")}, user: "account", callID: "a"},
		{name: "of another port", before: []*esl.Message{attempt(noon, "192.0.2.1", "5061", "900", "a")}},
		{name: "of another address", before: []*esl.Message{attempt(noon, "192.0.2.2", "5060", "900", "a")}},
		{name: "of another number", before: []*esl.Message{attempt(noon, "192.0.2.1", "5060", "901", "a")}},
		{name: "from long ago", before: []*esl.Message{attempt(noon.Add(-3*time.Second), "192.0.2.1", "5060", "900", "a")}},
		{name: "taken already", before: []*esl.Message{attempt(noon, "192.0.2.1", "5060", "900", "a"), failure(noon, "192.0.2.1", "5060", "900")}},
		{name: "of another start of the switch", before: []*esl.Message{attempt(noon, "192.0.2.1", "5060", "900", "a")}, restart: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := testSource().newDecoder(nil)
			for _, m := range test.before {
				d.decode(m)
			}
			m := failure(noon, "192.0.2.1", "5060", "900")
			if test.restart {
				m.Headers["Core-UUID"] = "c2"
			}
			e := d.decode(m)
			if e == nil || e.User != test.user || e.CallID != test.callID || e.Destination != "900" || e.Method != "INVITE" {
				t.Errorf("%+v", e)
			}
			if (d.restarts == 1) != test.restart {
				t.Errorf("%d restarts", d.restarts)
			}
		})
	}
}

// TestThirdPartyRegistration registers one account with the credentials of another.
func TestThirdPartyRegistration(t *testing.T) {
	for username, want := range map[string]string{"unknown": "1000@pbx", "2000": "2000@realm"} {
		d := testSource().newDecoder(nil)
		d.decode(message("sofia::register_attempt", noon, "network-ip", "192.0.2.1", "from-user", "1000", "to-user", "boss", "to-host", "pbx2",
			"username", username, "realm", "realm", "auth-result", "FORBIDDEN"))
		e := d.decode(message("sofia::register_failure", noon, "network-ip", "192.0.2.1", "to-user", "1000", "to-host", "pbx", "registration-type", "REGISTER"))
		if got := e.User + "@" + e.Domain; got != want || e.ToUser != "1000" || e.Destination != "" {
			t.Errorf("%s: %s, %+v", username, got, e)
		}
	}
}

func TestReports(t *testing.T) {
	for _, test := range []struct {
		m    *esl.Message
		want string // user@domain destination ip:port, or "" for no event
	}{
		{message("sofia::pre_register", noon, "from-user", "900", "to-user", "1000", "to-host", "pbx", "network-ip", "192.0.2.1", "network-port", "5060"), "1000@pbx 900 192.0.2.1:5060"},
		{message("sofia::pre_register", noon, "from-user", "1000", "to-user", "1000", "to-host", "pbx", "network-ip", "::ffff:192.0.2.1"), "1000@pbx  192.0.2.1:0"},
		{message("sofia::pre_register", noon, "to-user", "1000", "network-ip", "[2001:db8::1]", "network-port", "5060"), "1000@  [2001:db8::1]:5060"},
		{message("sofia::pre_register", noon, "network-ip", "fe80::1%eth0", "network-port", "70000"), "@  [fe80::1]:0"},
		{message("sofia::register_attempt", noon, "auth-result", "RENEWED", "username", "unknown", "realm", "x", "from-user", "7", "to-user", "8", "to-host", "pbx"), "8@pbx 7 invalid AddrPort"},
		{message("sofia::register_attempt", noon, "auth-result", "STALE", "username", "9", "from-user", "7", "to-user", "7", "to-host", "pbx"), "9@pbx  invalid AddrPort"},
		{message("sofia::register_attempt", noon, "auth-result", "FORBIDDEN", "username", "9"), ""},
		{message("sofia::expire", noon, "user", "9", "host", "pbx"), "9@pbx  invalid AddrPort"},
		{message("sofia::wrong_call_state", noon, "network_ip", "192.0.2.1", "network_port", "9", "from_user", "4"), "4@  192.0.2.1:9"},
		{message("verto::login", noon, "verto_success", "0", "verto_client_address", "[2001:db8::1]:5060", "verto_login", "a@b@c"), "a@b@c  [2001:db8::1]:5060"},
		{message("verto::login", noon, "verto_success", "0", "verto_client_address", "2001:db8::1:5060", "verto_login", "a"), "a@  [2001:db8::1]:5060"},
		{message("verto::login", noon, "verto_success", "1", "verto_client_address", "192.0.2.1:1"), ""},
		{message("CHANNEL_CREATE", noon, "Call-Direction", "outbound", "Caller-Network-Addr", "192.0.2.1"), ""},
		{message("CHANNEL_CREATE", noon, "Call-Direction", "inbound", "Channel-Name", "loopback/9-a", "Caller-Network-Addr", "192.0.2.1"), ""},
		{message("CHANNEL_CREATE", noon, "Call-Direction", "inbound", "variable_sip_network_ip", "192.0.2.1", "variable_sip_network_port", "5", "Caller-Destination-Number", "900",
			"variable_sip_from_user", "1", "variable_sip_from_host", "x", "variable_sip_auth_username", "2", "variable_sip_auth_realm", "pbx"), "1@x 900 192.0.2.1:5"},
		{message("CHANNEL_CREATE", noon, "Call-Direction", "inbound", "Caller-Network-Addr", "192.0.2.1", "variable_sip_authorized", "true",
			"variable_sip_from_user", "1", "variable_sip_from_host", "x", "variable_sip_auth_username", "2", "variable_sip_auth_realm", "pbx"), "2@pbx  192.0.2.1:0"},
		{message("CHANNEL_HANGUP_COMPLETE", noon, "Call-Direction", "inbound", "Hangup-Cause", "CALL_REJECTED", "variable_sip_from_user", "1"), "1@  invalid AddrPort"},
		{message("CHANNEL_HANGUP_COMPLETE", noon, "Call-Direction", "inbound", "Hangup-Cause", "NORMAL_CLEARING"), "@  invalid AddrPort"},
		{message("sofia::gateway_state", noon, "Gateway", "gw1", "State", "REGED", "Register-Network-IP", "192.0.2.1", "Register-Network-Port", "5060"), "@  192.0.2.1:5060"},
		{message("sofia::gateway_state", noon, "Gateway", "gw1", "State", "TRYING", "Register-Network-IP", "192.0.2.1"), ""},
		{message("sofia::gateway_state", noon, "Gateway", "gw1", "State", "REGED"), ""},
		{message("sofia::gateway_add", noon, "Gateway", "gw1"), ""},
		{message("sofia::gateway_delete", noon, "Gateway", "gw1"), "@  invalid AddrPort"},
		{message("HEARTBEAT", noon), ""},
		{&esl.Message{}, ""},
		{&esl.Message{Record: true}, ""},
		{&esl.Message{Headers: map[string]string{"Event-Name": "CUSTOM", "Event-Subclass": "sofia::register"}}, ""}, // without a stamp
	} {
		e := testSource().newDecoder(nil).decode(test.m)
		got := ""
		if e != nil {
			got = fmt.Sprintf("%s@%s %s %s", e.User, e.Domain, e.Destination, netip.AddrPortFrom(e.IP, e.Port))
			if !e.Time.Equal(noon) || e.Source != "esl.test" {
				t.Errorf("%+v", e)
			}
			if name := test.m.Headers["Gateway"]; e.Fields["gateway"] != name {
				t.Errorf("gateway %q", e.Fields["gateway"])
			}
		}
		if got != test.want {
			t.Errorf("%v:\n %q, want %q", test.m.Headers, got, test.want)
		}
	}
}

func TestAuthenticatedRegistration(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{[]string{"username", "1000", "sip_auth_username", "1000"}, "true"},
		{[]string{"username", "unknown"}, "false"},
		{[]string{"username", "1000"}, "false"},
		{[]string{"sip_auth_username", "1000"}, "false"},
		{[]string{"authenticated", "true"}, "false"}, // from a caller
		{nil, "false"},
	} {
		e := testSource().newDecoder(nil).decode(message("sofia::register", noon, test.headers...))
		if e.Fields["authenticated"] != test.want {
			t.Errorf("%v: %v", test.headers, e.Fields)
		}
	}
}

// TestAccountOfCall: the realm of the digest is the caller's word, the account of the directory is
// not, and an authorized caller has not always shown a password.
func TestAccountOfCall(t *testing.T) {
	const (
		authorized = "variable_sip_authorized"
		shown      = "variable_sip_auth_username"
		realm      = "variable_sip_auth_realm"
		user       = "variable_user_name"
		domain     = "variable_domain_name"
	)
	for name, test := range map[string]struct {
		headers  []string
		want     string
		verified bool
	}{
		"a browser": {[]string{"Caller-Source", "mod_verto", "Caller-Username", "1007@pbx", "variable_sip_from_user", "1009", authorized, "false",
			shown, "1009", realm, "pbx", user, "1009", domain, "pbx"}, "1007@pbx", true},
		"a browser without a login": {[]string{"Caller-Source", "mod_verto", authorized, "true", shown, "1009", realm, "pbx", user, "1009", domain, "pbx"}, "@", false},
		"another realm":             {[]string{authorized, "true", shown, "1007", realm, "evil.example", user, "1007", domain, "pbx"}, "1007@pbx", true},
		"another spelling":          {[]string{authorized, "true", shown, "BRIAN", realm, "PBX", user, "brian", domain, "pbx"}, "brian@pbx", true},
		"no entry of the directory": {[]string{authorized, "true", shown, "1007", realm, "pbx"}, "1007@pbx", true},
		"access list":               {[]string{authorized, "true", "variable_sip_acl_authed_by", "domains"}, "1008@from.example", false},
		"access list of an account": {[]string{authorized, "true", user, "brian", domain, "pbx"}, "brian@pbx", false},
		"refused":                   {[]string{shown, "1007", realm, "pbx", user, "1007", domain, "pbx"}, "1008@from.example", false},
		"no credentials":            {nil, "1008@from.example", false},
	} {
		headers := append(test.headers, "Call-Direction", "inbound", "variable_sip_from_user", "1008", "variable_sip_from_host", "from.example", "authenticated", "true")
		e := testSource().newDecoder(nil).decode(message("CHANNEL_CREATE", noon, headers...))
		if got := e.User + "@" + e.Domain; got != test.want || e.Verified() != test.verified {
			t.Errorf("%s: %s, verified %t; want %s, %t", name, got, e.Verified(), test.want, test.verified)
		}
	}
	// The dialplan has set the account of the called party.
	e := testSource().newDecoder(nil).decode(message("CHANNEL_HANGUP_COMPLETE", noon, "Call-Direction", "inbound", "Hangup-Cause", "CALL_REJECTED",
		authorized, "true", shown, "1007", realm, "evil.example", user, "1009", domain, "pbx", "variable_requested_user_name", "1007", "variable_requested_domain_name", "pbx"))
	if got := e.User + "@" + e.Domain; got != "1007@pbx" {
		t.Errorf("after the dialplan: %s", got)
	}
}

// hostile are values that a caller may write into its headers.
var hostile = []string{
	strings.Repeat("A", 64<<10), "a\r\nContent-Length: 5\r\n\r\nx", "-ERR no", "\x1b]0;title\a\x1b[31m", "$(reboot)`id`", "\xff\xfe\x00", "%0A%0a%", `"}{"Event-Name":"x"`,
	"192.0.2.99", "unknown", "", " ", "ä" + strings.Repeat("中", 200), "1000] from ip 192.0.2.99", "SIP auth failure (REGISTER)",
}

// TestHostileValues puts every hostile value into every header in turn. The event keeps
// its address, unless the header is that of the address, and its bounds.
func TestHostileValues(t *testing.T) {
	s := testSource()
	s.log = false
	for _, path := range []string{"registrations", "calls", "invites", "abandoned", "verto", "users"} {
		frames := esl.NewReader(bytes.NewReader(golden.Read(t, "testdata/"+path+".json.gz")))
		seen := map[string]bool{}
		for {
			m, err := frames.Next()
			if err != nil {
				break
			}
			if seen[m.Name()] {
				continue
			}
			seen[m.Name()] = true
			before := s.newDecoder(nil).decode(&m)
			for name := range m.Headers {
				for _, value := range hostile {
					changed := esl.Message{Headers: maps.Clone(m.Headers)}
					changed.Headers[name] = value
					after := s.newDecoder(nil).decode(&changed)
					if after == nil {
						continue
					}
					checkBounds(t, after)
					if before == nil || after.IP == before.IP || isAddressHeader(name) {
						continue
					}
					t.Errorf("%s: %s = %.40q: address %s, was %s", m.Name(), name, value, after.IP, before.IP)
				}
			}
		}
	}
}

func isAddressHeader(name string) bool {
	switch name {
	case "network-ip", "network_ip", "Caller-Network-Addr", "verto_client_address", "variable_sip_network_ip":
		return true
	}
	return false
}

func checkBounds(t testing.TB, e *event.Event) {
	t.Helper()
	e.Each(func(text *string) {
		if len(*text) > event.MaxField && text != &e.Message {
			t.Fatalf("a field of %d bytes", len(*text))
		}
	})
	if len(e.Text) > event.MaxText || len(e.Message) > event.MaxText || len(e.Fields) > maxFields+1 {
		t.Fatalf("%d bytes of text, %d of message, %d fields", len(e.Text), len(e.Message), len(e.Fields))
	}
	size := 0
	for name, value := range e.Fields {
		size += len(name) + len(value)
		if len(value) > event.MaxField || len(name) > maxFieldName {
			t.Fatalf("field %q: %d bytes of name, %d of value", name, len(name), len(value))
		}
	}
	if size > maxFieldBytes+100 {
		t.Fatalf("fields of %d bytes", size)
	}
	if e.IP.IsValid() && (e.IP.Is4In6() || e.IP.Zone() != "") {
		t.Fatalf("address %s", e.IP)
	}
}

// TestCallerCannotPushFieldsOut adds headers that a caller can add, before and after all
// others in the alphabet.
func TestCallerCannotPushFieldsOut(t *testing.T) {
	frames := esl.NewReader(bytes.NewReader(golden.Read(t, "testdata/tollfraud.json.gz")))
	m, err := frames.Next()
	if err != nil {
		t.Fatal(err)
	}
	before := testSource().newDecoder(nil).decode(&m)
	for i := range 3000 {
		m.Headers[fmt.Sprintf("variable_sip_h_A-%d", i)] = strings.Repeat("x", 300)
		m.Headers[fmt.Sprintf("variable_sip_rh_%d", i)] = strings.Repeat("x", 300)
		m.Headers[strings.Repeat("y", 100+i)] = ""
	}
	after := testSource().newDecoder(nil).decode(&m)
	checkBounds(t, after)
	for name, value := range before.Fields {
		if after.Fields[name] != value && !strings.HasPrefix(name, "variable_sip_h_") {
			t.Errorf("%s was %q and is %q", name, value, after.Fields[name])
		}
	}
	if after.Destination != before.Destination || after.UserAgent != before.UserAgent {
		t.Errorf("%+v", after)
	}
}

func TestDecodeIsPure(t *testing.T) {
	data := golden.Read(t, "testdata/mixed.raw.gz")
	first, _ := testSource().replayed(t, data, nil)
	second, _ := testSource().replayed(t, data, nil)
	if diff := cmp.Diff(first, second, sameAddr); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecode(f *testing.F) {
	for _, path := range []string{"mixed.raw", "verto.json", "users.plain", "acl.log"} {
		data := golden.Read(f, "testdata/"+path+".gz")
		f.Add(data[:min(len(data), 8<<10)])
	}
	f.Add([]byte("Content-Length: 60\nContent-Type: text/event-plain\n\nEvent-Name: CHANNEL_CREATE\nEvent-Date-Timestamp: 1\nGateway: x\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, d := esl.NewReader(bytes.NewReader(data)), testSource().newDecoder(nil)
		for {
			m, err := frames.Next()
			if err != nil {
				return
			}
			if e := d.decode(&m); e != nil {
				checkBounds(t, e)
				if e.Name == "" || e.Source == "" || e.Text == "" {
					t.Fatalf("%+v", e)
				}
			}
		}
	})
}

// FuzzHeaders decodes an event of every name with any other header.
func FuzzHeaders(f *testing.F) {
	for _, value := range hostile {
		f.Add("network-ip", value)
		f.Add("variable_sip_h_"+value[:min(len(value), 20)], value)
	}
	f.Add("variable_"+strings.Repeat("4", maxFieldName), "a name too long by its prefix")
	s := testSource()
	s.log = false
	f.Fuzz(func(t *testing.T, name, value string) {
		d := s.newDecoder(nil)
		for _, r := range reports {
			m := message(r.name, noon, "Call-Direction", "inbound", "Hangup-Cause", "CALL_REJECTED", "State", "REGED", "verto_success", "0", name, value)
			if e := d.decode(m); e != nil {
				checkBounds(t, e)
			}
		}
	})
}
