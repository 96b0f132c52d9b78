package esl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const password = "s3cr3t-and-long"

// patience is the longest wait of a test.
const patience = time.Minute

var patient = limits{step: patience, silence: patience}

// everything is the subscription of tests that play recordings.
var everything = Subscription{Events: []string{"ALL"}, LogLevel: 7}

// settled fails the test if goroutines of goesl are left.
func settled(t testing.TB) {
	t.Helper()
	var stacks bytes.Buffer
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		stacks.Reset()
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		if !bytes.Contains(stacks.Bytes(), []byte("0x19/goesl")) {
			return
		}
	}
	t.Errorf("goroutines are left:\n%s", stacks.Bytes())
}

// A listening is a Listen in its own goroutine.
type listening struct {
	up       chan struct{}
	messages chan Message
	end      chan error
	cancel   context.CancelFunc
}

func listen(t testing.TB, s Switch, sub Subscription) *listening {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listening{up: make(chan struct{}), messages: make(chan Message, 100_000), end: make(chan error, 1), cancel: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.end <- s.Listen(ctx, sub, func() { close(l.up) }, func(m Message) { l.messages <- m })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		settled(t)
	})
	return l
}

func (l *listening) next(t testing.TB) Message {
	t.Helper()
	select {
	case m := <-l.messages:
		return m
	case err := <-l.end:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	return Message{}
}

func (l *listening) isUp(t testing.TB) {
	t.Helper()
	select {
	case <-l.up:
	case err := <-l.end:
		select {
		case <-l.up: // and has ended since
			l.end <- err
		default:
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("it did not come up")
	}
}

func TestListen(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{Password: password, Shred: 7})
	l := listen(t, Switch{Address: sw.Addr(), Password: password, limits: patient}, Subscription{
		Events:     []string{"CHANNEL_CREATE"},
		Subclasses: []string{"sofia::register_failure", "verto::login"},
		LogLevel:   4,
	})
	l.isUp(t)
	want := []string{"auth " + password, "event json HEARTBEAT CHANNEL_CREATE CUSTOM sofia::register_failure verto::login", "log 4"}
	if diff := cmp.Diff(want, sw.Commands()); diff != "" {
		t.Error(diff)
	}
	sw.Event("sofia::register", nil, "")
	sw.Event("sofia::register_failure", map[string]string{"network-ip": "203.0.113.5", "user-agent": "a \"\\\n\x01-ERR é"}, "")
	sw.Event("MESSAGE", nil, "")
	sw.Log(5, "sofia.c", "too low\n")
	sw.Log(4, "sofia.c", "one\n-ERR two \xff\n")
	sw.Event("HEARTBEAT", nil, "a body")
	if m := l.next(t); m.Name() != "sofia::register_failure" || m.Headers["user-agent"] != "a \"\\\n\x01-ERR é" || m.Record || m.Body != "" {
		t.Errorf("%+v", m)
	}
	if m := l.next(t); m.Name() != "" || !m.Record || m.Body != "one\n-ERR two \ufffd" || m.Headers["Log-File"] != "sofia.c" || len(m.Headers) != 6 {
		t.Errorf("%+v", m)
	}
	if m := l.next(t); m.Name() != "HEARTBEAT" || m.Body != "a body" {
		t.Errorf("%+v", m)
	}
	l.cancel()
	if err := <-l.end; !errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestLiveAsRecorded plays recordings, and compares with a Reader.
func TestLiveAsRecorded(t *testing.T) {
	for i, name := range []string{
		"nat-json.raw.gz", "nat-plain.raw.gz", "nat-log.raw.gz", "mixed-json.raw.gz", "mixed-plain.raw.gz",
		"handshakes/json_events_and_log4.raw",
	} {
		t.Run(name, func(t *testing.T) {
			stream := recording(t, name)
			want, _ := read(t, stream)
			sw := esltest.Start(t, esltest.Options{Password: password, Shred: uint64(i)})
			l := listen(t, Switch{Address: sw.Addr(), Password: password, limits: patient}, everything)
			l.isUp(t)
			if strings.Contains(name, "plain") {
				sw.Raw(string(stream)) // another format than the requested one
			} else if err := sw.Play(bytes.NewReader(stream)); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if diff := cmp.Diff(want[i], l.next(t)); diff != "" {
					t.Fatalf("message %d, - recorded, + live:\n%s", i, diff)
				}
			}
		})
	}
}

func TestUnreadableLive(t *testing.T) {
	sw := esltest.Start(t, esltest.Options{Password: password})
	unreadable := make(chan struct{}, 10)
	sub := everything
	sub.Unreadable = func() { unreadable <- struct{}{} }
	l := listen(t, Switch{Address: sw.Addr(), Password: password, limits: patient}, sub)
	l.isUp(t)
	for _, frame := range []string{
		eventJSON("null"), eventJSON(`{"a":"b`), "Content-Type: text/event-xml\nContent-Length: 3\n\n<a>",
		"Content-Type: api/response\nContent-Length: 4\n\n-ERR", "Content-Type: command/reply\nReply-Text: -ERR\n\n", "Content-Type: auth/request\n\n",
	} {
		sw.Raw(frame)
	}
	sw.Linger()
	sw.Event("HEARTBEAT", nil, "")
	if m := l.next(t); m.Name() != "HEARTBEAT" || len(unreadable) != 3 {
		t.Errorf("%+v after %d unreadable frames", m, len(unreadable))
	}
}

// TestEnds lets the connection fail in every way, and checks the error.
func TestEnds(t *testing.T) {
	soon := limits{step: 100 * time.Millisecond, silence: patience}   // before the first step
	later := limits{step: 2 * time.Second, silence: patience}         // time for the steps before
	asleep := limits{step: patience, silence: 200 * time.Millisecond} // after all steps
	for _, test := range []struct {
		name    string
		options esltest.Options
		limits  limits
		then    func(*esltest.Switch) // once it is up; nil if it does not come up
		kind    error
		text    string
	}{
		{name: "access list", options: esltest.Options{RefuseACL: true}, kind: ErrACLRefused, text: "apply-inbound-acl"},
		{name: "password", options: esltest.Options{Password: "another"}, kind: ErrAuthRefused, text: "event_socket.conf.xml"},
		{name: "mute", options: esltest.Options{Mute: esltest.Connect}, limits: soon, kind: ErrSilent, text: "does not ask"},
		{name: "mute to the password", options: esltest.Options{Mute: esltest.Auth}, limits: later, kind: ErrSilent, text: "does not answer"},
		{name: "mute to commands", options: esltest.Options{Mute: esltest.Ready}, limits: later, kind: ErrSilent, text: "heartbeat"},
		{name: "half open", limits: asleep, then: (*esltest.Switch).Freeze, kind: ErrSilent, text: "heartbeat"},
		{name: "killed", then: (*esltest.Switch).Drop, kind: ErrClosed, text: "without a notice"},
		{name: "reset", then: (*esltest.Switch).Reset, kind: ErrClosed, text: "reset"},
		{name: "shut down", then: (*esltest.Switch).Shutdown, kind: ErrClosed, text: "The system is being shut down."},
		{name: "too slow", then: (*esltest.Switch).KillSlow, kind: ErrClosed, text: "killed listener because of lost events"},
		{name: "within a frame", then: func(sw *esltest.Switch) {
			sw.Raw("Content-Length: 100\nContent-Type: text/event-json\n\n{")
			sw.Drop()
		}, kind: ErrClosed, text: "without a notice"},
		{name: "half a frame", limits: asleep, then: func(sw *esltest.Switch) {
			sw.Raw("Content-Length: 100\nContent-Type: text/event-json\n\n{")
		}, kind: ErrSilent, text: "heartbeat"},
		{name: "garbage", then: func(sw *esltest.Switch) { sw.Raw("\x00\x01\x1b[31m\n\n") }, kind: ErrProtocol, text: "it sends"},
		{name: "echo", then: func(sw *esltest.Switch) { sw.Raw("auth " + password + "\r\n\r\n") }, kind: ErrProtocol, text: "auth [password]"},
		{name: "negative length", then: func(sw *esltest.Switch) {
			sw.Raw("Content-Length: -1\nContent-Type: text/event-json\n\n")
		}, kind: ErrProtocol, text: "-1"},
		{name: "huge length", then: func(sw *esltest.Switch) {
			sw.Raw("Content-Length: 999999999999999\nContent-Type: text/event-json\n\n")
		}, kind: ErrProtocol, text: "999999999999999"},
		{name: "late rejection", then: func(sw *esltest.Switch) {
			sw.Raw("Content-Type: text/rude-rejection\nContent-Length: 0\n\n")
		}, kind: ErrACLRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.options.Password == "" {
				test.options.Password = password
			}
			if test.limits == (limits{}) {
				test.limits = patient
			}
			sw := esltest.Start(t, test.options)
			l := listen(t, Switch{Address: sw.Addr(), Password: password, limits: test.limits}, everything)
			if test.then != nil {
				l.isUp(t)
				test.then(sw)
			}
			judge(t, l, sw.Addr(), test.kind, test.text)
		})
	}
}

