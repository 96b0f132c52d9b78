package record

import (
	"strings"
	"testing"
	"time"
)

const plain = "2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 "

func TestHeader(t *testing.T) {
	const uuid = "2f663d64-fff8-482e-b5be-9d4bfa947ad8 "
	tests := []struct {
		header string
		time   string
		level  string
		file   string
	}{
		{plain, "2026-05-04T10:11:12.131415Z", "WARNING", "sofia_reg.c"},
		{uuid + plain, "2026-05-04T10:11:12.131415Z", "WARNING", "sofia_reg.c"},
		{"2019-05-04 10:11:12.131415 [WARNING] sofia_reg.c:1743 ", "2019-05-04T10:11:12.131415Z", "WARNING", "sofia_reg.c"},
		{"2019-05-04 10:11:12.131 [ERR] sofia.c:1 ", "2019-05-04T10:11:12.131Z", "ERR", "sofia.c"},
		{"2019-05-04 10:11:12 [ERROR] sofia.c:1 ", "2019-05-04T10:11:12Z", "ERR", "sofia.c"},
		{"2019-05-04 10:11:12.131415 [CRITICAL] switch_time.c:12 ", "2019-05-04T10:11:12.131415Z", "CRIT", "switch_time.c"},
		{"2019-05-04 10:11:12.131415 [DEBUG10] mod_x.cpp:12 ", "2019-05-04T10:11:12.131415Z", "DEBUG", "mod_x.cpp"},
		{"2019-05-04 10:11:12.131415 1.0% [INFO] a script.lua:5 ", "2019-05-04T10:11:12.131415Z", "INFO", ""},
		{"08-03 07:56:53.026292 [WARN] [SOFIA] [sofia_reg.c:4130] ", "2026-08-03T07:56:53.026292Z", "WARNING", "sofia_reg.c"},
		{"12-31 07:56:53.026292 [WARN] [sofia_reg.c:4130] ", "2025-12-31T07:56:53.026292Z", "WARNING", "sofia_reg.c"},
		{"2026-05-04T10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 ", "2026-05-04T10:11:12.131415Z", "WARNING", "sofia_reg.c"},
		{"2026-05-04T10:11:12Z [WARNING] sofia_reg.c:1787 ", "2026-05-04T10:11:12Z", "WARNING", "sofia_reg.c"},
		{uuid + "2026-05-04T10:11:12.5+02:00 97.10% [WARNING] sofia_reg.c:1787 ", "2026-05-04T08:11:12.5Z", "WARNING", "sofia_reg.c"},
		{"2026-05-04 10:11:12.131415-0130 97.10% [WARNING] sofia_reg.c:1787 ", "2026-05-04T11:41:12.131415Z", "WARNING", "sofia_reg.c"},
		{plain + "sofia_reg_handle_register_token() ", "2026-05-04T10:11:12.131415Z", "WARNING", "sofia_reg.c"},
	}
	c := Clock{Zone: time.UTC, ModTime: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	for _, test := range tests {
		line := test.header
		if test.file != "" {
			line += "SIP auth failure"
		}
		h, ok := ParseHeader(line)
		if !ok {
			t.Errorf("%q is no header", line)
			continue
		}
		if test.file != "" && line[h.Message:] != "SIP auth failure" {
			t.Errorf("%q: message %q", line, line[h.Message:])
		}
		at := c.Time(h.Stamp)
		if got := at.Format(time.RFC3339Nano); got != test.time || h.Level != test.level || h.File != test.file {
			t.Errorf("%q: %s %s %q", line, got, h.Level, h.File)
		}
		if short, ok := ParseHeader(test.header); test.file != "" && (!ok || short != h) {
			t.Errorf("%q: with an empty message, the header is %v", test.header, short)
		}
	}
}

func TestNoHeader(t *testing.T) {
	for _, line := range []string{
		"", " " + plain + "x", "\t" + plain + "x", "x" + plain, "[" + plain,
		"2f663d64-fff8-482e-b5be-9d4bfa947ad8 Dialplan: sofia/x parsing [a]",
		"zf663d64-fff8-482e-b5be-9d4bfa947ad8 " + plain,
		"2026-13-04 10:11:12.131415 [WARNING] sofia_reg.c:1 x", "2026-02-29 10:11:12.131415 [WARNING] sofia_reg.c:1 x",
		"2026-05-04 24:11:12.131415 [WARNING] sofia_reg.c:1 x", "2026-05-04  10:11:12.131415 [WARNING] sofia_reg.c:1 x",
		"0000-05-04 10:11:12.131415 [WARNING] sofia_reg.c:1 x", "2026-05-04 10:11:12. [WARNING] sofia_reg.c:1 x",
		"2026-05-04 10:11:12.131415 [WARNUNG] sofia_reg.c:1 x", "2026-05-04 10:11:12.131415 [warning] sofia_reg.c:1 x",
		"2026-05-04 10:11:12.131415 WARNING sofia_reg.c:1 x", "2026-05-04 10:11:12.131415 [WARNING]sofia_reg.c:1 x",
		"2026-05-04T10:11:12+02:00 pbx1 freeswitch[x]: " + plain, "2026-05-04T10:11:12+02:00 pbx1 " + plain,
		"May  4 10:11:12 pbx1 freeswitch[4711]: " + plain,
		"2026-05-04T10:11:12.131415+2:00 [WARNING] sofia_reg.c:1 x", "2026-05-04T10:11:12.131415+24:00 [WARNING] sofia_reg.c:1 x",
		"2026-05-04T10:11:12.131415ZZ [WARNING] sofia_reg.c:1 x", "05-04T10:11:12 [WARNING] sofia_reg.c:1 x",
	} {
		if h, ok := ParseHeader(line); ok {
			t.Errorf("%q has a header: %+v", line, h)
		}
	}
}

func TestClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones on this host: ", err)
	}
	stamps := func(text string) Stamp {
		var s Stamp
		if _, ok := s.parse(text, 0); !ok {
			t.Fatalf("%q is no stamp", text)
		}
		return s
	}
	at := func(s string) time.Time {
		modTime, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return modTime
	}
	for _, test := range []struct{ stamp, modTime, want string }{
		{"2026-05-04 10:11:12.5", "", "2026-05-04T10:11:12.5+02:00"},
		{"2026-11-04 10:11:12.5", "", "2026-11-04T10:11:12.5+01:00"},
		{"2026-03-29 02:30:00", "", "2026-03-29T03:30:00+02:00"}, // skipped that day
		{"2026-03-29 03:30:00", "", "2026-03-29T03:30:00+02:00"},
		{"01-02 00:00:00", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00+01:00"},
		{"01-02 10:00:00", "2026-01-02T00:00:00Z", "2026-01-02T10:00:00+01:00"}, // the clock of the switch is ahead
		{"01-04 00:00:00", "2026-01-02T00:00:00Z", "2025-01-04T00:00:00+01:00"},
		{"12-31 23:00:00", "2026-01-01T00:00:00Z", "2025-12-31T23:00:00+01:00"},
		{"01-01 00:30:00", "2025-12-31T23:29:00Z", "2026-01-01T00:30:00+01:00"},
		{"02-29 12:00:00", "2026-06-01T00:00:00Z", "2024-02-29T12:00:00+01:00"},
	} {
		c := Clock{Zone: berlin}
		if test.modTime != "" {
			c.ModTime = at(test.modTime)
		}
		for range 2 { // the second time from the cache
			at := c.Time(stamps(test.stamp))
			if got := at.Format(time.RFC3339Nano); got != test.want {
				t.Errorf("%s, last written to %s: %s, want %s", test.stamp, test.modTime, got, test.want)
			}
		}
	}
}

