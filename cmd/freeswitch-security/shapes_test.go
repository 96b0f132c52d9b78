package main

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// shapes are test lines of fail2ban and CrowdSec, and lines that they are known to miss. "" is no
// event.
var shapes = []struct{ line, event, ip string }{
	// fail2ban
	{"2013-12-31 17:39:54.767815 [WARNING] sofia_reg.c:1533 SIP auth challenge (INVITE) on sofia profile 'internal' for [011448708752617@192.168.2.51] from ip 81.94.202.251", event.Challenge, "81.94.202.251"},
	{"2013-12-31 17:39:54.767815 [WARNING] sofia_reg.c:1478 SIP auth failure (INVITE) on sofia profile 'internal' for [000972543480510@192.168.2.51] from ip 5.11.47.236", event.AuthFailure, "5.11.47.236"},
	{`2013-12-31 17:39:54.767815 [DEBUG] sofia.c:7954 IP 185.24.234.141 Rejected by acl "domains". Falling back to Digest auth.`, "", ""},
	{"2013-12-31 17:39:54.767815 [WARNING] sofia_reg.c:2531 Can't find user [1001@192.168.2.51] from 5.11.47.236", event.UnknownUser, "5.11.47.236"},
	{"2016-09-25T18:57:58.150982 www.srv.tld freeswitch[122921]: 2016-09-25 18:57:58.150982 [WARNING] sofia_reg.c:2889 Can't find user [201@::1] from 192.0.2.1", event.UnknownUser, "192.0.2.1"},
	{"2016-09-25T18:57:58.150982 www.srv.tld freeswitch[122921]: 2016-09-25 18:57:58.150982 [WARNING] sofia_reg.c:1720 SIP auth failure (INVITE) on sofia profile 'sipinterface_1' for [9810972597751739@::1] from ip 192.0.2.2", event.AuthFailure, "192.0.2.2"},
	{"08-03 07:56:53.026292 [WARN] [SOFIA] [sofia_reg.c:4130] Can't find user [101@148.251.134.154] from 192.0.2.3", event.UnknownUser, "192.0.2.3"},
	{"08-03 08:10:21.026299 [WARN] [SOFIA] [sofia_reg.c:2248] SIP auth failure (INVITE) on sofia profile 'external' for [41801148436701961@148.251.134.154] from ip 192.0.2.4", event.AuthFailure, "192.0.2.4"},
	{"2021-10-29 21:04:58.150982 00.00% [WARNING] sofia_reg.c:2889 Can't find user [201@::1] from 192.0.2.5", event.UnknownUser, "192.0.2.5"},

	{"2021-10-29 21:05:58.894719 www.srv.tld freeswitch[123456]: 2021-10-29 14:13:24.894719 82.43% [WARNING] sofia_reg.c:2889 Can't find user [201@::1] from 192.0.2.5", event.UnknownUser, "192.0.2.5"},

	// CrowdSec
	{"2023-03-06 15:13:32.685002 96.83% [WARNING] sofia_reg.c:3223 SIP auth failure (INVITE) on sofia profile '123' for [123] from ip 1.2.3.4", event.AuthFailure, "1.2.3.4"},
	{"2023-03-06 15:13:32.685002 96.83% [WARNING] sofia_reg.c:3223 SIP auth failure (REGISTER) on sofia profile '123' for [123] from ip 1.2.3.4", event.AuthFailure, "1.2.3.4"},
	{"2023-03-06 15:13:23.504993 96.80% [WARNING] sofia_reg.c:3223 IP 1.2.3.4 Rejected by register acl", event.ACLReject, "1.2.3.4"},
	{"2023-03-06 15:11:14.385000 96.03% [WARNING] sofia_reg.c:3223 Can't find user [2501@1.2.3.4] from 1.2.3.4", event.UnknownUser, "1.2.3.4"},

	// lines that either of them misses, or attributes to another address
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [10]0@pbx.example.org] from ip 198.51.100.3", event.AuthFailure, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [x] from ip 8.8.8.8@pbx.example.org] from ip 198.51.100.3", event.AuthFailure, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3210 Can't find user [@pbx.example.org] from 198.51.100.3", event.UnknownUser, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3210 Can't find user [100@] from 198.51.100.3", event.UnknownUser, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3210 Can't find user [100@a]b] from 198.51.100.3", event.UnknownUser, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3210 Can't find user [100@_sip.bad_host] from 198.51.100.3", event.UnknownUser, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3210 Can't find user [100@pbx] from evil.example.org", "", ""},
	{`2026-05-04 10:11:12.131415 97.10% [WARNING] sofia.c:10679 IP 198.51.100.3 Rejected by acl "domains"`, event.ACLReject, "198.51.100.3"},
	{`2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:2406 IP 198.51.100.3 Rejected by register acl "lan"`, event.ACLReject, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3275 IP 198.51.100.3 Rejected by user acl [lan] and no proxy acl present", event.ACLReject, "198.51.100.3"},
	{"2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 sofia_reg_handle_register_token() SIP auth failure (REGISTER) on sofia profile 'internal' for [101@pbx] from ip 198.51.100.3", event.AuthFailure, "198.51.100.3"},
	{"May  4 10:11:12 pbx1 freeswitch[4711]: 2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:3210 Can't find user [101@2001:db8::1] from 2001:db8::3", event.UnknownUser, "2001:db8::3"},
	{"1b2c3d4e-0000-4000-8000-123456789abc 2026-05-04 10:11:12.131415 97.10% [INFO] mod_dialplan_xml.c:637 Processing 2023-03-06 15:13:32.685002 [WARNING] sofia_reg.c:1 SIP auth failure (REGISTER) on sofia profile 'x' for [1@1] from ip 8.8.8.8 <1000>->9196 in context public", "", ""},
}

// TestShapesOfOthers reads each line with the shipped log source.
func TestShapesOfOthers(t *testing.T) {
	log := logOf(shipped(t))
	for _, shape := range shapes {
		var got []*event.Event
		_, err := log.Source.Replay(t.Context(), plugin.Recording{
			Name: "a line", ModTime: time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC), R: strings.NewReader(shape.line + "\n"),
		}, nil, func(e *event.Event) error {
			got = append(got, e)
			return nil
		})
		switch {
		case err != nil:
			t.Errorf("%s: %v", shape.line, err)
		case shape.event == "" && len(got) > 0:
			t.Errorf("%s: read as %s of %s, want no event", shape.line, got[0].Name, got[0].IP)
		case shape.event != "" && (len(got) != 1 || got[0].Name != shape.event || got[0].IP.String() != shape.ip):
			t.Errorf("%s: want %s of %s, got %v", shape.line, shape.event, shape.ip, got)
		}
	}
}
