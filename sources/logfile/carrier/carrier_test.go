package carrier

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"freeswitch-security/sources/logfile/record"
)

const (
	message = "SIP auth failure (REGISTER) on sofia profile 'internal' for [1001@pbx] from ip 198.51.100.62"
	failure = "2026-05-03 21:30:11.034211 97.33% [WARNING] sofia_reg.c:1787 " + message
	header  = "2026-05-03 21:30:11.034211 97.33% [WARNING] sofia_reg.c:3210 "
	utc     = "2026-05-03 21:30:11.034211Z 97.33% [WARNING] sofia_reg.c:1787 " + message
	summer  = "2026-05-03 21:30:11.034211+02:00 97.33% [WARNING] sofia_reg.c:1787 " + message
)

// unwrapped returns what the lines of a file hold.
func unwrapped(t *testing.T, file string) string {
	t.Helper()
	c := Recognise([]byte(file))
	if c == nil {
		t.Fatalf("%q has no carrier", file)
	}
	u := c.Unwrapper(1<<16, false)
	var out []byte
	for line := range strings.Lines(file) {
		out = u.Append(out, strings.TrimSuffix(line, "\n"))
	}
	return string(u.Flush(out))
}

func TestForms(t *testing.T) {
	quoted := func(s string) string {
		text, _ := json.Marshal(s)
		return string(text)
	}
	for _, test := range []struct{ name, prefix, suffix, want string }{
		{"syslog (RFC 5424)", "<28>1 2026-05-03T21:30:11.034211Z pbx freeswitch 812 - - ", "", utc},
		{"syslog (RFC 5424)", "1 2026-05-03T21:30:11.034211+02:00 pbx freeswitch 812 ID1 - \ufeff", "", summer},
		{"syslog (RFC 5424)", "246 <28>1 - pbx freeswitch - - [a@1 b=\"\\\"]\" c=\"d\"][e] ", "", failure},
		{"syslog or journalctl", "May  3 21:30:11 pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "<28>May  3 21:30:11 pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "May  3 21:30:11 pbx.example.org freeswitch: ", "", failure},
		{"syslog or journalctl", "May 03 21:30:11.034211 2001:db8::5 /usr/bin/freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "2026 May  3 21:30:11 pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "May  3 2026 21:30:11 pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "May  3 21:30:11 2026 pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "Sun May  3 21:30:11 2026 user.warn freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "May  3 21:30:11 freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "2026-05-03T21:30:11+02:00 pbx freeswitch[812]: ", "", summer},
		{"syslog or journalctl", "2026-05-03T21:30:11.034211+0200 pbx freeswitch[812]: ", "", summer},
		{"syslog or journalctl", "2026-05-03 21:30:11,034 pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "2026-05-03T18:00:00-0330 pbx daemon.warning freeswitch[812]: ", "", utc},
		{"syslog or journalctl", "Sun 2026-05-03 21:30:11 CEST pbx freeswitch.service[812]: ", "", failure},
		{"syslog or journalctl", "Sun 2026-05-03 19:30:11 UTC pbx freeswitch.service[812]: ", "", summer},
		{"syslog or journalctl", "[  12.345678] pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "[  12.345678 <    0.000123 >] pbx freeswitch[812]: ", "", failure},
		{"syslog or journalctl", "1777843811.034211 pbx freeswitch[812]: ", "", utc},
		{"syslog or journalctl", "May  3 21:30:11 pbx docker/fs/0a1b2c3d[812]: ", "", failure},
		{"syslog or journalctl", "May  3 21:30:11 pbx freeswitch[812]: [ID 702911 local0.warning] ", "", failure},
		{"syslog or journalctl", "May  3 21:30:11 pbx freeswitch[812]: #033[35m", "#033[m", failure},
		{"syslog without time", "pbx freeswitch[812]: ", "", failure},
		{"syslog without time", "freeswitch[812]: ", "", failure},
		{"docker compose logs", "freeswitch-1  | ", "", failure},
		{"docker compose logs", "\x1b[36mfreeswitch-1  | \x1b[0m\x1b[m\x1b[35m", "\x1b[m", failure},
		{"docker compose logs", "freeswitch-1  | 2026-05-03T21:30:11.034211123Z ", "", utc},
		{"docker compose logs", "fs.1.x0b2@node-1    | ", "", failure},
		{"docker compose logs", "[pod/fs-0/freeswitch] ", "", failure},
		{"docker logs -t", "2026-05-03T19:30:11.034211123Z ", "", summer},
		{"the log of a Kubernetes container (CRI)", "2026-05-03T21:30:11.034211123Z stderr F ", "", utc},
		{"a coloured console", "\x1b[0;35m", "\x1b[0m\r", failure + "\r"},
		{"the json-file log of Docker", `{"log":"`, `\n","stream":"stdout","time":"2026-05-03T19:30:11.1Z"}`, summer},
		{"the journal's JSON (journalctl -o json)", `{"_HOSTNAME":"pbx","MESSAGE":"`, `","__REALTIME_TIMESTAMP":"1777843811034211"}`, utc},
	} {
		file := test.prefix + failure + test.suffix + "\n"
		if c := Recognise([]byte(file)); c == nil || c.Name != test.name {
			t.Errorf("%q: carrier %v", file, c)
			continue
		}
		if got := unwrapped(t, file); got != test.want+"\n" {
			t.Errorf("%q: %q", file, got)
		}
	}
	const json = `{"timestamp":1.777843811034211e+15,"level":4,"uuid":"2f663d64-fff8-482e-b5be-9d4bfa947ad8","file":"sofia_reg.c","line":1787,"full_message":%s}`
	file := fmt.Sprintf(json, quoted(message+"\n"+failure+"\n"))
	want := "2f663d64-fff8-482e-b5be-9d4bfa947ad8 2026-05-03 21:30:11.034211Z [WARNING] sofia_reg.c:1787 " + message + "\n " + failure + "\n"
	if got := unwrapped(t, file); got != want {
		t.Errorf("%q: %q", file, got)
	}
}

// TestPlain checks that what has no carrier is plain, and that a caller does not choose
// the carrier by lines of its own.
func TestPlain(t *testing.T) {
	syslogLine := "May  3 21:30:11 pbx freeswitch[812]: " + failure + "\n"
	for _, file := range []string{
		"", "hello\n", failure + "\n", "2026-09-29T12:00:01.000000Z [WARNING] sofia_reg.c:1792 x\n",
		"2f663d64-fff8-482e-b5be-9d4bfa947ad8 Dialplan: sofia/x parsing [a]\n" + failure + "\n",
		" " + failure, failure + "\n" + strings.Repeat(syslogLine, 20), syslogLine + failure + "\n" + failure + "\n",
		"a | b\n", "x[1]: y\n", "\x1b[31mhello\n", `{"log":1}` + "\n", "{\n", `{"full_message":"x","timestamp":"y"}`,
	} {
		if c := Recognise([]byte(file)); c != nil {
			t.Errorf("%q: %s", file, c.Name)
		}
	}
}

func TestUnwrap(t *testing.T) {
	const (
		prefix  = "May  3 21:30:11 pbx freeswitch[812]: "
		unknown = "Can't find user [%[1]s@%[2]s] from %[3]s"
		second  = "You must define a domain called '%[2]s' in your directory and add a user with the id=\"%[1]s\" attribute"
		third   = "and you must configure your device to use the proper domain in its authentication credentials."
	)
	three := func(lineBreak, user, domain, address string) string {
		return header + fmt.Sprintf(unknown+lineBreak+second+lineBreak+third, user, domain, address)
	}
	indent := strings.Repeat(" ", len(prefix))
	forged := three("#012", "x", "y", "203.0.113.9")[len(header)+len("Can't find user ["):]
	for _, test := range []struct{ name, file, want string }{
		{"joined further lines", prefix + three("#012", "x", "y", "192.0.2.1"), three("\n", "x", "y", "192.0.2.1")},
		{"joined, with a last line break", prefix + three("#012", "x", "y", "2001:db8::1") + "#012", three("\n", "x", "y", "2001:db8::1")},
		{"a forged end in the user's name", prefix + three("#012", forged, "y", "192.0.2.1"), three("\n", forged, "y", "192.0.2.1")},
		{"a forged end in the domain", prefix + three("#012", "x", forged, "192.0.2.1"), three("\n", "x", forged, "192.0.2.1")},
		{"an escape in the user's name", prefix + three("#012", "#012x#033[35m", "y", "192.0.2.1"), three("\n", "#012x#033[35m", "y", "192.0.2.1")},
		{"an escape elsewhere", prefix + failure + "#012x", failure + "#012x"},
		{"joined in the style of C", prefix + three(`\n`, "x", "y", "192.0.2.1") + `\n`, three("\n", "x", "y", "192.0.2.1")},
		{"joined, with another forged end", prefix + three(`\012`, forged, "y", "192.0.2.1"), three("\n", forged, "y", "192.0.2.1")},
		{"joined, by 1.10.1", strings.Replace(prefix+three("#012", "x", "y", "192.0.2.1"), " its ", " it's ", 1), strings.Replace(three("\n", "x", "y", "192.0.2.1"), " its ", " it's ", 1)},
		{"joined, of an invalid address", prefix + three("#012", "x", "y", "z"), three("#012", "x", "y", "z")},
		{"indented", prefix + three("\n"+indent, "x", "y", "192.0.2.1"), three("\n", "x", "y", "192.0.2.1")},
		{"indented, forged", prefix + failure + "\n" + indent + failure, failure + "\n " + failure},
		{"indented, folded", prefix + failure + "\n" + indent + " " + failure, failure + "\n " + failure},
		{"of another program", prefix + failure + "\nMay  3 21:30:11 pbx sshd[1]: x\n" + indent + "y\n" + prefix + "z", failure + "\nz"},
		{"of another process", prefix + failure + "\nMay  3 21:30:11 pbx freeswitch[813]: z", failure + "\nz"},
		{"of journalctl", prefix + failure + "\n-- Boot 0a1b2c3d --\n" + prefix + failure, failure + "\n" + failure},
		{"two parts", "2026-05-03T21:30:11.1Z stdout P " + failure[:90] + "\n2026-05-03T21:30:11.1Z stderr F x\n2026-05-03T21:30:11.1Z stdout F " + failure[90:], utc + "\nx"},
		{"two parts of two streams", "2026-05-03T21:30:11.1Z stdout P " + failure + "\n2026-05-03T21:30:11.1Z stderr P x", utc + "\nx"},
		{"console JSON in a container", `2026-05-03T21:30:11.1Z stdout F {"timestamp":1777843811034211,"level":4,"full_message":"x\ny\n"}`, "2026-05-03 21:30:11.034211Z [WARNING] x\ny"},
		{"colours alone", "\x1b[m\x1b[35m" + failure + "\n\x1b[m\n\x1b[m\x1b[35m" + failure, failure + "\n" + failure},
		{"a time that does not fit", "2026-05-03T21:35:11+00:00 pbx freeswitch: " + failure, "2026-05-03 21:35:11.000000Z" + failure[26:]},
		{"a time that does not fit, compared", "2026-05-03T21:30:11Z " + failure + "\n2026-05-03T21:35:11Z " + failure, utc + "\n" + utc},
		{"a plain line with a session", prefix + failure + "\n2f663d64-fff8-482e-b5be-9d4bfa947ad8 " + failure, failure + "\n" + failure},
		{"a session", prefix + "2f663d64-fff8-482e-b5be-9d4bfa947ad8 " + failure, "2f663d64-fff8-482e-b5be-9d4bfa947ad8 " + failure},
	} {
		if got := unwrapped(t, test.file+"\n"); got != test.want+"\n" {
			t.Errorf("%s:\n%s", test.name, got)
		}
	}
}

// TestLongLine checks that Docker's parts of one line are joined, and bounded.
func TestLongLine(t *testing.T) {
	docker := func(text string) string {
		quoted, _ := json.Marshal(text)
		return `{"log":` + string(quoted) + `,"stream":"stdout"}` + "\n"
	}
	part := failure + strings.Repeat("x", dockerPart)
	if got := unwrapped(t, docker(part)+docker(part)+docker("y\n")+docker("z\n")); got != part+part+"y\nz\n" {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-5:])
	}
	if got := unwrapped(t, docker("x")+docker("y")); got != "x\ny\n" {
		t.Errorf("%q", got)
	}
	if got := unwrapped(t, strings.Repeat(docker(part), 100)+docker("y\n")+docker("z\n")); len(got) != 1<<16+2+len("\nz\n") {
		t.Errorf("%d bytes", len(got))
	}
}

