package logfile

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings/settingstest"
	"freeswitch-security/sources/logfile/journal"
)

// A testJournal is a journal with a journalctl in front of it.
type testJournal struct {
	t    *testing.T
	dir  string
	boot string
	n    int // entries so far
}

// newTestJournal makes an empty journal and puts its journalctl, which is this program,
// in front of all others.
func newTestJournal(t *testing.T) *testJournal {
	j := &testJournal{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	j.must(err)
	j.must(os.Symlink(self, filepath.Join(j.dir, "journalctl")))
	t.Setenv("PATH", j.dir)
	j.reboot("one")
	return j
}

func (j *testJournal) must(err error) {
	if err != nil {
		j.t.Helper()
		j.t.Fatal(err)
	}
}

func (j *testJournal) reboot(boot string) {
	j.boot = boot
	j.must(os.WriteFile(filepath.Join(j.dir, "boot"), []byte(boot), 0o600))
}

// log adds an entry of a unit, by the program freeswitch.
func (j *testJournal) log(unit string, message any) { j.logBy("freeswitch", unit, message) }

func (j *testJournal) logBy(program, unit string, message any) {
	j.t.Helper()
	j.n++
	entry, _ := json.Marshal(map[string]any{
		"__CURSOR": fmt.Sprintf("s=1;i=%d", j.n), "__REALTIME_TIMESTAMP": strconv.FormatInt(time.Now().UnixMicro(), 10),
		"_BOOT_ID": j.boot, "_SYSTEMD_UNIT": unit, "_HOSTNAME": "pbx", "SYSLOG_IDENTIFIER": program, "MESSAGE": message,
	})
	file, err := os.OpenFile(filepath.Join(j.dir, "entries"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	j.must(err)
	_, err = file.Write(append(entry, '\n'))
	j.must(errors.Join(err, file.Close()))
}

// fails adds an entry of FreeSWITCH about a failed login of a user.
func (j *testJournal) fails(user string) { j.log("freeswitch.service", failure(user)) }

func failure(user string) string {
	return time.Now().Format("2006-01-02 15:04:05.000000") + " 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [" +
		user + "@pbx] from ip 203.0.113.5"
}

// follow follows the journal from a position on.
func (j *testJournal) follow(position []byte) *follows {
	j.t.Helper()
	return j.followBy(&journalSource{source: builtinSource(), query: journal.Query{Unit: "freeswitch.service"}}, position)
}

func (j *testJournal) followBy(s *journalSource, position []byte) *follows {
	j.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := newFollows(j.t, s.source, position)
	f.cancel = cancel
	go func() {
		defer close(f.done)
		if err := s.Follow(ctx, f.stream); err != nil {
			j.t.Error(err)
		}
	}()
	j.t.Cleanup(f.stop)
	f.begun()
	return f
}

// fakeJournalctl behaves as journalctl does: it refuses options that it does not know,
// follows the entries of this boot alone, and knows only cursors of its journal.
func fakeJournalctl() int {
	dir := filepath.Dir(os.Args[0])
	unit, cursor, since, follow := "", "", int64(0), false
	for _, arg := range os.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--unit":
			unit = value
		case "--after-cursor":
			cursor = value
		case "--since":
			at, err := strconv.ParseFloat(strings.TrimPrefix(value, "@"), 64)
			if err != nil {
				fmt.Fprintln(os.Stderr, "Failed to parse timestamp:", value)
				return 1
			}
			since = int64(at * 1e6)
		case "--follow":
			follow = true
		case "--output", "--all", "--no-pager", "--output-fields", "--no-tail":
		default:
			fmt.Fprintf(os.Stderr, "journalctl: unrecognized option '%s'\n", arg)
			return 1
		}
	}
	if len(os.Environ()) != 1 {
		fmt.Fprintln(os.Stderr, "environment:", os.Environ())
		return 1
	}
	if said, err := os.ReadFile(filepath.Join(dir, "broken")); err == nil {
		os.Stderr.Write(said)
		return 1
	}
	boot, _ := os.ReadFile(filepath.Join(dir, "boot"))
	found := cursor == ""
	var r *bufio.Reader
	for partial := ""; ; {
		if file, err := os.Open(filepath.Join(dir, "entries")); r == nil && err == nil {
			r = bufio.NewReader(file)
		}
		if r != nil {
			line, err := r.ReadString('\n')
			if partial += line; err == nil {
				var e map[string]any
				_ = json.Unmarshal([]byte(partial), &e)
				at, _ := strconv.ParseInt(e["__REALTIME_TIMESTAMP"].(string), 10, 64)
				if found && e["_SYSTEMD_UNIT"] == unit && at >= since && (!follow || e["_BOOT_ID"] == string(boot)) {
					if _, err := io.WriteString(os.Stdout, partial); err != nil {
						return 1
					}
				}
				found, partial = found || e["__CURSOR"] == cursor, ""
				continue
			}
		}
		if !found {
			fmt.Fprintln(os.Stderr, "Failed to seek to cursor: Invalid argument")
			return 1
		}
		if !follow || os.Getppid() == 1 {
			return 0
		}
		time.Sleep(time.Millisecond)
	}
}

// TestFollowJournal checks that entries of the unit are read once each, through restarts of the
// daemon and of the host, and that no others are read.
func TestFollowJournal(t *testing.T) {
	j := newTestJournal(t)
	j.fails("history")
	f := j.follow(nil)
	j.log("session-3.scope", failure("logger"))
	j.fails("a")
	f.wait(1)
	f.stop()
	if s := f.status(); s.Events != 1 || s.Fault != "" || !f.events[0].Live {
		t.Errorf("%+v, live %v", s, f.events[0].Live)
	}
	j.fails("b")
	j.reboot("two")
	j.log("session-3.scope", failure("logger"))
	j.fails("c")
	next := j.follow(f.position)
	next.wait(2)
	j.fails("d")
	next.wait(3)
	next.stop()
	if got := append(f.users(), next.users()...); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("the users %q came", got)
	}
	last := j.follow(next.position)
	j.fails("e")
	last.wait(1)
	if got := last.users(); !slices.Equal(got, []string{"e"}) {
		t.Errorf("the users %q came", got)
	}
}

