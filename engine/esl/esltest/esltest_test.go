package esltest

import (
	"bytes"
	"context"
	"errors"
	"freeswitch-security/engine/golden"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// dial connects a client.
func dial(t *testing.T, s *Switch) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads len(want) bytes and compares them.
func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(conn, got)
	if err != nil || string(got) != want {
		t.Fatalf("%v\n got %q\nwant %q", err, got[:n], want)
	}
}

// TestDialogues repeats recorded dialogues with a real switch, and expects its answers.
func TestDialogues(t *testing.T) {
	const auth = "auth ClueCon\n\n"
	for name, sent := range map[string]string{
		"acl_denied":              "",
		"auth_ok":                 auth,
		"auth_wrong_password":     "auth wrong\n\n",
		"no_auth_command":         "event plain all\n\n",
		"http_request":            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"unknown_command":         auth + "nosuchcommand\n\n",
		"crlf_commands":           "auth ClueCon\r\n\r\napi version\r\n\r\n",
		"api_ok":                  auth + "api version\n\n",
		"api_err":                 auth + "api uuid_kill x\n\n",
		"api_unknown_command":     auth + "api nosuchcommand\n\n",
		"event_bad_name":          auth + "event json NO_SUCH_EVENT\n\n",
		"event_json_custom":       auth + "event json CUSTOM sofia::register_failure\n\n",
		"log4":                    auth + "log 4\n\n",
		"exit":                    auth + "exit\n\n",
		"nixevent_noevents":       auth + "event plain HEARTBEAT\n\nnoevents\n\n",
		"content_length_negative": "auth ClueCon\nContent-Length: -5\n\n",
		"content_length_huge":     auth + "sendevent X\nContent-Length: 99999999\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile("../testdata/handshakes/" + name + ".raw")
			if err != nil {
				t.Fatal(err)
			}
			s := Start(t, Options{RefuseACL: name == "acl_denied", API: func(command string) string {
				switch command {
				case "version":
					return "FreeSWITCH Version 1.11.3-dev~64bit ( 64bit)\n"
				case "uuid_kill x":
					return "-ERR No such channel!\n"
				}
				return "-ERR " + command + " Command not found!\n"
			}})
			conn := dial(t, s)
			send(t, conn, sent)
			expect(t, conn, string(want))
			ends := strings.Contains(string(want), "goodbye")
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(conn)
			if err != nil || ends && len(rest) > 0 || !ends && string(rest) != frame("text/disconnect-notice", goodbye) {
				t.Errorf("then %q, %v", rest, err)
			}
		})
	}
}

// TestPlay checks that a connection gets of a recording only what it has subscribed to.
func TestPlay(t *testing.T) {
	recording := golden.Read(t, "../testdata/mixed-json.raw.gz")
	plain := golden.Read(t, "../testdata/mixed-plain.raw.gz")
	for _, test := range []struct {
		command string
		events  int
	}{
		{"event json ALL", 54},
		{"event json HEARTBEAT", 1},
		{"event json heartbeat NO_SUCH CUSTOM sofia::register_failure", 5},
		{"event json CUSTOM sofia::register_failure", 4},
		{"event CUSTOM sofia::register_failure", 4},
		{"event json CUSTOM", 0},
		{"log 7", 1},
		{"log 3", 0},
	} {
		s := Start(t, Options{Shred: 5})
		conn := dial(t, s)
		send(t, conn, "auth ClueCon\n\n"+test.command+"\n\n")
		if err := s.Await(t.Context(), test.command); err != nil {
			t.Fatal(err)
		}
		go func() {
			for _, stream := range [][]byte{recording, plain} {
				if err := s.Play(bytes.NewReader(stream)); err != nil {
					t.Error(err)
				}
			}
			s.Log(4, "sofia.c", "text\n")
			s.Drop()
		}()
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(got, []byte("Content-Type: text/event-")) + bytes.Count(got, []byte("Content-Type: log/data")); n != test.events {
			t.Errorf("%s: %d events, want %d", test.command, n, test.events)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s := Start(t, Options{Heartbeat: time.Millisecond})
	conn := dial(t, s)
	expect(t, conn, "Content-Type: auth/request\n\n")
	send(t, conn, "auth ClueCon\n\nevent plain HEARTBEAT\n\n")
	expect(t, conn, commandReply("+OK accepted")+commandReply("+OK event listener enabled plain")+"Content-Length: ")
	if s.Connections() != 1 {
		t.Error(s.Connections())
	}
	s.Close()
	if s.Connections() != 0 {
		t.Error(s.Connections())
	}
}

func TestAwaitGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Start(t, Options{}).Await(ctx, "log"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
