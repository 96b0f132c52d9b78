package logfile

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/logtest"
	"freeswitch-security/sources/logfile/tail"
)

// noiseRate is the number of lines a second of a busy switch at debug level.
const noiseRate = 5000

// noiseVariable holds the path for the process that writes noise.
const noiseVariable = "LOGFILE_NOISE"

// TestWriteNoise is no test. It is the process that writes noise for TestFollowFigures,
// so that its CPU time does not count as the follower's.
func TestWriteNoise(t *testing.T) {
	path := os.Getenv(noiseVariable)
	if path == "" {
		t.Skip("only for TestFollowFigures")
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	start, n := time.Now(), 0
	for os.Getppid() != 1 {
		for due := int(time.Since(start) * noiseRate / time.Second); n < due; n++ {
			if _, err := file.WriteString("8a3c5e10-eb17-4c2d-9b6f-0123456789ab 2026-05-04 10:11:12.131415 97.10% [DEBUG] switch_core_state_machine.c:585 (sofia/internal/1000@pbx) Running State Change " + strconv.Itoa(n) + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(100 * time.Microsecond)
	}
}

// writeNoise starts a process that writes noise until the test ends.
func writeNoise(b testing.TB, path string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriteNoise$")
	cmd.Env = append(os.Environ(), noiseVariable+"="+path)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by the signal
	})
}

// latencies writes n lines, after a pause each, and returns how long their events took,
// the shortest time first.
func latencies(f *follows, l *logger, n int, pause time.Duration) []time.Duration {
	var took []time.Duration
	for i := range n {
		<-time.After(pause + time.Duration(5000+1700*(i%7))*time.Microsecond) // so that trials do not fall into step with the pulse
		start := time.Now()
		l.Lines(1)
		f.wait(l.N)
		f.mu.Lock()
		took = append(took, f.at[l.N-1].Sub(start))
		f.mu.Unlock()
	}
	slices.Sort(took)
	return took
}

// TestFollowFigures checks how fast a log is followed. It needs an idle machine, and SLACK
// set to the factor on its limits; see `make figures`.
func TestFollowFigures(t *testing.T) {
	slack, err := strconv.ParseFloat(os.Getenv("SLACK"), 64)
	if err != nil {
		t.Skip("only if SLACK is set")
	}
	check := func(what string, got, limit float64) {
		t.Helper()
		t.Logf("%s: %.2f, at most %.2f", what, got, limit)
		if got > limit*slack {
			t.Errorf("%s is %.2f, want at most %.2f", what, got, limit)
		}
	}
	milliseconds := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	l := newLogger(t)
	l.Open()
	pace := tail.DefaultPace()
	f := followAt(t, l.Path, nil, pace, patience{})
	took := latencies(f, l, 12, pace.Awake+pace.Tick)
	check("first line after silence, p50 in ms", milliseconds(took[len(took)/2]), 1)
	f.stop()

	l = newLogger(t)
	l.Open()
	f = followAt(t, l.Path, nil, pace, defaultPatience())
	writeNoise(t, l.Path)
	logtest.Poll(t, "noise", func() bool { return f.status().Lines > noiseRate })
	start, used := time.Now(), cpuTime(t)
	<-time.After(5 * time.Second)
	check("CPU at 5,000 lines a second, % of a core", (cpuTime(t)-used).Seconds()/time.Since(start).Seconds()*100, 8)
	took = latencies(f, l, 500, 0)
	check("line at 5,000 lines a second, p50 in ms", milliseconds(took[len(took)/2]), 3)
	check("line at 5,000 lines a second, p99 in ms", milliseconds(took[len(took)*99/100]), 6)
}

// cpuTime returns the CPU time of this process.
func cpuTime(b testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
