//go:build kernel

package iptables

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// The tests with build tag "kernel" run against real iptables and ipset, as root, in a
// network namespace that TestMain makes for the process. They never touch the host's
// firewall: without a namespace of its own the process runs no test.

const insideVar = "IPTABLES_TEST_NAMESPACE"

// The main goroutine keeps the main thread, so that wire.within cannot move it into
// another namespace: /proc/self is that thread's.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	host := os.Getenv(insideVar)
	own, err := os.Readlink("/proc/self/ns/net")
	if host == "" {
		os.Exit(reexec(own))
	}
	if err != nil || own == host {
		fmt.Fprintln(os.Stderr, "kernel tests: not in a network namespace of our own")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// reexec runs this test binary again in a new network namespace.
func reexec(host string) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "kernel tests: must run as root")
		return 1
	}
	for _, name := range []string{"iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy", "ipset", "ip", "conntrack"} {
		if _, err := lookPath(name); err != nil {
			fmt.Fprintf(os.Stderr, "kernel tests: %s is missing: apt-get install iptables ipset iproute2 conntrack\n", name)
			return 1
		}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideVar+"="+host)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return exit.ExitCode()
		}
		fmt.Fprintln(os.Stderr, "kernel tests:", err)
		return 1
	}
	return 0
}

// variants are the two iptables that a host may have.
var variants = []string{"nft", "legacy"}

// eachVariant runs a test with both, on an empty firewall.
func eachVariant(t *testing.T, f func(t *testing.T, k *kernel)) {
	for _, v := range variants {
		t.Run(v, func(t *testing.T) { f(t, newKernel(t, v)) })
	}
}

// A kernel is the firewall of the namespace, as one variant of iptables sees it.
type kernel struct {
	testing.TB
	variant string
	start   time.Time
}

// newKernel is the firewall, which the test before has left empty.
func newKernel(t testing.TB, variant string) *kernel {
	k := &kernel{t, variant, time.Now()}
	t.Cleanup(k.clear)
	return k
}

// clear empties the firewall, of both variants.
func (k *kernel) clear() {
	empty := `*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
COMMIT
*raw
:PREROUTING ACCEPT
:OUTPUT ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
COMMIT
`
	for _, v := range variants {
		k.feed(empty, "iptables-"+v+"-restore")
		k.feed(empty, "ip6tables-"+v+"-restore")
	}
	k.sh("ipset", "destroy")
}

