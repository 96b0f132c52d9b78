//go:build kernel

package kernel

import (
	"bytes"
	"compress/gzip"
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
)

// shippedRules is the folder of the shipped rules.
const shippedRules = "../../../rules.d"

// usual and dense are logs: of a busy switch of which 1 % of the messages are of attackers, and of a
// switch under attack.
func usual(lines int) *writtenLog { return &writtenLog{lines: lines, attacks: 0.01, honest: 0.02} }
func dense(lines int) *writtenLog { return &writtenLog{lines: lines, attacks: 0.38} }

// written writes a log to a file, which is in the page cache then.
func written(t testing.TB, l *writtenLog) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "freeswitch.log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := l.write(file); err != nil {
		t.Fatal(err)
	}
	return path
}

// A usage is what a program took.
type usage struct {
	wall, cpu time.Duration
	resident  float64 // MB, at its peak
	out       []byte
}

// timed runs a program to its end.
func timed(t testing.TB, program string, args ...string) (u usage) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over, peak := make(chan struct{}), make(chan float64)
	go func() { // the peak that wait4 reports may be that of the process before exec: of this one
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		most := 0.0
		for {
			select {
			case <-over:
				peak <- most
				return
			case <-tick.C:
				most = max(most, residentPeak(cmd.Process.Pid))
			}
		}
	}()
	err := cmd.Wait()
	u.wall = time.Since(began)
	close(over)
	u.resident, u.cpu, u.out = <-peak, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), out.Bytes()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, said.Bytes())
	}
	return u
}

// residentPeak returns the most memory that a process had resident, in MB; 0 if it has ended.
func residentPeak(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	if words := strings.Fields(rest); len(words) > 0 {
		kb, _ := strconv.ParseFloat(words[0], 64)
		return kb / 1024
	}
	return 0
}

// fastest runs a program so many times, and returns the run that took the least time.
func fastest(t testing.TB, times int, program string, args ...string) usage {
	t.Helper()
	var all []usage
	for range times {
		all = append(all, timed(t, program, args...))
	}
	return least(all)
}

// least returns the run that took the least time.
func least(all []usage) usage {
	return slices.MinFunc(all, func(a, b usage) int { return int(a.wall - b.wall) })
}

// literals are those of the patterns that match lines of these logs.
var literals = []string{"SIP auth failure (", "SIP auth challenge (", "Can't find user [", " Rejected by ", " receiving invite from "}

// counting returns the arguments for rg to count the lines of a file with literals.
func counting(path string) (args []string) {
	args = []string{"-c", "-F", "--no-config"}
	for _, literal := range literals {
		args = append(args, "-e", literal)
	}
	return append(args, path)
}

func replaying(path string) []string { return []string{"replay", "--rules", shippedRules, path} }

// needs skips a test without a program, and names the Debian package that has it.
func needs(t testing.TB, program, from string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%v: apt-get install %s", err, from)
	}
}

// TestReplayFigures measures the replay of logs by the whole process, with the shipped rules, beside rg
// that counts lines with the same literals. It needs 5 GB in the temporary folder.
func TestReplayFigures(t *testing.T) {
	exact(t)
	needs(t, "rg", "ripgrep")
	t.Run("1 M lines", func(t *testing.T) {
		u := fastest(t, 7, binary, replaying(written(t, usual(1_000_000)))...)
		hold(t, replaySmall, milliseconds(u.wall))
		if !strings.Contains(string(u.out), "198.18.") {
			t.Errorf("no attacker was found:\n%.2000s", u.out)
		}
	})
	t.Run("30 M lines", func(t *testing.T) {
		path := written(t, usual(30_000_000))
		var ours, reference []usage // in turns
		for range 3 {
			reference = append(reference, timed(t, "rg", counting(path)...))
			ours = append(ours, timed(t, binary, replaying(path)...))
		}
		t.Logf("replay %s (%s of processor time), rg %s", least(ours).wall, least(ours).cpu, least(reference).wall)
		hold(t, replayLarge, least(ours).wall.Seconds()/least(reference).wall.Seconds())
		hold(t, replayMemory, slices.MaxFunc(ours, func(a, b usage) int { return int(a.resident - b.resident) }).resident)
	})
	t.Run("30 % match", func(t *testing.T) {
		const lines = 2_000_000
		path := written(t, dense(lines))
		matching, err := strconv.Atoi(strings.TrimSpace(string(timed(t, "rg", counting(path)...).out)))
		if err != nil || matching < lines*3/10 {
			t.Fatalf("%d lines match, %v", matching, err)
		}
		hold(t, replayDense, lines/fastest(t, 3, binary, replaying(path)...).wall.Seconds())
	})
	t.Run("gzip", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "freeswitch.log.gz")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		packed := gzip.NewWriter(file)
		if err := usual(3_000_000).write(packed); err != nil || packed.Close() != nil {
			t.Fatal("not packed", err)
		}
		var ours []usage // in turns, because the speed of a host changes
		var reference []time.Duration
		for range 3 {
			reference = append(reference, decompressed(t, path))
			ours = append(ours, timed(t, binary, replaying(path)...))
		}
		t.Logf("replay %s (%s of processor time), compress/gzip %s", least(ours).wall, least(ours).cpu, slices.Min(reference))
		hold(t, replayGzip, least(ours).wall.Seconds()/slices.Min(reference).Seconds())
	})
}

// decompressed returns how long it takes to read a gzip file.
func decompressed(t testing.TB, path string) time.Duration {
	t.Helper()
	began := time.Now()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err == nil {
		_, err = io.Copy(io.Discard, packed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// TestCheckFigure measures the check of the shipped rules.
func TestCheckFigure(t *testing.T) {
	hold(t, checkTime, milliseconds(fastest(t, 21, binary, "check", "--rules", shippedRules).wall))
}

// TestImportFigures imports a million bans into a running daemon, and measures the time until the last is
// in the kernel.
func TestImportFigures(t *testing.T) {
	exact(t)
	const bans = 1_000_000
	socket := adminSocket(t)
	d := prepare(t, `backend = "ipset"`, fmt.Sprintf(onSocket, socket)).start()
	path := filepath.Join(d.dir, "list.txt")
	var list strings.Builder
	for i := range bans {
		list.WriteString(address(i) + "\n")
	}
	if err := os.WriteFile(path, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	u := timed(t, binary, "import", "--admin", socket, "--for", "7d", path)
	if got := members(t); got != bans {
		t.Errorf("%d bans in the kernel when the import has ended\n%s", got, u.out)
	}
	hold(t, importTime, milliseconds(u.wall))
	hold(t, importMemory, d.memory("VmHWM"))
	hold(t, importCommand, u.resident)
}

// BenchmarkReplay replays a log, and reports how many times as long rg takes to count the lines with the
// same literals.
func BenchmarkReplay(b *testing.B) {
	needs(b, "rg", "ripgrep")
	for _, c := range []struct {
		name string
		log  *writtenLog
	}{{"usual", usual(3_000_000)}, {"dense", dense(1_000_000)}} {
		b.Run(c.name, func(b *testing.B) {
			path := written(b, c.log)
			var reference time.Duration
			for b.Loop() {
				timed(b, binary, replaying(path)...)
				b.StopTimer()
				reference += timed(b, "rg", counting(path)...).wall
				b.StartTimer()
			}
			b.ReportMetric(float64(c.log.lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
			b.ReportMetric(b.Elapsed().Seconds()/reference.Seconds(), "times-rg")
		})
	}
}
