package esl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

func console(t *testing.T, s Switch) *Console {
	t.Helper()
	c, err := s.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConsole(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{Password: password, Shred: 3, API: func(command string) string {
		switch command {
		case "version":
			return "FreeSWITCH Version 1.11.3-dev~64bit ( 64bit)\n"
		case "uuid_kill x":
			return "-ERR No such channel!\n"
		case "uuid_kill":
			return "-USAGE: <uuid> [cause]\n"
		case "show calls":
			return "a name with -ERR in it\n\n0 total.\n"
		}
		return strings.Repeat("x", 1<<20)
	}})
	c := console(t, Switch{Address: sw.Addr(), Password: password, limits: patient})
	for range 3 { // a refusal does not close it
		for _, test := range []struct {
			command string
			args    []string
			want    string
			refusal string
		}{
			{"version", nil, "FreeSWITCH Version 1.11.3-dev~64bit ( 64bit)", ""},
			{"uuid_kill", []string{"x"}, "", "-ERR No such channel!"},
			{"uuid_kill", nil, "", "-USAGE: <uuid> [cause]"},
			{"show", []string{"calls"}, "a name with -ERR in it\n\n0 total.", ""},
			{"long", []string{"a", "b c d"}, strings.Repeat("x", 1<<20), ""},
		} {
			got, err := c.API(t.Context(), test.command, test.args...)
			var refusal *Refusal
			if got != test.want || (err == nil) != (test.refusal == "") || err != nil && (!errors.As(err, &refusal) || refusal.Text != test.refusal) {
				t.Errorf("%s: %.60q, %v", test.command, got, err)
			}
		}
	}
	if got := sw.Commands(); len(got) != 16 || got[5] != "api long a b c d" {
		t.Errorf("%q", got)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.API(t.Context(), "version"); err == nil {
		t.Error("a closed console carries out a command")
	}
}

// TestLongAnswer: a list of registrations may be longer than the limit of an event. TestConsoleBreaks has one
// beyond the limit of an answer.
func TestLongAnswer(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{Password: password, API: func(string) string { return strings.Repeat("x", maxBody+1) }})
	c := console(t, Switch{Address: sw.Addr(), Password: password, limits: patient})
	if answer, err := c.API(t.Context(), "show", "registrations"); err != nil || len(answer) != maxBody+1 {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
}

// TestArguments refuses words that the switch would read as more than one command.
func TestArguments(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{Password: password})
	c := console(t, Switch{Address: sw.Addr(), Password: password, limits: patient})
	for _, words := range [][]string{
		{""}, {"a b"}, {"a\n\napi fsctl shutdown"}, {"a", "b\nc"}, {"a", "b\r"}, {"a", "b\x00"}, {"a", "b\tc"}, {"a", "b\x7f"},
		{"a", "b\u0085"}, {"a", "b c", "d"}, {"a", "", "d"}, {"a", "b\u00a0c", "d"}, {"a", "\xff", "d"}, {"a", strings.Repeat("x", maxCommand)},
	} {
		if _, err := c.API(t.Context(), words[0], words[1:]...); err == nil {
			t.Errorf("%.40q was accepted", words)
		} else if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			t.Errorf("%.40q was sent", words)
		}
	}
	if got := sw.Commands(); len(got) != 1 {
		t.Errorf("%q was sent", got)
	}
	var refusal *Refusal
	if _, err := c.API(t.Context(), "still", "good"); !errors.As(err, &refusal) {
		t.Error(err)
	}
}

func TestConsoleEnds(t *testing.T) {
	soon := limits{step: 500 * time.Millisecond, silence: patience}
	for _, test := range []struct {
		name    string
		options esltest.Options
		limits  limits
		kind    error
	}{
		{"access list", esltest.Options{RefuseACL: true}, patient, ErrACLRefused},
		{"password", esltest.Options{Password: "another"}, patient, ErrAuthRefused},
		{"mute", esltest.Options{Password: password, Mute: esltest.Connect}, soon, ErrSilent},
		{"mute to the password", esltest.Options{Password: password, Mute: esltest.Auth}, soon, ErrSilent},
	} {
		sw := esltest.Start(t, test.options)
		c, err := Switch{Address: sw.Addr(), Password: password, limits: test.limits}.Console(t.Context())
		if c != nil || !errors.Is(err, test.kind) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", test.name, err)
		}
		sw.Close()
		if _, err := (Switch{Address: sw.Addr(), limits: patient}).Console(t.Context()); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := (Switch{Password: "a\nb"}).Console(t.Context()); err == nil {
		t.Error("a password of two lines was accepted")
	}
}

// TestResetAtLogin: the error is the same at each attempt. With the port of this host it would be logged each time.
func TestResetAtLogin(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "Content-Type: auth/request\n\n")
			_, _ = c.Read(make([]byte, 100))
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	s := Switch{Address: listener.Addr().String(), Password: password, limits: patient}
	want := listener.Addr().String() + ": " + ErrClosed.Error() + ": read: connection reset by peer"
	if _, err := s.Console(t.Context()); !errors.Is(err, ErrClosed) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestConsoleBreaks ends the connection, or its time, before the answer.