// TestJournalMessages checks that a line break within a message begins no line of its own,
// and that messages of any bytes and of any length are read.
func TestJournalMessages(t *testing.T) {
	j := newTestJournal(t)
	f := j.follow(nil)
	j.log("freeswitch.service", nil)
	j.log("freeswitch.service", []string{"two", "values"})
	forged := strings.Replace(failure("forged"), "203.0.113.5", "192.0.2.1", 1)
	j.log("freeswitch.service", failure("x")+"\n"+forged)
	j.log("freeswitch.service", "2026-05-04 10:00:00.000000 97.10% [INFO] switch_core.c:1 a\n"+forged)
	bytes := []int{}
	for _, b := range []byte(strings.Replace(failure("array"), "pbx", "\xff", 1)) {
		bytes = append(bytes, int(b))
	}
	j.log("freeswitch.service", bytes)
	j.fails(strings.Repeat("long", 5000))
	j.fails("end")
	f.until("end", func() bool { return len(f.events) > 0 && f.events[len(f.events)-1].User == "end" })
	for _, e := range f.events {
		if e.User == "forged" || e.IP.String() != "203.0.113.5" {
			t.Errorf("%+v", e)
		}
	}
	if got := f.users(); len(got) != 3 || got[0] != "array" {
		t.Errorf("the users %.20q came", got)
	}
}

// TestJournalOfAnother checks that an event block without a header reads the entries of another
// program, and those of its unit alone.
func TestJournalOfAnother(t *testing.T) {
	j := newTestJournal(t)
	b := settingstest.Block(t, "site.hcl", `
		unit    = "php8.2-fpm.service"
		builtin = false
		event "fusionpbx_login" {
			line   = "FusionPBX: [<ip>] authentication failed for <user>"
			header = false
		}`, nil)
	s := Journal.New(b, plugin.SourceEnv{Name: "journal.fusionpbx"}).(*journalSource)
	if b.Done(); b.Failed() {
		t.Fatal(b.Diagnostics())
	}
	f := j.followBy(s, nil)
	j.logBy("FusionPBX", "session-3.scope", "[192.0.2.1] authentication failed for logger")
	j.logBy("FusionPBX", "php8.2-fpm.service", "[203.0.113.5] authentication failed for admin")
	f.wait(1)
	if e := f.events[0]; e.Name != "fusionpbx_login" || e.User != "admin" {
		t.Errorf("%+v", e)
	}
}

