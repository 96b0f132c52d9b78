//go:build kernel

package kernel

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

// eslPassword is the fake switch's. It is like no other word, so that a log which
// tells it is found out.
const eslPassword = "Zwetschgenknoedel-8021"

// onStream listens to a switch, beside the log and the firewall of site.
const onStream = `
security {
  protect = ["registered", "gateways"]
}
source "esl" "pbx" {
  address  = %q
  password = "` + eslPassword + `"
}
`

// shipped gives a daemon the rules that are shipped, for sources called as in their
// own site.
func (d *daemon) shipped() *daemon {
	d.Helper()
	const folder, site = "../../../rules.d", "00-site.hcl"
	files, err := filepath.Glob(folder + "/*.hcl")
	if err != nil || len(files) < 2 {
		d.Fatal("no rules are shipped", err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err == nil && filepath.Base(path) != site {
			err = os.WriteFile(filepath.Join(d.dir, "rules.d", filepath.Base(path)), text, 0o600)
		}
		if err != nil {
			d.Fatal(err)
		}
	}
	return d
}

// healthy is a switch that knows nobody and has no gateway. It gives a sign of life
// as often as FreeSWITCH does.
var healthy = esltest.Options{Password: eslPassword, API: lists, Heartbeat: 20 * time.Second}

// lists answers what the daemon asks a switch for when it has connected.
func lists(command string) string {
	switch command {
	case "show registrations as json":
		return `{"row_count":0}` + "\n"
	case "sofia xmlstatus gateway":
		return "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n</gateways>\n"
	}
	return "-ERR " + command + " Command not found!\n"
}

// subscribed waits until the daemon listens to a switch, and returns what it has
// asked for: "event json HEARTBEAT CUSTOM sofia::register_failure".
func subscribed(t testing.TB, s *esltest.Switch) (command string) {
	t.Helper()
	const verb = "event json "
	if err := s.Await(t.Context(), verb); err != nil {
		t.Fatal(err)
	}
	all := s.Commands()
	return all[slices.IndexFunc(all, func(c string) bool { return strings.HasPrefix(c, verb) })]
}

// fails has a switch report failed registrations of an address, now.
func fails(s *esltest.Switch, ip string, times int) {
	for range times {
		s.Event("sofia::register_failure", map[string]string{
			"network-ip": ip, "network-port": "5060", "to-user": "1000", "to-host": switchAddress,
			"profile-name": "internal", "registration-type": "REGISTER",
		}, "")
	}
}

// A tape is events of recordings, one behind the other, that can be played again
// and again, each time as if they were of now.
type tape struct {
	frames int
	bytes  []byte
	stamps []int // where in bytes the 16 digits of a stamp begin
}

var (
	// frameHead finds how long a recorded event is, and its name: of one of its own
	// kind the subclass.
	frameHead  = regexp.MustCompile(`^Content-Length: (\d+)\nContent-Type: text/event-json\n\n\{"Event-(?:Subclass|Name)":"([^"]+)"`)
	frameStamp = regexp.MustCompile(`"Event-Date-Timestamp":"\d{16}"`)
)

// recorded cuts out of the recordings of the source what a subscription asks for.
func recorded(t testing.TB, subscription string) *tape {
	t.Helper()
	paths, err := filepath.Glob("../../../sources/esl/testdata/*.json.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal("no recordings", err)
	}
	asked := strings.Fields(subscription)
	all := &tape{}
	for _, path := range paths {
		for rest := esltest.Recording(t, path); len(rest) > 0; {
			name, length := firstFrame(t, rest)
			if slices.Contains(asked, name) {
				all.add(t, rest[:length])
			}
			rest = rest[length:]
		}
	}
	return all
}

func firstFrame(t testing.TB, frames []byte) (name string, length int) {
	t.Helper()
	at := frameHead.FindSubmatchIndex(frames)
	if at == nil {
		t.Fatalf("no event: %.100q", frames)
	}
	body, err := strconv.Atoi(string(frames[at[2]:at[3]]))
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.Index(frames, []byte("\n\n")) + 2
	return string(frames[at[4]:at[5]]), head + body
}

func (a *tape) add(t testing.TB, frame []byte) {
	t.Helper()
	at := frameStamp.FindIndex(frame)
	if at == nil {
		t.Fatalf("no stamp: %s", frame)
	}
	a.stamps = append(a.stamps, len(a.bytes)+at[1]-len(`"`)-16)
	a.bytes = append(a.bytes, frame...)
	a.frames++
}

// now is the tape, stamped now.
func (a *tape) now() string {
	stamp := strconv.FormatInt(time.Now().UnixMicro(), 10)
	for _, at := range a.stamps {
		copy(a.bytes[at:], stamp)
	}
	return string(a.bytes)
}

// cut gives the tape in pieces of so many frames.
func (a *tape) cut(t testing.TB, frames int) []*tape {
	t.Helper()
	var pieces []*tape
	rest := a.bytes
	for n := 0; len(rest) > 0; n++ {
		if n%frames == 0 {
			pieces = append(pieces, &tape{})
		}
		_, length := firstFrame(t, rest)
		pieces[len(pieces)-1].add(t, rest[:length])
		rest = rest[length:]
	}
	return pieces
}

// noise plays a tape at so many frames a second until it is stopped.
func noise(t testing.TB, s *esltest.Switch, a *tape, perSecond int) (stop func()) {
	t.Helper()
	const atOnce = 5 // frames
	pieces := a.cut(t, atOnce)
	i := 0
	return paced(perSecond, func(due int) (played int) {
		for played < due {
			piece := pieces[i%len(pieces)]
			s.Raw(piece.now())
			played += piece.frames
			i++
		}
		return played
	})
}
