//go:build kernel

package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLatency measures the time from an attack line to the last packet of its attacker that got
// through.
func TestLatency(t *testing.T) {
	t.Run("idle", func(t *testing.T) { lineLatency(t, lineIdle, 0) })
	t.Run("beside 5000 lines a second", func(t *testing.T) { lineLatency(t, lineNoise, 5000) })
}

const (
	trials = 200
	// grain is the time between two packets of an attacker: the resolution.
	grain = 250 * time.Microsecond
)

// tries is the number of trials of a test whose limits have slack: on a busy machine a fifth of them.
func tries() int {
	if slack() > 1 {
		return trials / 5
	}
	return trials
}

// span is how long a test measures whose limits have slack: on a busy machine a fifth of the time.
func span(d time.Duration) time.Duration {
	if slack() > 1 {
		return d / 5
	}
	return d
}

func lineLatency(t *testing.T, name string, noise int) {
	d := prepare(t, ``, atOnce).start()
	e := listen(t)
	if noise > 0 {
		stop := d.noise(noise)
		defer stop()
		pause(200 * time.Millisecond)
	}
	holdLatency(t, name, func(run int) (took []time.Duration) {
		for i := range tries() {
			ip := attackerOf(run, i)
			took = append(took, silenced(t, e, ip, func() { d.write(failure(ip)) }))
		}
		return took
	})
}

// noise writes lines that are not events, one by one, until it is stopped.
func (d *daemon) noise(perSecond int) (stop func()) {
	return paced(perSecond, func(due int) int {
		for range due {
			d.write("f3a8b1c2-0d4e-4f5a-a6b7-c8d9e0f1a2b3 " + time.Now().UTC().Format("2006-01-02 15:04:05.000000") +
				" 97.10% [DEBUG] switch_core_state_machine.c:600 (sofia/internal/1000@10.77.0.10) Running State Change CS_EXECUTE (Cur 7 Tot 1234)\n")
		}
		return due
	})
}

// TestManyBansAtOnce measures the time until every address of a burst is in the kernel.
func TestManyBansAtOnce(t *testing.T) {
	for _, c := range []struct {
		bans int
		name string
	}{{10_000, bans10k}, {100_000, bans100k}} {
		t.Run(fmt.Sprint(c.bans), func(t *testing.T) {
			d := prepare(t, `backend = "ipset"`, atOnce).start()
			lines := burst(c.bans, 1)
			runtime.GC()                                          // not beside the daemon
			often := time.Duration(c.bans) / 4 * time.Microsecond // to count 100,000 entries takes the kernel 1.7 ms
			began := time.Now()
			d.write(lines)
			watching(t, 20*time.Second, often, "all are in the kernel", func() bool { return members(t) >= c.bans })
			hold(t, c.name, milliseconds(time.Since(began)))
			if c.bans == 100_000 {
				d.stop(syscall.SIGTERM)
				began := time.Now()
				d.start()
				hold(t, readyTime, milliseconds(time.Since(began)))
				if got := members(t); got < c.bans {
					t.Errorf("%d bans in the kernel after the restart", got)
				}
			}
		})
	}
}

// burst returns failures of so many addresses, so many of each, in turns.
func burst(addresses, times int) string {
	var lines strings.Builder
	for range times {
		for i := range addresses {
			lines.WriteString(failure(address(i)))
		}
	}
	return lines.String()
}

// address is the i-th of some 130,000.
func address(i int) string { return fmt.Sprintf("198.%d.%d.%d", 18+i>>16, i>>8&255, i&255) }

// TestFlood has 10,000 addresses fail five times each, at full speed.
func TestFlood(t *testing.T) {
	d := prepare(t, ``, guessing).start()
	began := time.Now()
	d.write(burst(10_000, 5))
	eventually(t, 20*time.Second, "all are banned", func() bool { return members(t) >= 10_000 })
	t.Logf("10000 sources with five failures each banned after %s", time.Since(began))
}

// TestFootprint measures memory and processor time.
func TestFootprint(t *testing.T) {
	d := prepare(t, ``, guessing).start()
	pause(time.Second)
	hold(t, idleMemory, d.memory("VmRSS"))
	before, began := d.cpu(), time.Now()
	pause(span(10 * time.Second))
	hold(t, idleCPU, share(d.cpu()-before, began))

	stop := d.noise(5000)
	pause(time.Second)
	before, began = d.cpu(), time.Now()
	pause(span(5 * time.Second))
	hold(t, noiseCPU, share(d.cpu()-before, began))
	stop()

	for i := 0; i < 100_000; i += 10_000 {
		var lines strings.Builder
		for k := range 10_000 {
			lines.WriteString(failure(address(i + k)))
		}
		d.write(lines.String())
		pause(100 * time.Millisecond)
	}
	pause(time.Second)
	hold(t, trackerMemory, d.memory("VmRSS"))
}

// share returns processor time since a moment, in percent of a core.
func share(used time.Duration, began time.Time) float64 {
	return 100 * used.Seconds() / time.Since(began).Seconds()
}

// TestFootprintOfEvidence has 100,000 addresses banned with their evidence, and measures memory
// and state, then and after a restart.
func TestFootprintOfEvidence(t *testing.T) {
	d := prepare(t, `backend = "ipset"`, strings.Replace(guessing, "count  = 5", "count  = 20", 1)).start()
	for i := 0; i < 100_000; i += 10_000 {
		var lines strings.Builder
		for range 20 {
			for k := range 10_000 {
				lines.WriteString(failure(address(i + k)))
			}
		}
		d.write(lines.String())
		watching(t, 60*time.Second, 100*time.Millisecond, "they are banned", func() bool { return members(t) >= i+10_000 })
	}
	measure := func(when string) {
		t.Helper()
		pause(span(5 * time.Second))
		eventually(t, 10*time.Second, "what the flood needed is given back", func() bool { return d.memory("VmRSS") <= 120 })
		resident := d.memory("VmRSS")
		file, err := os.Stat(filepath.Join(d.dir, "state", "state.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("100000 bans with evidence, %s: resident %.0f MB, of it anonymous %.0f MB, at most %.0f MB, state file %d MB", when, resident, d.memory("RssAnon"), d.memory("VmHWM"), file.Size()>>20)
		if file.Size() > 100<<20 {
			t.Errorf("%s: state file %d MB", when, file.Size()>>20)
		}
	}
	measure("live")
	d.stop(syscall.SIGTERM)
	d.start()
	measure("after a restart")
}
