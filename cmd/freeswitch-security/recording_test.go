package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/golden"
)

// unpacked returns the recorded log in one piece.
func unpacked(t testing.TB) []byte {
	t.Helper()
	return joined(t, recordedAttack, "security.log")
}

// TestAnySplit divides the recording at random bytes into files, compressed or not, one of them on
// standard input: the result is the same.
func TestAnySplit(t *testing.T) {
	whole := unpacked(t)
	want := replayed(t, bytes.NewReader(whole), "--rules", shippedRules, "-")
	if got := replayed(t, nil, append([]string{"--rules", shippedRules}, recordedParts()...)...); got != want {
		t.Fatal("the parts and the whole differ")
	}
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 0))
		cuts := []int{0, len(whole)}
		for range random.IntN(8) {
			at := random.IntN(len(whole))
			if random.IntN(2) == 0 {
				at = bytes.IndexByte(whole[at:], '\n') + at + 1
			}
			cuts = append(cuts, at)
		}
		slices.Sort(cuts)
		args := []string{"--rules", shippedRules}
		dir := t.TempDir()
		var stdin io.Reader
		piped := random.IntN(len(cuts))
		for i, to := range cuts[1:] {
			part := whole[cuts[i]:to]
			if random.IntN(2) == 0 {
				part = compressed(part)
			}
			if i == piped {
				stdin = iotest.HalfReader(bytes.NewReader(part))
				args = append(args, "-")
				continue
			}
			path := filepath.Join(dir, fmt.Sprintf("part.%d", i))
			if err := os.WriteFile(path, part, 0o644); err != nil {
				t.Fatal(err)
			}
			args = append(args, path)
		}
		if replayed(t, stdin, args...) != want {
			t.Fatalf("seed %d: cut at %v, the results differ", seed, cuts)
		}
	}
}

// TestOldestFirst: files in the order of a shell, the newest first, cause one note. Files that share a
// second, or have no times, cause none.
func TestOldestFirst(t *testing.T) {
	rules := write(t, "a.hcl", []byte("source \"log\" \"x\" {}\n"))
	newest, middle, oldest := write(t, "freeswitch.log", []byte(failures("203.0.113.7", 60, 3))),
		write(t, "freeswitch.log.1", compressed([]byte("and so on\n"+failures("203.0.113.7", 30, 31)))),
		write(t, "freeswitch.log.2", []byte(failures("203.0.113.7", 0, 31)))
	untold := write(t, "untold.log", []byte("07-04 10:00:00.000000 [WARNING] sofia_reg.c:1 x\n"))
	for _, test := range []struct {
		files []string
		want  string
	}{
		{[]string{newest, middle, oldest}, "freeswitch-security: " + middle + " is older than " + newest + ", which was named before it: name the oldest first\n"},
		{[]string{oldest, newest, middle}, "freeswitch-security: " + middle + " is older than " + newest + ", which was named before it: name the oldest first\n"},
		{[]string{oldest, middle, newest}, ""},
		{[]string{newest, untold}, ""},
		{[]string{newest}, ""},
	} {
		if _, stderr, status := command(t, nil, append([]string{"replay", "--rules", filepath.Dir(rules)}, test.files...)...); stderr != test.want || status != exitYes {
			t.Errorf("%q: exit status %d: %s", test.files, status, stderr)
		}
	}
}

const twoLogs = `
security { trusted_networks = [] }
source "log" "one" {}
source "log" "two" {}
rule "any failure" {
  on    = [source.log.one, source.log.two]
  match = "event == 'auth_failure'"
  ban { for = "1m" }
}
`

// TestMergedByTime divides the lines of one log between two sources: the result is that of the log,
// except for the names of the sources.
func TestMergedByTime(t *testing.T) {
	rules := filepath.Dir(write(t, "rules.hcl", []byte(twoLogs)))
	var all strings.Builder
	for i := range 600 {
		all.WriteString(failures(fmt.Sprintf("203.0.113.%d", i%7), i, 1))
	}
	oneSource := func(output string) string { return strings.ReplaceAll(output, `"log.two"`, `"log.one"`) }
	want := replayed(t, strings.NewReader(all.String()), "--rules", rules, "log.one=-")
	if !strings.Contains(want, `"expire"`) {
		t.Fatal("no ban expired")
	}
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 0))
		var dealt [2]strings.Builder
		for line := range strings.Lines(all.String()) {
			dealt[random.IntN(2)].WriteString(line)
		}
		one, two := write(t, "one", []byte(dealt[0].String())), write(t, "two", []byte(dealt[1].String()))
		for _, args := range [][]string{
			{"log.one=" + one, "log.two=" + two},
			{"source.log.two=" + two, one, "--source", "log.one"},
		} {
			if got := replayed(t, nil, append(args, "--rules", rules)...); oneSource(got) != want {
				t.Fatalf("seed %d, %q: got\n%s\nwant\n%s", seed, args, got, want)
			}
		}
	}
}

