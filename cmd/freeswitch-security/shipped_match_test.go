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
	rules := shipped(t).Rules
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
			return told(event.Event{Name: event.Call, Destination: number, Fields: map[string]string{"variable_sip_authorized": authorized}})
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
		{"calls abroad", call("true"), []string{"001234567", "00441234567", "011441234567", "9900441234567", "*00441234567"},
			[]string{"00123456", "01142726444", "0301234567", "+441234567", "00441234567x", "x00441234567"}},
		{"calls abroad", call(""), nil, []string{"00441234567"}},
		{"expensive destination", call(""), nil, []string{"+88212345"}},
		{"calls per minute", call(""), nil, []string{"1000", "00441234567"}},
		{"calls per hour", call(""), nil, []string{"1000", "00441234567"}},
		{"account in many places", named, []string{event.Registered}, []string{event.AuthSuccess, event.Unregistered, event.Challenge}},
		{"toll fraud", call("true"), nil, []string{"00441234567"}},
		{"call flood", call("true"), nil, []string{"1000"}},
		{"expensive destination", call("true"), []string{
			"+88212345", "0088212345", "01188212345", "+87012345", "+97912345", "+5312345", "+22412345", "+23112345", "+23212345", "+23912345", "+25212345",
			"+25712345", "+26912345", "+67512345", "+67712345", "+68212345", "+96012345", "+22012345", "+24512345", "+50012345", "+67012345",
			"+67212345", "+67412345", "+67812345", "+68112345", "+68312345", "+68512345", "+68612345", "+68812345", "+68912345", "+69012345",
			"+69112345", "+69212345", "+85012345", "90088212345", "#901188212345",
		}, []string{"+8821234", "+41441234567", "+68012345", "+68412345", "+68712345", "+67112345", "0041882123456", "882123456", "+49882123456", "+88212345x", "x+88212345"}},
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