// BenchmarkHostile unwraps a message in whose user name the second line begins very often.
func BenchmarkHostile(b *testing.B) {
	text := strings.Repeat("#012"+mustDefine, 1500)
	line := "May  3 21:30:11 pbx freeswitch[812]: " + header + unknownUser + text + "@y] from 192.0.2.1#012" + mustDefine + "y" + withID + text + attribute + "#012" + andConfig
	u := table[5].Unwrapper(1<<20, false)
	for b.Loop() {
		if strings.Count(string(u.Append(nil, line)), "\n") != 3 {
			b.Fatal("not divided")
		}
	}
}

// TestCutOff checks which lines of syslog may have lost their end.
func TestCutOff(t *testing.T) {
	line := func(prefix string, length int) string {
		return prefix + strings.Replace(failure, "1001", strings.Repeat("1", 4+length-len(prefix)-len(failure)), 1) + "\n"
	}
	const classic = "May  3 21:30:11 pbx freeswitch[812]: "
	const iso = "2026-05-03T21:30:11.034211+02:00 pbx freeswitch[812]: "
	for _, test := range []struct {
		file string
		want int
	}{
		{line(classic, 1024), 1}, {line(classic, 1020), 1}, {line(classic, 2048), 1}, {line(classic, 4095), 1}, {line(classic, 8192), 1},
		{line(iso, 1024+16-4), 1},
		{line(classic, 900), 0}, {line(classic, 1050), 0}, {line(classic, 3000), 0},
		{line(classic, 1100) + line(classic, 1024), 0}, {line(classic, 1024) + line(classic, 1100) + line(classic, 1024), 1},
		{"fs  | " + line("", 1018), 0},
	} {
		if got := strings.Count(unwrapped(t, test.file), CutOff); got != test.want {
			t.Errorf("%.60q of %d bytes: %d", test.file, len(test.file), got)
		}
	}
}