// judge checks the error of a listening.
func judge(t *testing.T, l *listening, address string, kind error, text string) {
	t.Helper()
	select {
	case err := <-l.end:
		for _, other := range []error{ErrUnreachable, ErrAuthRefused, ErrACLRefused, ErrSilent, ErrClosed, ErrProtocol} {
			if errors.Is(err, other) != (other == kind) {
				t.Errorf("%v", err)
			}
		}
		if !strings.HasPrefix(err.Error(), address+": ") || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), password) {
			t.Errorf("%v", err)
		}
		for _, c := range err.Error() {
			if c < ' ' {
				t.Errorf("%q cannot be printed", err)
			}
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	for _, address := range []string{listener.Addr().String(), "127.0.0.1", "", "no.such.host.invalid:1"} {
		l := listen(t, Switch{Address: address, Password: password, limits: patient}, everything)
		judge(t, l, address, ErrUnreachable, "mod_event_socket")
	}
}

// TestCancelled ends ctx at every stage of the dialogue.
func TestCancelled(t *testing.T) {
	for _, stage := range []esltest.Stage{esltest.Connect, esltest.Auth, esltest.Ready} {
		sw := esltest.Start(t, esltest.Options{Password: password, Mute: stage})
		l := listen(t, Switch{Address: sw.Addr(), Password: password, limits: patient}, everything)
		if stage > esltest.Connect {
			// A password without an answer is read as well.
			if err := sw.Await(t.Context(), "auth"); err != nil {
				t.Fatal(err)
			}
		}
		l.cancel()
		select {
		case err := <-l.end:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("it does not end")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Switch{Address: "192.0.2.1:8021", limits: patient}.Listen(ctx, everything, func() {}, func(Message) {})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestReplayedHandshakes answers with recorded dialogues of a real switch, each at
// once, and ends the connection.
func TestReplayedHandshakes(t *testing.T) {
	want := map[string]string{
		"acl_denied.raw":                "access list",
		"auth_wrong_password.raw":       "refuses the password",
		"no_auth_command.raw":           "refuses the password",
		"http_request.raw":              "refuses the password",
		"userauth_unknown.raw":          "refuses the password",
		"userauth_no_esl_password.raw":  "refuses the password",
		"content_length_negative.raw":   "Disconnected, goodbye. See you at ClueCon!",
		"content_length_huge.raw":       "Disconnected, goodbye. See you at ClueCon!",
		"exit.raw":                      "See you at ClueCon!",
		"shutdown.raw":                  "The system is being shut down.",
		"event_bad_name.raw":            "refused: -ERR no keywords supplied",
		"unknown_command.raw":           "refused: -ERR command not found",
		"slow_reader_killed.raw.gz":     "it does not ask for the password first",
		"json_events_and_log4.raw":      "without a notice",
		"two_commands_in_one_write.raw": "without a notice",
	}
	files, err := filepath.Glob("testdata/handshakes/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		address := serveOnce(t, recording(t, "handshakes/"+name))
		l := listen(t, Switch{Address: address, Password: password, limits: patient}, everything)
		if err := <-l.end; !strings.Contains(err.Error(), want[name]) {
			t.Errorf("%s: %v", name, err)
		} else if refused := errors.As(err, new(*Refusal)); want[name] == "" && !errors.Is(err, ErrClosed) || refused != strings.HasPrefix(want[name], "refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// serveOnce accepts one connection, writes text to it and closes it for writing. It
// reads the input, because a reset could lose some of the text.
func serveOnce(t testing.TB, text []byte) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write(text)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	}()
	return listener.Addr().String()
}

func TestSubscription(t *testing.T) {
	if got := (Subscription{LogLevel: -1}).commands(); !slices.Equal(got, []string{"event json HEARTBEAT"}) {
		t.Error(got)
	}
	err := Switch{Address: "127.0.0.1:1", Password: "a\nb"}.Listen(t.Context(), Subscription{}, nil, nil)
	if err == nil || strings.Contains(err.Error(), "a\nb") {
		t.Error(err)
	}
}

// TestNothingIsPrinted watches standard error, to which goesl logs the password,
// while connections succeed and fail.
func TestNothingIsPrinted(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stderr, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(int(file.Fd()), 2, 0); err != nil {
		t.Fatal(err)
	}
	var problems []string
	for _, options := range []esltest.Options{{}, {Password: "another"}, {RefuseACL: true}} {
		sw := esltest.Start(t, options)
		ctx, cancel := context.WithCancel(t.Context())
		err := Switch{Address: sw.Addr(), Password: "ClueCon", limits: patient}.Listen(ctx, everything, func() {
			sw.Raw(eventJSON(`{"Event-Name":"HEARTBEAT","list":["a"],"n":1}`))
		}, func(Message) { cancel() })
		cancel()
		if strings.Contains(err.Error(), "ClueCon") {
			problems = append(problems, err.Error())
		}
	}
	_ = unix.Dup3(stderr, 2, 0)
	_ = unix.Close(stderr)
	printed, err := os.ReadFile(file.Name())
	if err != nil || len(printed) > 0 || len(problems) > 0 {
		t.Errorf("%v: %s %q", err, printed, problems)
	}
}

func TestSwitchPrintsNoPassword(t *testing.T) {
	s := Switch{Address: "pbx:8021", Password: password}
	text := fmt.Sprintf("%v %+v %s %v", s, s, s, &s)
	encoded, err := json.Marshal(s)
	if err != nil || strings.Contains(text+string(encoded), password) {
		t.Errorf("%v: %s %s", err, text, encoded)
	}
}
