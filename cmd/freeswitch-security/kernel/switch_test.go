//go:build kernel

package kernel

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/golden"
)

// eslPassword is that of the fake switch. It is unique, so that a log that contains it is noticed.
const eslPassword = "Zwetschgenknoedel-8021"

// onStream adds a switch to site.
const onStream = `
security {
  protect = ["registered", "gateways", "dialogues"]
}
source "esl" "pbx" {
  address  = %q
  password = "` + eslPassword + `"
}
`

// brake is the limit in the brake of a rule.
var brake = regexp.MustCompile(`(?m)^(  brake \{\n    bans   = )\d+$`)

// shipped gives a daemon the shipped rules, with brakes that no test reaches and with sources such
// as "source.esl.pbx" beside the log.
func (d *daemon) shipped(sources ...string) *daemon {
	d.Helper()
	const folder, site = "../../../rules.d", "00-site.hcl"
	files, err := filepath.Glob(folder + "/*.hcl")
	if err != nil || len(files) < 2 {
		d.Fatal("no shipped rules", err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if filepath.Base(path) == site {
			text = fmt.Appendf(nil, "locals {\n  switch = [%s]\n}\n", strings.Join(append(sources, "source.log.freeswitch"), ", "))
		}
		text = brake.ReplaceAll(text, []byte("${1}10000"))
		if err == nil {
			err = os.WriteFile(filepath.Join(d.dir, "rules.d", filepath.Base(path)), text, 0o600)
		}
		if err != nil {
			d.Fatal(err)
		}
	}
	return d
}

// healthy is a switch without registrations and gateways. It sends heartbeats as FreeSWITCH does.
var healthy = esltest.Options{Password: eslPassword, API: lists, Heartbeat: 20 * time.Second}

// lists answers the commands that the daemon sends when it has connected.
func lists(command string) string {
	switch command {
	case "show registrations as json":
		return `{"row_count":0}` + "\n"
	case "sofia xmlstatus gateway":
		return "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n</gateways>\n"
	}
	return "-ERR " + command + " Command not found!\n"
}

// subscribed waits until the daemon listens to a switch, and returns its subscription:
// "event json HEARTBEAT CUSTOM sofia::register_failure".
func subscribed(t testing.TB, s *esltest.Switch) (command string) {
	t.Helper()
	const verb = "event json "
	if err := s.Await(t.Context(), verb); err != nil {
		t.Fatal(err)
	}
	all := s.Commands()
	return all[slices.IndexFunc(all, func(c string) bool { return strings.HasPrefix(c, verb) })]
}

// fails has a switch report failed registrations of an address.
func fails(s *esltest.Switch, ip string, times int) {
	for range times {
		s.Event("sofia::register_failure", map[string]string{
			"network-ip": ip, "network-port": "5060", "to-user": "1000", "to-host": switchAddress,
			"profile-name": "internal", "registration-type": "REGISTER",
		}, "")
	}
}

// A tape is recorded events that can be played repeatedly, each time with current stamps.
type tape struct {
	frames int
	bytes  []byte
	stamps []int // offsets of the 16 digits of each stamp
}

var (
	// frameHead finds the length of a recorded event and its name; of a CUSTOM event, its
	// subclass.
	frameHead  = regexp.MustCompile(`^Content-Length: (\d+)\nContent-Type: text/event-json\n\n\{"Event-(?:Subclass|Name)":"([^"]+)"`)
	frameStamp = regexp.MustCompile(`"Event-Date-Timestamp":"\d{16}"`)
)

// recorded returns the recorded events that a subscription asks for.
func recorded(t testing.TB, subscription string) *tape {
	t.Helper()
	paths, err := filepath.Glob("../../../sources/esl/testdata/*.json.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal("no recordings", err)
	}
	asked := strings.Fields(subscription)
	all := &tape{}
	for _, path := range paths {
		for rest := golden.Read(t, path); len(rest) > 0; {
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

// now returns the tape with current stamps.
func (a *tape) now() string {
	stamp := strconv.FormatInt(time.Now().UnixMicro(), 10)
	for _, at := range a.stamps {
		copy(a.bytes[at:], stamp)
	}
	return string(a.bytes)
}

// cut divides the tape into pieces of so many frames.
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
