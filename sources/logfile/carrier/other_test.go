package carrier

import (
	"strings"
	"testing"
)

// TestOthers unwraps messages of another program.
func TestOthers(t *testing.T) {
	const login = "[203.0.113.5] authentication failed"
	const seen = " [OTHER] FusionPBX: " + login + "\n"
	for _, test := range []struct{ line, want string }{
		{"May  3 21:30:11 pbx FusionPBX: " + login, "05-03 21:30:11" + seen},
		{"Feb 29 21:30:11.5 pbx FusionPBX[812]: " + login, "02-29 21:30:11.5" + seen},
		{"<37>2026 May  3 21:30:11 pbx FusionPBX[812]: " + login, "2026-05-03 21:30:11" + seen},
		{"May  3 21:30:11 2026 pbx FusionPBX[812]: " + login, "2026-05-03 21:30:11" + seen},
		{"2026-05-03 21:30:11,034 pbx FusionPBX[812]: " + login, "2026-05-03 21:30:11.034" + seen},
		{"2026-05-03T21:30:11+02:00 pbx FusionPBX[812]: " + login, "2026-05-03 19:30:11.000000Z" + seen},
		{"Sun 2026-05-03 21:30:11 CEST pbx FusionPBX[812]: " + login, "2026-05-03 21:30:11" + seen},
		{"<37>1 2026-05-03T21:30:11.034211Z pbx FusionPBX 812 - - " + login, "2026-05-03 21:30:11.034211Z" + seen},
		{`{"MESSAGE":"[203.0.113.5] authentication failed","__REALTIME_TIMESTAMP":"1777843811034211","_HOSTNAME":"pbx","SYSLOG_IDENTIFIER":"FusionPBX"}`, "2026-05-03 21:30:11.034211Z" + seen},
		// Without a time or a program, or with a line break of its own.
		{"[  12.345678] pbx FusionPBX[812]: " + login, ""},
		{`{"log":"[203.0.113.5] authentication failed\n","stream":"stdout","time":"2026-05-03T21:30:11Z"}`, login + "\n"},
		{`{"MESSAGE":"[203.0.113.5] authentication failed\nx","__REALTIME_TIMESTAMP":"1777843811034211","_HOSTNAME":"pbx","SYSLOG_IDENTIFIER":"FusionPBX"}`, ""},
		// FreeSWITCH's own lines stay as they are.
		{"May  3 21:30:11 pbx freeswitch[812]: " + failure, failure + "\n"},
	} {
		c := Recognise([]byte(test.line))
		if c == nil {
			t.Errorf("%q has no carrier", test.line)
			continue
		}
		u := c.Unwrapper(1<<16, true)
		if got := string(u.Append(nil, test.line)); got != test.want {
			t.Errorf("%q:\n got %q\nwant %q", test.line, got, test.want)
		}
		u = c.Unwrapper(1<<16, false)
		if got := string(u.Append(nil, test.line)); strings.Contains(got, "[OTHER]") {
			t.Errorf("%q: %q, unasked", test.line, got)
		}
		if text := OtherText(test.line); strings.HasSuffix(test.want, seen) && text != "FusionPBX: "+login {
			t.Errorf("%q: %q", test.line, text)
		}
	}
}