// FuzzHeader checks that the parser stays within the line, and that more text behind a
// header leaves it a header.
func FuzzHeader(f *testing.F) {
	f.Add(plain + "x")
	f.Add("08-03 07:56:53.026292 [WARN] [SOFIA] [sofia_reg.c:4130] Can't")
	f.Add("May  4 10:11:12 pbx1 freeswitch[4711]: " + plain)
	f.Add("2026-05-04T10:11:12.131415+02:00 pbx1 freeswitch[4711]: " + plain)
	f.Fuzz(func(t *testing.T, line string) {
		line, _, _ = strings.Cut(line, "\n")
		h, ok := ParseHeader(line)
		Begins(line)
		if !ok {
			return
		}
		if h.Message > len(line) || !h.Stamp.valid() {
			t.Errorf("%q: %+v", line, h)
		}
		if line[0] == ' ' || line[0] == '\t' {
			t.Errorf("%q: header behind white space", line)
		}
		if _, ok := ParseHeader(line + "x y"); !ok {
			t.Errorf("%q: no header any more with text behind it", line)
		}
	})
}

func TestReceivedLength(t *testing.T) {
	for line, want := range map[string]int{
		"recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:": 350,
		"recv 1 bytes from tcp/[2001:db8::5]:1 at 22:17:45.495001:":       1,
	} {
		if n, ok := ReceivedLength(line); !ok || n != want {
			t.Errorf("%q: %d, %v", line, n, ok)
		}
	}
	for _, line := range []string{"", "recv ", "recv 1 bytes from udp", "send 350 bytes to udp/[192.0.2.205]:44287 at 22:17:45.495001:"} {
		if n, ok := ReceivedLength(line); ok {
			t.Errorf("%q: %d", line, n)
		}
	}
}

func FuzzReceivedLength(f *testing.F) {
	f.Add("recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:")
	f.Fuzz(func(t *testing.T, line string) {
		if n, _ := ReceivedLength(line); n < 0 {
			t.Errorf("%q: %d", line, n)
		}
	})
}