func TestConsoleBreaks(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(*esltest.Switch)
		kind error
	}{
		{"silence", (*esltest.Switch).Freeze, ErrSilent},
		{"kill", (*esltest.Switch).Drop, ErrClosed},
		{"shutdown", (*esltest.Switch).Shutdown, ErrClosed},
		{"garbage", func(sw *esltest.Switch) { sw.Raw("garbage\n") }, ErrProtocol},
		{"too long", func(sw *esltest.Switch) {
			sw.Raw(fmt.Sprintf("Content-Type: api/response\nContent-Length: %d\n\n", maxAnswer+1))
		}, ErrProtocol},
	} {
		failing := make(chan *esltest.Switch, 1)
		sw := esltest.Start(t, esltest.Options{Password: password, API: func(string) string {
			test.fail(<-failing)
			return "late\n"
		}})
		failing <- sw
		c := console(t, Switch{Address: sw.Addr(), Password: password, limits: patient})
		if test.kind == ErrSilent {
			c.conn.limits.step = 300 * time.Millisecond // from now on
		}
		if answer, err := c.API(t.Context(), "version"); answer != "" || !errors.Is(err, test.kind) {
			t.Errorf("%s: %q, %v", test.name, answer, err)
		}
		// A late answer must not be taken for that of the next command.
		if answer, err := c.API(t.Context(), "version"); answer != "" || !errors.Is(err, test.kind) {
			t.Errorf("%s, then: %q, %v", test.name, answer, err)
		}
	}
}

func TestConsoleContext(t *testing.T) {
	asked, release := make(chan struct{}, 10), make(chan struct{})
	sw := esltest.Start(t, esltest.Options{Password: password, API: func(string) string {
		asked <- struct{}{}
		<-release
		return "late\n"
	}})
	s := Switch{Address: sw.Addr(), Password: password, limits: patient}
	c := console(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.API(ctx, "version"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	brief, done := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer done()
	if _, err := console(t, s).API(brief, "version"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(release)
	if _, err := c.API(t.Context(), "version"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c = console(t, s)
	if _, err := c.API(ctx, "version"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if answer, err := c.API(t.Context(), "version"); answer != "late" {
		t.Error("a command that was not sent closed it:", err)
	}
	if _, err := s.Console(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestQuoteUUID writes names that a caller has chosen: each stays one word on one line.
func TestQuoteUUID(t *testing.T) {
	for uuid, want := range map[string]string{
		"0ea680a1-b96e-4bb6-9c1b-000000000001":  "0ea680a1-b96e-4bb6-9c1b-000000000001",
		"a;b|c&d$(x)":                           "a;b|c&d$(x)",
		"0ea680a1 x":                            `'0ea680a1\sx'`,
		"a\n\napi fsctl shutdown\r\n\r\n":       `'a\n\napi\sfsctl\sshutdown\r\n\r\n'`,
		`it's "two" \words`:                     `'it\'s\s\"two\"\s\\words'`,
		"^^:a:b":                                "'^^:a:b'",
		"a\x00\tb":                              `'a\tb'`,
		"":                                      "''",
		strings.Repeat("é", maxUUID):            strings.Repeat("é", maxUUID),
		"\u2028\u0085\x01\x7f" + "\u00a0\ufffd": "\u2028\u0085\x01\x7f\u00a0\ufffd",
	} {
		if got := quoteUUID(uuid); got != want {
			t.Errorf("%.40q: %q, want %q", uuid, got, want)
		}
	}
}

// TestUnreadableNames ends channels whose names the switch has cut within a character.
func TestUnreadableNames(t *testing.T) {
	var sent []string
	sw := esltest.Start(t, esltest.Options{Password: password, API: func(command string) string {
		sent = append(sent, command)
		switch {
		case command == "show channels as json":
			return `{"row_count":6,"rows":[{"uuid":"a"},{"uuid":"a` + "\xc3" + `"},{"uuid":7},{},{"uuid":"a` + "\xe2" + `"},{"uuid":"\u0001\\` + "€\xe2\x82" + `"}]}`
		case strings.HasPrefix(command, "uuid_dump"):
			return `{"Unique-ID":"a"}`
		case command == "sched_hangup +0 a\xe2 CALL_REJECTED":
			return "-ERR No such channel!\n" // it has ended meanwhile
		}
		return "+OK\n"
	}})
	c := console(t, Switch{Address: sw.Addr(), Password: password, limits: patient})
	for uuid, want := range map[string]string{
		"a\ufffd":                  "[sched_hangup +0 a\xc3 CALL_REJECTED sched_hangup +0 a\xe2 CALL_REJECTED]",
		"\x01\\\u20ac\ufffd\ufffd": "[sched_hangup +0 '\x01\\\\\xe2\x82\xac\xe2\x82' CALL_REJECTED]",
		"b\ufffd":                  "[]",
	} {
		sent = nil
		err := c.Hangup(t.Context(), uuid, "CALL_REJECTED")
		if got := fmt.Sprint(sent[1:]); got != want || (err == nil) != (want != "[]") {
			t.Errorf("%q: sent %q, %v, want %q", uuid, got, err, want)
		}
	}
	if headers, err := c.Channel(t.Context(), "a\ufffd"); err != nil || headers["Unique-ID"] != "a" {
		t.Errorf("%v, %v", headers, err)
	}
}