// sh runs a program and fails the test where it fails.
func (k *kernel) sh(program string, args ...string) string {
	k.Helper()
	out, err := k.try(program, args...)
	if err != nil {
		k.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func (k *kernel) try(program string, args ...string) (string, error) {
	path, err := lookPath(program)
	if err != nil {
		return "", err
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// feed runs a program on input.
func (k *kernel) feed(input, program string, args ...string) {
	k.Helper()
	path, err := lookPath(program)
	if err != nil {
		k.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		k.Fatalf("%s: %v: %s", program, err, out)
	}
}

func (k *kernel) iptables(args ...string) string {
	k.Helper()
	return k.sh("iptables-"+k.variant, args...)
}
func (k *kernel) ip6tables(args ...string) string {
	k.Helper()
	return k.sh("ip6tables-"+k.variant, args...)
}

// action makes an action for this kernel's variant from the body of a block.
func (k *kernel) action(body string) *Action {
	k.Helper()
	a := parse(k, body)
	a.families[ipv4].program = "iptables-" + k.variant
	if len(a.families) > 1 {
		a.families[ipv6].program = "ip6tables-" + k.variant
	}
	k.Cleanup(a.flows.running.Wait)
	a.serving.Store(true)
	k.Cleanup(a.release)
	return a
}

func (k *kernel) resync(a *Action, bans ...ban.Ban) plugin.Drift {
	k.Helper()
	d, err := a.Resync(context.Background(), slices.Values(bans))
	if err != nil {
		k.Fatalf("resync: %v", err)
	}
	return d
}

// quiet resyncs and expects no drift.
func (k *kernel) quiet(a *Action, bans ...ban.Ban) {
	k.Helper()
	if d := k.resync(a, bans...); d.Any() {
		k.Fatalf("drift in a kernel that agrees: %+v", d)
	}
}

func (k *kernel) apply(a *Action, changes ...ban.Change) {
	k.Helper()
	if err := a.Apply(context.Background(), ban.BatchOf(time.Now(), changes...)); err != nil {
		k.Fatalf("apply: %v", err)
	}
}

// members lists a set as the ipset program sees it, without counters.
func (k *kernel) members(set string) []string {
	k.Helper()
	_, list, _ := strings.Cut(k.sh("ipset", "list", set), "Members:\n")
	var out []string
	for line := range strings.Lines(list) {
		out = append(out, strings.Fields(line)[0])
	}
	slices.Sort(out)
	return out
}

// chain lists our chain of one family, without its own line.
func (k *kernel) chain(program string) []string {
	k.Helper()
	return parseListing(k.sh(program+"-"+k.variant, "-S"))["FREESWITCH"]
}

func (k *kernel) wantChain(program string, want ...string) {
	k.Helper()
	got := k.chain(program)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		k.Fatalf("%s chain:\n  %s\nwant:\n  %s", program, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func (k *kernel) wantFirst(program, hook, want string) {
	k.Helper()
	if rules := parseListing(k.sh(program+"-"+k.variant, "-S"))[hook]; len(rules) == 0 || rules[0] != want {
		k.Fatalf("%s %s: %q; want %q first", program, hook, rules, want)
	}
}

func bannedBan(b ban.Ban) ban.Change { return ban.Change{Kind: ban.KindBan, Ban: b} }

// many makes bans of n different addresses in 10.0.0.0/8.
func many(n int, until time.Time) []ban.Ban {
	bans := make([]ban.Ban, n)
	for i := range bans {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		bans[i] = ban.Ban{Target: ban.Address(a), Until: until}
	}
	return bans
}

// fieldsOf lists the fields of a text that equal want.
func fieldsOf(text, want string) (found []string) {
	for _, f := range strings.Fields(text) {
		if f == want {
			found = append(found, f)
		}
	}
	return found
}

// TestKernelAnyOrder: after random batches and random damage the kernel has the entries
// of the bans, with each backend.
func TestKernelAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, body := range []string{
		"ipset_above = 8\nmax_entries = 64",
		"ipset_above = 8\naggregate = \"30\"",
		"backend = \"rules\"\nhooks = [\"raw/PREROUTING\", \"INPUT\"]",
	} {
		eachVariant(t, func(t *testing.T, k *kernel) {
			r := rand.New(rand.NewPCG(seed, 0))
			a := k.action(body)
			k.resync(a)
			want := map[ban.Target]ban.Ban{}
			for range 40 {
				var changes []ban.Change
				for range 1 + r.IntN(3) {
					b := ban.Ban{Target: randomTarget(r), Until: time.Now().Add(time.Hour)}
					if r.IntN(3) > 0 {
						want[b.Target] = b
						changes = append(changes, bannedBan(b))
					} else {
						delete(want, b.Target)
						changes = append(changes, ban.Change{Kind: ban.KindExpire, Ban: b})
					}
				}
				switch r.IntN(12) {
				case 0:
					k.iptables("-F", "FREESWITCH")
				case 1:
					k.try("ipset", "flush")
				case 2:
					k.iptables("-F", "INPUT")
				case 3:
					a = k.action(body) // a restart
					k.resync(a, slices.Collect(maps.Values(want))...)
				}
				k.apply(a, changes...)
			}
			k.resync(a, slices.Collect(maps.Values(want))...)
			k.quiet(a, slices.Collect(maps.Values(want))...)
			in, err := a.Inspect(t.Context())
			if err != nil || len(status.Texts(in.Problems, status.Critical)) > 0 {
				t.Fatalf("%+v, %v", in, err)
			}
			entries := expiries{}
			for _, e := range in.Entries {
				entries.put(e.Target, permanent)
			}
			bans := expiries{}
			for p := range want {
				bans.put(p, 1)
			}
			covers(t, trusted, bans, entries)
			if n := len(a.families[ipv4].desired.entries()) + len(a.families[ipv6].desired.entries()); n != len(entries) {
				t.Fatalf("%d entries in the kernel; %d wanted", len(entries), n)
			}
		})
	}
}

// TestKernelInspectConcurrently inspects beside changes. It is for -race.
func TestKernelInspectConcurrently(t *testing.T) {
	k := newKernel(t, "nft")
	a := k.action("ipset_above = 5")
	var looking sync.WaitGroup
	looking.Go(func() {
		for range 20 {
			if _, err := a.Inspect(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	bans := many(10, time.Now().Add(time.Hour))
	k.resync(a)
	for i, b := range bans {
		k.apply(a, bannedBan(b))
		k.resync(a, bans[:i+1]...)
	}
	looking.Wait()
}

// TestKernelGrowsAgain: a set grows although an earlier growth was not finished, and
// counters are kept.
func TestKernelGrowsAgain(t *testing.T) {
	k := newKernel(t, "nft")
	a := k.action("backend = \"ipset\"\nmax_entries = 64\nipv6 = false")
	bans := many(60, time.Now().Add(time.Hour))
	k.resync(a, bans[:20]...)
	k.sh("ipset", "create", "freeswitch-growing", "hash:net")
	k.sh("ipset", "add", "-exist", "freeswitch-blocked", "10.0.0.1", "packets", "17", "bytes", "1700", "timeout", "3600")
	for _, b := range bans[20:] {
		k.apply(a, bannedBan(b))
	}
	if out := k.sh("ipset", "list"); strings.Contains(out, "growing") || !strings.Contains(out, "packets 17 bytes 1700") || !strings.Contains(out, "maxelem 512") {
		t.Fatal(out)
	}
	k.apply(a, banned("10.0.0.1/32", time.Now().Add(2*time.Hour)))
	if out := k.sh("ipset", "list"); !strings.Contains(out, "packets 17 bytes 1700") {
		t.Error("a longer ban lost its counters")
	}
}

// TestKernelProtectedIsNoDrift protects an address beside two aggregated bans, and no longer, with a rule
// that another program deletes meanwhile: only that is drift.
func TestKernelProtectedIsNoDrift(t *testing.T) {
	bans := many(3, time.Now().Add(time.Hour))
	for _, body := range []string{`aggregate = "24"`, "aggregate = \"24\"\nbackend = \"ipset\""} {
		eachVariant(t, func(t *testing.T, k *kernel) {
			a, spared := k.action(body), false
			if err := a.Open(plugin.Host{Now: time.Now, Changed: func() {}, Spared: func(netip.Prefix) bool { return spared }}); err != nil {
				t.Fatal(err)
			}
			k.resync(a, bans...)
			k.quiet(a, bans...)
			for _, spared = range []bool{true, false, true, false} {
				k.quiet(a, bans...)
				in, err := a.Inspect(t.Context())
				if err != nil || len(in.Entries) != map[bool]int{true: 3, false: 1}[spared] {
					t.Fatalf("spared: %v: %+v, %v", spared, in.Entries, err)
				}
				k.quiet(a, bans...)
			}
			for _, chain := range []string{"INPUT", "FREESWITCH"} {
				k.iptables("-F", chain)
				spared = !spared
				if d := k.resync(a, bans...); !d.Any() {
					t.Errorf("what another program did to %s is no drift", chain)
				}
				k.quiet(a, bans...)
			}
		})
	}
}
