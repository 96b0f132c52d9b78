//go:build kernel

package iptables

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"

	"golang.org/x/sys/unix"
)

// Run with: go test -tags kernel -run '^$' -bench Kernel ./actions/iptables/

// BenchmarkKernelOneBan is one ban beside 50 others, and its removal.
func BenchmarkKernelOneBan(b *testing.B) {
	for _, variant := range variants {
		for _, backend := range []string{backendRules, backendSet} {
			b.Run(variant+"/"+backend, func(b *testing.B) {
				k := newKernel(b, variant)
				a := k.action(`backend = "` + backend + `"`)
				k.resync(a, many(50, time.Time{})...)
				b.ReportAllocs()
				b.ResetTimer()
				var in, out []time.Duration
				for b.Loop() {
					k.awaitAhead(a)
					began := time.Now()
					k.apply(a, banned("203.0.113.7/32", began.Add(time.Hour)))
					in = append(in, time.Since(began))
					began = time.Now()
					k.apply(a, unban("203.0.113.7/32"))
					out = append(out, time.Since(began))
				}
				b.ReportMetric(percentile(in, 50), "ban-p50-ms")
				b.ReportMetric(percentile(in, 99), "ban-p99-ms")
				b.ReportMetric(percentile(out, 50), "unban-p50-ms")
			})
		}
	}
}

// awaitAhead waits until what was started ahead waits for its input, as it does between two attackers.
func (k *kernel) awaitAhead(a *Action) {
	k.Helper()
	reads := fmt.Sprintf("%d 0x%x ", unix.SYS_READ, unix.Stdin)
	for _, f := range a.families {
		next := f.tools.ahead.next
		if next == nil {
			continue // none is started for sets
		}
		w := <-next
		next <- w
		for call := ""; !strings.HasPrefix(call, reads); {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", w.cmd.Process.Pid))
			if call = string(text); err != nil || call == "" {
				k.Fatalf("the program started ahead has ended: %v", err)
			}
		}
	}
}

func percentile(d []time.Duration, p int) float64 {
	slices.Sort(d)
	return float64(d[min(len(d)*p/100, len(d)-1)]) / float64(time.Millisecond)
}

// BenchmarkKernelMany is many bans in one batch, and a resync of as many without drift.
func BenchmarkKernelMany(b *testing.B) {
	for _, variant := range variants {
		for _, backend := range []string{backendAuto, backendSet, backendRules} {
			for _, n := range []int{10_000, 100_000} {
				if backend == backendRules && n > 10_000 {
					continue // 100,000 rules are not a use case
				}
				b.Run(fmt.Sprintf("%s/%s/%d", variant, backend, n), func(b *testing.B) { applyMany(b, variant, backend, n) })
			}
		}
	}
}

func applyMany(b *testing.B, variant, backend string, n int) {
	k := newKernel(b, variant)
	bans := many(n, time.Now().Add(time.Hour))
	changes := make([]ban.Change, n)
	for i := range bans {
		changes[i] = bannedBan(bans[i])
	}
	var applied, again []time.Duration
	for b.Loop() {
		b.StopTimer()
		k.clear()
		a := k.action(`backend = "` + backend + `"`)
		k.resync(a)
		b.StartTimer()
		began := time.Now()
		k.apply(a, changes...)
		applied = append(applied, time.Since(began))
		b.StopTimer()
		began = time.Now()
		k.quiet(a, bans...)
		again = append(again, time.Since(began))
		a.flows.running.Wait()
		b.StartTimer()
	}
	b.ReportMetric(percentile(applied, 50), "apply-ms")
	b.ReportMetric(percentile(again, 50), "resync-ms")
}

// BenchmarkKernelCutFlows deletes the flows of one address, without and beside flows of others.
func BenchmarkKernelCutFlows(b *testing.B) {
	for _, flows := range []int{0, 20} {
		b.Run(fmt.Sprint(flows), func(b *testing.B) {
			k := newKernel(b, "nft")
			k.Cleanup(func() { k.sh("conntrack", "-F") })
			for i := range flows {
				k.sh("conntrack", "-I", "-p", "udp", "-s", fmt.Sprintf("198.51.100.%d", i), "-d", "192.0.2.200", "--sport", "5060", "--dport", "5060", "-t", "300")
			}
			target := []ban.Target{ban.Address(netip.MustParseAddr("203.0.113.7"))}
			for b.Loop() {
				cutFlows(target)
			}
		})
	}
}
