package main

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// told returns an event of the shipped event socket with some fields.
func told(e event.Event) *event.Event {
	e.IP, e.Source = netip.MustParseAddr("203.0.113.7"), "esl.pbx"
	return &e
}

// TestShippedLists shows what the lists in shipped expressions match, and similar texts that they must
// not match.
func TestShippedLists(t *testing.T) {
	cfg := shipped(t)
	rules := cfg.Rules
	agent := func(name string) func(string) *event.Event {
		return func(text string) *event.Event { return told(event.Event{Name: name, User: "1000", UserAgent: text}) }
	}
	refused := func(message string) *event.Event { return told(event.Event{Name: event.ACLReject, Message: message}) }
	named := func(name string) *event.Event { return told(event.Event{Name: name, User: "1000"}) }
	unknown := func(user string) *event.Event {
		return told(event.Event{Name: event.UnknownUser, User: user, Repeat: true})
	}
	at := func(domain string) *event.Event {
		return told(event.Event{Name: event.UnknownUser, User: "1000", Domain: domain, Repeat: true})
	}
	heard := func(e event.Event) *event.Event {
		e.IP, e.Source = netip.MustParseAddr("203.0.113.7"), "sip.wire"
		return &e
	}
	looking := func(method string) func(string) *event.Event {
		return func(agent string) *event.Event {
			return heard(event.Event{Name: event.SIPRequest, Method: method, UserAgent: agent})
		}
	}
	answered := func(method string) func(string) *event.Event {
		return func(code string) *event.Event {
			n, _ := strconv.ParseUint(code, 10, 16)
			return heard(event.Event{Name: event.SIPRequest, Method: method, Answer: uint16(n), Repeat: n != 0})
		}
	}
	foreign := func(kind string) *event.Event {
		return heard(event.Event{Name: event.NotSIP, Fields: map[string]string{"kind": kind}})
	}
	call := func(authorized string) func(string) *event.Event {
		return func(number string) *event.Event {
			ev := told(event.Event{Name: event.Call, Destination: number, Fields: map[string]string{"variable_sip_authorized": authorized}})
			cfg.Annotate(ev)
			return ev
		}
	}
	phones := []string{ // and names similar to those of tools
		"Yealink SIP-T46U 108.86.0.45", "PolycomVVX-VVX_411-UA/5.9.5.0614", "snomD735/10.1.54.13", "Grandstream GXP2170 1.0.11.35",
		"Fanvil X4U 2.4.2.1", "Cisco/SPA504G-7.6.2g", "Cisco-CP8845/14.1.1", "LinphoneAndroid/5.2.4", "MicroSIP/3.21.3", "Zoiper rv2.10.20.4",
		"Bria 6 release 6.6.1", "3CXPhoneSystem 18.0", "PJSUA v2.13", "baresip v3.5.0", "PrismaPhone 2.0", "Prismap/2.0", "Gigaset N510 IP PRO/42.250",
		"SIPv2 Gateway 1.2", "aaaaaaa", "SBC a_b_c", "a_b_c 2", "AVM FRITZ!Box 7590", "Asterisk 18.2", "Vaxtel 2",
	}
	for _, test := range []struct {
		rule  string
		event func(string) *event.Event
		takes []string
		not   []string
	}{
		{"password guessing", refused, []string{"IP 203.0.113.7 Rejected by user acl [trusted]"}, []string{`IP 203.0.113.7 Rejected by acl "trusted"`}},
		{"slow password guessing", refused, []string{"IP 203.0.113.7 Rejected by user acl [trusted]"}, []string{`IP 203.0.113.7 Rejected by acl "trusted"`}},
		{"success after many failures", named, []string{event.AuthFailure}, []string{event.AuthSuccess, event.Challenge, event.UnknownUser}},
		{"malformed authorization", named, []string{event.AuthMalformed}, []string{event.AuthFailure, event.Challenge}},
		{"attack tool", agent(event.Challenge), []string{
			"friendly-scanner", "Friendly-Request", "sipvicious", "sundayddr", "SundayAddr", "sip-scan", "SIPScan", "siparmyknife",
			"pplsip", "sipptk", "SIPPTS", "pewswitch", "VoIPHopper", "svmap", "svwar", "svcrack", "fgfdhgfxjfhyjhkj",
			"iWar", "SIVuS", "smap 0.6", "x Gulp", "sipv", "Nmap/7.80 sip-methods", "FourCats", "Test Agent", "dr.pes", "A_B_C", "aaaaaaaa",
		}, append([]string{"", "sipcli/v1.8", "Asterisk PBX"}, phones...)},
		{"attack tool", func(name string) *event.Event { return agent(name)("sipvicious") },
			[]string{event.SIPRequest, event.Challenge, event.AuthFailure, event.AuthStale, event.Call}, []string{event.AuthSuccess, event.Registered}},
		{"toolkit that looks around", looking("OPTIONS"), []string{"sipcli/v1.8", "SIPCLI", "VaxSIPUserAgent/3.5", "VaxIPUserAgent"},
			append([]string{"", "x sipcli", "sipsak 0.9.8.1", "SIPp v3.6", "friendly-scanner"}, phones...)},
		{"toolkit that looks around", looking("INVITE"), []string{"sipcli/v1.8"}, nil},
		{"toolkit that looks around", looking("REGISTER"), nil, []string{"sipcli/v1.8", "VaxSIPUserAgent/3.5"}},
		{"refused requests", answered("REFER"), []string{"200", "202", "403", "404", "481", "501", "603"}, []string{"0", "100", "302", "401", "407", "423", "487"}},
		{"refused requests", answered("MESSAGE"), []string{"403", "404"}, []string{"0", "100", "200", "202", "401", "407"}},
		{"refused requests", answered("OPTIONS"), nil, []string{"404", "405", "503"}},
		{"garbage", foreign, []string{"garbage"}, []string{"web", "tls", ""}},
		{"tls probes", foreign, []string{"tls"}, []string{"web", "garbage", ""}},
		{"web probes", foreign, []string{"web"}, []string{"tls", "garbage", ""}},
		{"toolkit with wrong passwords", agent(event.AuthFailure), []string{
			"sipcli/v1.8", "sipsak 0.9.8.1", "SIPp v3.6", "VaxSIPUserAgent/3.1", "VaxIPUserAgent", "PortSIP VoIP SDK", "Ozeki 10",
			"ABTO Video SIP SDK", "Conaito", "MizuPhone", "CSipSimple_sdk", "Custom SIP Phone", "VoIP SIP", "Z 3.15.40006 rv2.8.20", "IM-client/OMA1.0",
		}, append([]string{"", "SIPper", "XYZ 3", "Z 30"}, phones...)},
		{"borrowed name on many accounts", agent(event.AuthFailure), []string{
			"", "Cisco-SIPGateway/IOS-12.x", "Cisco-CUCM9.1", "cisco", "eyeBeam release 3", "xlite", "X-Lite", "Asterisk PBX 11.2", "Asterix PBX",
			"PBX", "FPBX-16.0.40", "x FreePBX", "Linksys/SPA942", "VoIP", "x",
		}, append([]string{"my cisco", "my Cisco-CUCM9.1", "x2", "voipphone", "my voip", "old pbx", "xx"}, phones...)},
		{"honeypot extension", unknown, []string{
			"admin", "Administrator", "anonymous", "asterisk", "default", "demo", "freeswitch", "guest", "null", "pbx", "root", "sip", "sipvicious",
			"support", "TEST", "tester", "trunk", "user", "voip",
		}, []string{"", "1000", "bob", "test1", "admins"}},
		{"registration to the bare IP", at, []string{"198.51.100.1", "10.0.0.1", "1.2.3.4", "[2001:db8::1]", "2001:db8::1"},
			[]string{"", "pbx.example.org", "1.pbx.example.org", "198.51.100.1.example.org", "x.198.51.100.1", "1.2.3", "1.2.3.", "1..3.4", "1.2.3.4444"}},
		{"toll fraud", call(""), []string{
			"001234567", "0067219839688", "90067219839688", "999900441234567", "000441234567", "*00441234567", "#900441234567",
			"0114412345678", "9011441234567890", "011441234567", "+88212345", "+6721234567",
		}, []string{"00123456", "0301234567", "+441234567890", "441234567890", "01142726444", "0114272644", "1000", "00441234567x", "x00441234567", "999990441234567"}},
		{"walking prefixes", call(""), []string{"097259257001", "+972592570012", "810972592570012"}, []string{"1000", "0301234567", "4411234567"}},
		{"walking prefixes", call("true"), nil, []string{"097259257001"}},
		{"walking prefixes and numbers", call(""), []string{"097259257001"}, []string{"1000"}},
		{"walking prefixes and numbers", call("true"), nil, []string{"097259257001"}},
		{"toll fraud by repetition", call(""), []string{"0067219839688", "011441234567", "90067219839688", "+88212345"},
			[]string{"00123456", "0301234567", "+441234567890", "1000", "00441234567x", "x+88212345", "+88212345x"}},
		{"toll fraud by repetition", call("true"), nil, []string{"00441234567"}},
		{"calls abroad", call("true"), []string{"00442079461234", "011442079461234", "900442079461234", "+442079461234"},
			[]string{"1000", "0301234567", "112", "442079461234", "x00442079461234"}},
		{"calls abroad", call(""), nil, []string{"00441234567"}},
		{"many calls to numbers that pay", call(""), nil, []string{"+88216123456"}},
		{"calls per minute", call(""), nil, []string{"1000", "00441234567"}},
		{"calls per hour", call(""), nil, []string{"1000", "00441234567"}},
		{"account in many places", named, []string{event.Registered}, []string{event.AuthSuccess, event.Unregistered, event.Challenge}},
		{"toll fraud", call("true"), nil, []string{"00441234567"}},
		{"call flood", call("true"), nil, []string{"1000"}},
		{"many calls to numbers that pay", call("true"), []string{ // satellites, networks, premium rates, and each group of the list
			"+88216123456", "0088163123456", "01187077123456", "+979123456789", "+37190201234", "+3709001234", "+18764401234", "+5372041234", "+50922453300", "+67732123",
			"+67522123", "+23225123456", "+25261234567", "+2203661234", "+8501921234567", "90088163123456", "00252612345678",
		}, []string{"+442079461234", "+41441234567", "+37167123456", "+12125551234", "+80012345678", "882161234567", "x+88216123456", "1000"}},
	} {
		i := slices.IndexFunc(rules, func(r *rule.Spec) bool { return r.Name == test.rule })
		if i < 0 {
			t.Errorf("no rule %q", test.rule)
			continue
		}
		spec := rules[i]
		for _, text := range test.takes {
			if yes, why := spec.Counts(test.event(text)); !yes {
				t.Errorf("%s does not match %q: %s", test.rule, text, why)
			}
		}
		for _, text := range test.not {
			if yes, _ := spec.Counts(test.event(text)); yes {
				t.Errorf("%s matches %q", test.rule, text)
			}
		}
	}
}