// TestJournalOutOfPlace checks that a journal without the position's cursor is read from now on.
func TestJournalOutOfPlace(t *testing.T) {
	for _, position := range []string{`{"cursor":"s=9;i=9"}`, `{"cursor":"--x y"}`, `{`} {
		j := newTestJournal(t)
		j.fails("history")
		f := j.follow([]byte(position))
		f.until("position", func() bool { return !strings.Contains(string(f.position), "cursor") && f.saved == 0 })
		if fault := f.status().Fault; fault != "" {
			t.Errorf("%s: the fault %q stays", position, fault)
		}
		j.fails("a")
		f.wait(1)
		if got := f.users(); got[0] != "a" {
			t.Errorf("%s: the users %q came", position, got)
		}
		f.stop()
	}
}

// TestBrokenJournal checks that the source tells why it cannot read.
func TestBrokenJournal(t *testing.T) {
	j := newTestJournal(t)
	const said = "No journal files were opened due to insufficient permissions."
	j.must(os.WriteFile(filepath.Join(j.dir, "broken"), []byte(said+"\n"+strings.Repeat("x", 10_000)), 0o600))
	s := &journalSource{source: builtinSource(), query: journal.Query{Unit: "freeswitch.service"}}
	f := newFollows(t, s.source, nil)
	err := s.Follow(t.Context(), f.stream)
	got := f.status()
	if err == nil || !strings.Contains(err.Error(), said) || len(err.Error()) > 2000 || len(got.Problems) != 1 {
		t.Errorf("%v, %+v", err, got)
	}
	t.Setenv("PATH", t.TempDir())
	if err := s.Follow(t.Context(), newFollows(t, s.source, nil).stream); !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
}

// TestRealJournal follows a journal through systemd's own journalctl.
func TestRealJournal(t *testing.T) {
	remote, err := exec.LookPath("/lib/systemd/systemd-journal-remote")
	if _, missing := exec.LookPath("journalctl"); errors.Join(err, missing) != nil {
		t.Skip(errors.Join(err, missing))
	}
	dir := t.TempDir()
	log := func(unit, user string) {
		t.Helper()
		cmd := exec.Command(remote, "--output="+filepath.Join(dir, "a.journal"), "-")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("__REALTIME_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_SYSTEMD_UNIT=%s\nMESSAGE=%s\n\n", time.Now().UnixMicro(), unit, failure(user)))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
	log("freeswitch.service", "history")
	s := &journalSource{source: builtinSource(), query: journal.Query{Unit: "freeswitch.service", Directory: dir}}
	var users []string
	var position []byte
	for round := range 2 {
		if round > 0 {
			log("freeswitch.service", "meanwhile")
		}
		ctx, cancel := context.WithCancel(context.Background())
		f := newFollows(t, s.source, position)
		go func() {
			defer close(f.done)
			if err := s.Follow(ctx, f.stream); err != nil {
				t.Error(err)
			}
		}()
		f.cancel = cancel
		f.begun()
		log("session-3.scope", "logger")
		log("freeswitch.service", "live"+strings.Repeat("x", 5000))
		f.wait(1 + round)
		f.stop()
		users, position = append(users, f.users()...), f.position
	}
	if len(users) != 3 || !strings.HasPrefix(users[0], "live") || users[1] != "meanwhile" || !strings.HasPrefix(users[2], "live") {
		t.Errorf("the users %.20q came", users)
	}
}

// TestReplayJournal replays what journalctl exports.
func TestReplayJournal(t *testing.T) {
	s := &journalSource{source: builtinSource()}
	entry, _ := json.Marshal(map[string]string{"MESSAGE": failure("a"), "__CURSOR": "s=1"})
	stats, err := s.Replay(t.Context(), plugin.Recording{R: strings.NewReader(string(entry) + "\n")}, nil, func(*event.Event) error { return nil })
	if err != nil || !stats.Recognised {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestNewJournal checks the attributes of a block.
func TestNewJournal(t *testing.T) {
	for body, want := range map[string]string{
		``: "",
		`unit = "fs@1.service", directory = "/var/log/journal", match = ["CONTAINER_NAME=fs"], timezone = "UTC", corroborate = source.esl.pbx`: "",
		`unit = "--root=/x y"`: "Bad unit",
		`match = ["+"]`:        "Bad match",
		`path = "/x"`:          "Unsupported argument",
	} {
		b := settingstest.Block(t, "site.hcl", strings.ReplaceAll(body, ", ", "\n"), nil)
		s := Journal.New(b, plugin.SourceEnv{Name: "journal.freeswitch"})
		b.Done()
		got := ""
		for _, d := range b.Diagnostics() {
			got += d.Summary
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
		if d := s.Describe(); d.Path != "" || !d.Log {
			t.Errorf("%+v", d)
		}
	}
}
