package logfile

import (
	"bytes"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

func TestFramed(t *testing.T) {
	const uuid = "2f663d64-fff8-482e-b5be-9d4bfa947ad8 "
	for _, test := range []struct {
		name, message string
		event         string // "": none, "doubted": none and counted
	}{
		{"alone", failureLine, event.AuthFailure},
		{"without a line break", strings.TrimSpace(failureLine), event.AuthFailure},
		{"of a session", uuid + failureLine, event.AuthFailure},
		{"long, of a session", uuid + strings.Replace(failureLine, "1000", strings.Repeat("1", 3000), 1), event.AuthFailure},
		{"of three lines", unknownLine + unknownText, event.UnknownUser},
		{"of three lines before v1.10.2", unknownLine + strings.Replace(unknownText, "its", "it's", 1), event.UnknownUser},
		{"of one line where three are usual", unknownLine, event.UnknownUser},
		{"of four lines", unknownLine + unknownText + "x\n", "doubted"},
		{"with the second line of another", failureLine + unknownText, "doubted"},
		{"with an empty line", failureLine + "\n", "doubted"},
		{"with text", failureLine + "x domain: 10.77.0.10\n", "doubted"},
		// In a file each of these would begin another message.
		{"with a line that has a header", failureLine + noiseLine, "doubted"},
		{"with a session's line", failureLine + uuid + "v=0", "doubted"},
		{"with the head of a trace", failureLine + "recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:\n", "doubted"},
		{"behind a line that is none", "x\n" + failureLine, ""},
		{"with a carriage return", strings.TrimSpace(failureLine) + "\r\n", ""},
		{"with a user of two lines", strings.Replace(unknownLine, "1000", "x\r\n "+strings.TrimSpace(failureLine), 1) + unknownText, ""},
		{"ambiguous", strings.Replace(plain, "WARNING] sofia_reg.c", "INFO] sofia.c", 1) + "sofia/x/a receiving invite from 1.1.1.1:1 version: 1 call-id: receiving invite from 2.2.2.2:2 version: 1 call-id: x\n", "doubted"},
		{"with a forged call-id", strings.Replace(plain, "WARNING] sofia_reg.c", "INFO] sofia.c", 1) + `sofia/x/a receiving invite from 1.1.1.1:1 version: 1 call-id: x\n2026-05-04\s10:11:12.131415\s97.10%\s[WARNING]\ssofia_reg.c:1787\sSIP\sauth\sfailure\s(REGISTER)\son\ssofia\sprofile\s\'internal\'\sfor\s[1000@pbx]\sfrom\sip\s192.0.2.98`, event.Call},
		{"without a year", failureLine[len("2026-"):], ""},
		{"noise", noiseLine, ""},
		{"too long", plain + strings.Repeat("x", 70_000), ""},
		{"nothing", "", ""},
	} {
		e, doubted := Framed("esl.pbx", time.UTC)(test.message)
		switch {
		case doubted != (test.event == "doubted"):
			t.Errorf("%s: doubted is %v", test.name, doubted)
		case doubted:
		case e == nil && test.event == "":
		case e == nil || e.Name != test.event:
			t.Errorf("%s: %+v", test.name, e)
		case e.Source != "esl.pbx" || !e.Time.Equal(time.Date(2026, 5, 4, 10, 11, 12, 131415000, time.UTC)):
			t.Errorf("%s: %s at %v", test.name, e.Source, e.Time)
		}
	}
}

// TestFramedRepeat checks that the second message about one attempt is a repeat.
func TestFramedRepeat(t *testing.T) {
	read := Framed("esl.pbx", time.UTC)
	for i, want := range []bool{false, true, false} {
		message := failureLine
		if i == 0 {
			message = unknownLine + unknownText
		}
		if e, _ := read(message); e == nil || e.Repeat != want {
			t.Errorf("message %d: %+v", i, e)
		}
	}
}

// frames cuts a recorded stream of the event socket into the log messages in it.
func frames(t testing.TB, path string) (messages []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte("\n\n"))
		length := 0
		for line := range strings.SplitSeq(string(head), "\n") {
			if value, found := strings.CutPrefix(line, "Content-Length: "); found {
				for _, digit := range value {
					length = length*10 + int(digit-'0')
				}
			}
		}
		if !ok || length == 0 || length > len(rest) {
			t.Fatalf("%s: a frame of %d bytes in %d", path, length, len(rest))
		}
		messages = append(messages, string(rest[:length]))
		data = rest[length:]
	}
	return messages
}

// TestFramedRecords reads a recorded stream in which attackers wrote addresses and whole
// lines into all their fields. No message may become evidence against a victim, and all
// attempts must be read.
func TestFramedRecords(t *testing.T) {
	read := Framed("esl.pbx", time.UTC)
	got := map[string]int{}
	for _, message := range frames(t, "testdata/injection.records") {
		e, doubted := read(message)
		if e == nil || doubted {
			continue
		}
		got[e.Name]++
		if ip := e.IP.String(); e.Name != event.Challenge && (ip == "198.51.100.138" || ip == "198.51.100.177") {
			t.Errorf("evidence against a victim: %s", describe(e))
		}
	}
	want := map[string]int{event.Challenge: 11, event.AuthFailure: 8, event.Call: 8, event.UnknownUser: 4, "user_agent_rejected": 4}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzFramed(f *testing.F) {
	for _, seed := range []string{failureLine, unknownLine + unknownText, "2f663d64-fff8-482e-b5be-9d4bfa947ad8 " + noiseLine, ""} {
		f.Add(seed)
	}
	read := Framed("esl.pbx", time.UTC)
	f.Fuzz(func(t *testing.T, message string) {
		if e, _ := read(message); e != nil && (e.Time.IsZero() || e.Source != "esl.pbx" || len(e.Text) > event.MaxText) {
			t.Errorf("%q: %+v", message, e)
		}
	})
}