// TestShippedBans checks every shipped ban against the strength of its evidence.
func TestShippedBans(t *testing.T) {
	connected := []string{event.VertoLoginFailure, event.ESLDenied} // over TCP, where senders cannot be forged
	answered := []string{event.AuthFailure, event.UnknownUser}      // a challenge, which a forger of UDP can cause
	const hour, day = ban.Term(time.Hour), 24 * ban.Term(time.Hour)
	for _, r := range shipped(t).Rules {
		events := slices.Collect(maps.Keys(r.Match.Events()))
		if r.Match.Uses("message") { // of a user's access list, which is checked after the answer
			events = slices.DeleteFunc(events, func(name string) bool { return name == event.ACLReject })
		}
		only := func(known []string) bool {
			return !slices.ContainsFunc(events, func(name string) bool { return !slices.Contains(known, name) })
		}
		var wrong string
		switch b, brake, count := r.Ban, r.Brake, r.Threshold; {
		case len(events) == 0:
			wrong = "does not say which events it is about"
		case b == nil:
		case b.Account && (count == nil || count.Distinct != "user" && !slices.ContainsFunc(count.Per, func(k rule.KeyPart) bool { return k.Field == "user" })):
			wrong = "bans accounts and counts something else"
		case b.Account && !r.Match.Uses("fields"):
			wrong = "bans accounts whose password may not have been verified"
		case b.Account && (b.Terms[0] > hour/6 || slices.Max(b.Terms) > day):
			wrong = "bans accounts for too long: their owners cannot call meanwhile"
		case b.Account:
		case count != nil && !(count.Per[0].Field == "ip" && count.Per[0].Network == b.Network):
			wrong = "bans others than it counts"
		case slices.Max(b.Terms) > 30*day:
			wrong = "bans for more than a month, and addresses change hands"
		case only(slices.Concat(connected, answered)) && slices.Max(b.Terms) < day:
			wrong = "bans for less than a day, even for an attacker that returns"
		case only(connected):
		case only(slices.Concat(connected, answered)) && brake == nil && count != nil && count.Count >= 20: // the last step of a brake is no stricter
		case brake == nil || brake.Bans < 10 || brake.Bans > 1000 || brake.Within < 10*time.Minute:
			wrong = "bans as many as a forger of senders likes, or hardly anybody"
		case !only(slices.Concat(connected, answered)) && (b.Terms[0] > hour/6 || brake.Bans > 100), b.Terms[0] > hour:
			wrong = "bans for too long at the first time, or too many, where the sender may be forged"
		}
		if wrong != "" {
			t.Errorf("%s: %s", r.Where, wrong)
		}
	}
}