// TestTruncatedGzip cuts a compressed log at every byte: the replay decides on the complete lines.
func TestTruncatedGzip(t *testing.T) {
	rules := filepath.Dir(write(t, "rules.hcl", []byte(onSight)))
	var log strings.Builder
	for i := range 12 {
		log.WriteString(failures(fmt.Sprintf("203.0.113.%d", 100+i), i, 1))
	}
	packed := compressed([]byte(log.String()))
	whole := replayed(t, bytes.NewReader(packed), "--rules", rules, "-")
	before := 0
	const magic = 2 // bytes that identify compressed data
	for n := magic; n < len(packed); n++ {
		stdout, stderr, status := command(t, bytes.NewReader(packed[:n]), "replay", "--rules", rules, "--format", "json", "-")
		if status != exitTrouble || !strings.Contains(stderr, "standard input") {
			t.Fatalf("%d of %d bytes: exit status %d, %q", n, len(packed), status, stderr)
		}
		if !strings.HasPrefix(whole, stdout) || len(stdout) < before {
			t.Fatalf("%d of %d bytes: got\n%s", n, len(packed), stdout)
		}
		before = len(stdout)
	}
	if before == 0 {
		t.Fatal("nothing could be read")
	}
}

// TestRecordOfNothing leaves no file behind, whose name the next attempt may have.
func TestRecordOfNothing(t *testing.T) {
	t.Parallel()
	rules := filepath.Dir(write(t, "a.hcl", []byte("source \"esl\" \"pbx\" { address = \"127.0.0.1:1\" }\n")))
	path := filepath.Join(t.TempDir(), "a.esl")
	stdout, stderr, status := command(t, nil, "record", "--rules", rules, path)
	if status != exitTrouble || stdout != "" || !strings.Contains(stderr, "cannot be reached") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file of a recording without a report: %v", err)
	}
}

// TestRecord records a switch that plays an attack: what is recorded leads to the same bans as what was played. It
// ends by an interrupt, at a size, and with the connection, each time with a whole report.
func TestRecord(t *testing.T) {
	played := golden.Read(t, filepath.Join(recordedAttack, "esl-json.raw.gz"))
	original := write(t, "played.esl", played)
	want := replayed(t, nil, "--rules", shippedRules, "esl.pbx="+original)
	if !strings.Contains(want, `"kind":"ban"`) {
		t.Fatalf("the attack leads to no ban: %s", want)
	}
	for name, c := range map[string]struct {
		args   []string
		file   string
		end    func(*esltest.Switch, context.CancelFunc)
		status int
		whole  bool
	}{
		"the connection ends": {nil, "a.esl", func(s *esltest.Switch, _ context.CancelFunc) { s.Shutdown() }, exitTrouble, true},
		"compressed":          {nil, "a.esl.gz", func(s *esltest.Switch, _ context.CancelFunc) { s.Shutdown() }, exitTrouble, true},
		"interrupted":         {nil, "a.esl", func(_ *esltest.Switch, cancel context.CancelFunc) { cancel() }, exitYes, false},
		"full":                {[]string{"--size", "1"}, "a.esl", func(*esltest.Switch, context.CancelFunc) {}, exitYes, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := esltest.Start(t, esltest.Options{})
			rules := filepath.Dir(write(t, "a.hcl", fmt.Appendf(nil, "source \"esl\" \"pbx\" { address = %q }\n", fake.Addr())))
			path := filepath.Join(t.TempDir(), c.file)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				if err := fake.Await(ctx, "log 4"); err != nil {
					t.Error(err)
				}
				for i := 0; i == 0 || name == "full" && i < 20 && ctx.Err() == nil; i++ {
					if err := fake.Play(bytes.NewReader(played)); err != nil {
						t.Error(err)
					}
				}
				c.end(fake, cancel)
			}()
			stdout, stderr, status := asked(ctx, "", "", append([]string{"record", "--rules", rules, path}, c.args...)...)
			if status != c.status || !strings.Contains(stdout, " reports in "+path+". Try: ") || !strings.Contains(stderr, "recording esl.pbx into "+path) {
				t.Fatalf("exit status %d: %s%s", status, stdout, stderr)
			}
			if got := replayed(t, nil, "--rules", shippedRules, "esl.pbx="+path); c.whole && got != want {
				t.Errorf("the recording leads to %d bytes of changes, what was played to %d", len(got), len(want))
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 || name == "full" && (info.Size() > 1<<20 || info.Size() < 1<<19) {
				t.Errorf("%v, %v", info, err)
			}
			if _, stderr, status := asked(t.Context(), "", "", "record", "--rules", rules, path); status != exitTrouble || !strings.Contains(stderr, "file exists") {
				t.Errorf("over a file: exit status %d: %s", status, stderr)
			}
		})
	}
}
