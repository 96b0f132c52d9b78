//go:build kernel

package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slack is the factor on the limits of these tests, $SLACK. It is 1 in `make figures`. The default
// of 20 is for slow or busy machines: figures are logged, and only gross regressions fail. Limits
// relative to another figure of the same run have no slack.
func slack() float64 {
	if n, err := strconv.ParseFloat(os.Getenv("SLACK"), 64); err == nil {
		return n
	}
	return 20
}

// most returns a limit with slack.
func most(limit time.Duration) time.Duration { return time.Duration(float64(limit) * slack()) }

// exact skips a test that is of no use on a busy machine, or takes minutes there.
func exact(t testing.TB) {
	t.Helper()
	if slack() > 1 {
		t.Skip("only for make figures: it takes minutes on a busy machine")
	}
}

// A figure is a property of the daemon in numbers, and its limit.
type figure struct {
	name  string
	limit float64
	unit  string
	least bool    // the limit is a least value
	cap   float64 // most that slack makes of the limit; 0: no cap

	measured float64
	known    bool
}

const (
	replayLarge   = "replay of 30,000,000 lines, relative to rg -c -F with the patterns' literals"
	replaySmall   = "replay of 1,000,000 lines"
	replayMemory  = "replay of 30,000,000 lines, resident"
	replayDense   = "replay of lines of which 30 % match"
	replayGzip    = "replay of a gzip file, relative to reading it with compress/gzip"
	streamRate    = "events of a recorded stream at full speed"
	streamCPU     = "processor at 5,000 events a second"
	lineIdle      = "line to last packet"
	lineNoise     = "line to last packet, beside 5,000 lines a second"
	eventIdle     = "event to last packet"
	eventNoise    = "event to last packet, beside 5,000 events a second"
	scanIdle      = "OPTIONS of a scanner to last packet"
	scanNoise     = "OPTIONS of a scanner to last packet, beside 10,000 messages a second"
	guessIdle     = "fifth wrong password on the wire to last packet"
	pagesRatio    = "p99 of event to last packet with 200 open pages, relative to none"
	guessNoise    = "fifth wrong password on the wire to last packet, beside 10,000 messages a second"
	bans10k       = "10,000 bans at once, in the kernel"
	bans100k      = "100,000 bans at once, in the kernel"
	importTime    = "import of 1,000,000 bans"
	importMemory  = "import of 1,000,000 bans, resident, of the daemon"
	importCommand = "import of 1,000,000 bans, resident, of the command"
	noiseCPU      = "processor at 5,000 lines a second"
	idleCPU       = "processor when idle"
	idleMemory    = "resident when idle"
	trackerMemory = "resident with 100,000 tracked attackers"
	wireCPU       = "processor at 10,000 messages a second"
	wireMemory    = "resident at 10,000 messages a second"
	checkTime     = "check of the shipped rules"
	readyTime     = "ready with 100,000 stored bans"
	fleetLatency  = "last packet at a node to last packet at its peers"
	fleetBans     = "10,000 bans at once on a node, in the kernels of its peers"
	fleetJoiner   = "join of a fleet with 100,000 bans, all in the kernel"
)

// figures are all figures that `make figures` holds.
var figures = slices.Concat([]*figure{
	{name: replayLarge, limit: 3, unit: "times"},
	{name: replaySmall, limit: 150, unit: "ms"},
	{name: replayMemory, limit: 60, unit: "MB"},
	{name: replayDense, limit: 500_000, unit: "lines/s", least: true},
	{name: replayGzip, limit: 1.1, unit: "times"},
	{name: streamRate, limit: 60_000, unit: "events/s", least: true},
	{name: streamCPU, limit: 10, unit: "% of a core", cap: 60},
},
	latency(lineIdle, 2, 5), latency(lineNoise, 4, 8),
	latency(eventIdle, 0.5, 5), latency(eventNoise, 4, 8),
	[]*figure{{name: pagesRatio, limit: 1.2, unit: "times", cap: 5}},
	latency(scanIdle, 0.5, 5), latency(scanNoise, 2.5, 8),
	latency(guessIdle, 0.5, 5), latency(guessNoise, 2.5, 8),
	[]*figure{
		{name: bans10k, limit: 100, unit: "ms"},
		{name: bans100k, limit: 1000, unit: "ms"},
		{name: importTime, limit: 15_000, unit: "ms"},
		{name: importMemory, limit: 400, unit: "MB"},
		{name: importCommand, limit: 400, unit: "MB"},
		{name: noiseCPU, limit: 7, unit: "% of a core", cap: 30},
		{name: idleCPU, limit: 0.3, unit: "% of a core", cap: 5},
		{name: idleMemory, limit: 16, unit: "MB", cap: 20},
		{name: trackerMemory, limit: 50, unit: "MB", cap: 50},
		{name: wireCPU, limit: 25, unit: "% of a core", cap: 90},
		{name: wireMemory, limit: 60, unit: "MB", cap: 60},
		{name: checkTime, limit: 15, unit: "ms"},
		{name: readyTime, limit: 500, unit: "ms"},
	},
	latency(fleetLatency, 5, 25),
	[]*figure{{name: fleetBans, limit: 1000, unit: "ms"}, {name: fleetJoiner, limit: 3000, unit: "ms"}})