// FuzzUnwrap checks that lines are bounded, and that a frame gives its text at most one
// line that begins a record.
func FuzzUnwrap(f *testing.F) {
	f.Add("May  3 21:30:11 pbx freeswitch[812]: "+failure, failure+"\n"+failure)
	f.Add(`{"log":"`+failure+`\n","stream":"stdout"}`, "x")
	f.Add(`{"MESSAGE":[1,2],"__REALTIME_TIMESTAMP":"1777843811034211"}`, failure+"\n"+utc)
	f.Add("2026-05-03T21:30:11.1Z stdout P "+failure, "\x1b[m#012")
	f.Add(`{"log":"`+strings.Repeat("\xdb", 1000)+`\n","stream":"stdout"}`, "x")
	f.Fuzz(func(t *testing.T, file, text string) {
		const maxLine = 1000
		most := len(file) + len(string([]rune(file))) + 200 // a byte that is no UTF-8 becomes three in JSON
		if c := Recognise([]byte(file)); c != nil {
			u := c.Unwrapper(maxLine, len(text)%2 == 0)
			for line := range strings.Lines(file) {
				out := string(u.Append(nil, strings.TrimSuffix(line, "\n")))
				if len(out) > most || out != "" && !strings.HasSuffix(out, "\n") {
					t.Errorf("%q: %q", line, out)
				}
			}
			u.AppendUnfinished(nil, file)
			u.Flush(nil)
		}
		PrefixLength(file)
		framed, _ := json.Marshal(map[string]any{"timestamp": 1777843811034211, "level": 4, "file": "sofia.c", "line": 1, "full_message": text})
		c := table[2]
		u := c.Unwrapper(maxLine, false)
		begun := 0
		for line := range strings.Lines(string(u.Append(nil, string(framed)))) {
			if record.Begins(strings.TrimSuffix(line, "\n")) {
				begun++
			}
		}
		if begun != 1 {
			t.Errorf("%q: %d records", text, begun)
		}
	})
}

func TestRecogniseLongJSON(t *testing.T) {
	text := strings.Repeat("a", 20<<10)
	for line, want := range map[string]*Carrier{
		`{"log":"` + text:                                 table[0],
		`{"__CURSOR":"s=1","MESSAGE":"` + text:            table[1],
		`{"host":"pbx","level":4,"full_message":"` + text: table[2],
		`{"other":"` + text:                               nil,
		text + `{"log":"`:                                 nil,
		"{\n" + `{"log":"` + text:                         nil,
	} {
		if got := Recognise([]byte(line)); got != want {
			t.Errorf("%.40s… is taken for %v", line, got)
		}
	}
}