// latency returns the two figures of a duration, in milliseconds.
func latency(name string, p50, p99 float64) []*figure {
	return []*figure{{name: name + ", p50", limit: p50, unit: "ms"}, {name: name + ", p99", limit: p99, unit: "ms"}}
}

func figureOf(t testing.TB, name string) *figure {
	t.Helper()
	i := slices.IndexFunc(figures, func(f *figure) bool { return f.name == name })
	if i < 0 {
		t.Fatalf("no figure %q", name)
	}
	return figures[i]
}

// kept reports whether a value is within the limit, with slack.
func (f *figure) kept(value, slack float64) bool {
	if f.least {
		return value >= f.limit/slack
	}
	limit := f.limit * slack
	if f.cap > 0 {
		limit = min(limit, max(f.cap, f.limit))
	}
	return value <= limit
}

func (f *figure) String() string {
	verdict, bound := "PASS", "at most"
	if f.least {
		bound = "at least"
	}
	if !f.known {
		return fmt.Sprintf("NONE  %s: not measured, limit %s %v %s", f.name, bound, f.limit, f.unit)
	}
	if !f.kept(f.measured, 1) {
		verdict = "MISS"
	}
	return fmt.Sprintf("%s  %s: %.4g %s, limit %s %v", verdict, f.name, f.measured, f.unit, bound, f.limit)
}

// hold records a measured figure, and fails if it is beyond its limit with slack.
func hold(t testing.TB, name string, value float64) {
	t.Helper()
	f := figureOf(t, name)
	f.measured, f.known = value, true
	if t.Logf("%s", f); !f.kept(value, slack()) {
		t.Errorf("%s: %.4g %s is beyond the limit of %v", name, value, f.unit, f.limit)
	}
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// holdLatency measures up to three times until p50 and p99 of a duration are held: other load can
// only worsen a figure. The best run counts.
func holdLatency(t testing.TB, name string, measure func(run int) []time.Duration) {
	t.Helper()
	p50, p99 := figureOf(t, name+", p50"), figureOf(t, name+", p99")
	var best percentiles
	for run := range 3 {
		p := percentilesOf(measure(run))
		t.Logf("%s, %s", name, p)
		kept := p50.kept(milliseconds(p.p50), slack()) && p99.kept(milliseconds(p.p99), slack())
		if run == 0 || kept || p.p99 < best.p99 {
			best = p
		}
		if kept {
			break
		}
	}
	hold(t, p50.name, milliseconds(best.p50))
	hold(t, p99.name, milliseconds(best.p99))
}

// summary prints the machine and all figures when $FIGURES is set, and reports whether each has been
// measured and held.
func summary() bool {
	if os.Getenv("FIGURES") == "" {
		return true
	}
	all := true
	fmt.Printf("\nFigures of %s\n", machine())
	for _, f := range figures {
		fmt.Println(f)
		all = all && f.known && f.kept(f.measured, 1)
	}
	if !all {
		fmt.Println("MISS  not all figures are held on this machine")
	}
	return all
}

// machine describes where the figures were measured.
func machine() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // empty if it fails
	model := "an unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%s: %s, %d cores, Linux %s, %s, fsync %s, load %.14s", time.Now().UTC().Format(time.DateOnly), model, runtime.NumCPU(),
		unix.ByteSliceToString(name.Release[:]), runtime.Version(), fsyncCost(), load)
}

// fsyncCost is the median time to write and sync a page, where the state of these tests is.
var fsyncCost = sync.OnceValue(func() time.Duration {
	file, err := os.CreateTemp("", "freeswitch-security-fsync-")
	if err != nil {
		return 0
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var took []time.Duration
	for range 51 {
		began := time.Now()
		_, err := file.Write(make([]byte, 4096))
		if err != nil || file.Sync() != nil {
			return 0
		}
		took = append(took, time.Since(began))
	}
	return percentilesOf(took).p50
})

// cpu returns the processor time of the daemon, and of its children that have ended: theirs in steps of
// 10 ms.
func (d *daemon) cpu() (all time.Duration) {
	d.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		d.Fatal("no schedstat", err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil { // the thread has ended
			continue
		}
		n, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			d.Fatal(err)
		}
		all += time.Duration(n)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	for _, ticks := range strings.Fields(rest)[13:15] { // cutime, cstime
		n, err := strconv.Atoi(ticks)
		if err != nil {
			d.Fatal(err)
		}
		all += time.Duration(n) * 10 * time.Millisecond
	}
	return all
}
