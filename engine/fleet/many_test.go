package fleet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/nats-server/v2/server"
)

// spending is what a server and its process have used so far.
type spending struct {
	Port                               int
	CPU                                time.Duration
	Memory                             int64 // bytes, resident at most
	InMsgs, OutMsgs, InBytes, OutBytes int64
}

func used() (cpu time.Duration, memory int64) {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of this process: it does not fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Maxrss << 10
}

// serverRole has TestManyNodes be the server, in a process of its own.
const serverRole = "FLEET_TEST_SERVER"

// TestManyNodes has $FLEET_NODES nodes share 50 bans a second for 20 seconds, and logs what that costs a node and
// the server. Without it there are few, and less time.
func TestManyNodes(t *testing.T) {
	if os.Getenv(serverRole) != "" {
		beServer(t)
		return
	}
	nodes, seconds := 5, 1
	if n, err := strconv.Atoi(os.Getenv("FLEET_NODES")); err == nil {
		nodes, seconds = n, 20
	} else {
		t.Parallel()
	}
	ask := serveApart(t)
	at := &fleettest.Server{Options: &server.Options{Port: ask().Port}}
	var all []*guard
	began := time.Now()
	for i := range nodes {
		all = append(all, newGuard(t, at, fmt.Sprintf("n%d", i)).start())
	}
	for _, g := range all {
		g.await("it joins", func() bool { return g.Status().Joined })
	}
	_, memory := used()
	t.Logf("%d nodes have joined after %s: %d KB each", nodes, time.Since(began).Round(time.Millisecond), memory>>10/int64(nodes))
	spend(t, ask, nodes, "nothing to tell", func() { <-time.After(time.Duration(seconds) * time.Second) })
	const perSecond = 50
	bans := perSecond * seconds
	cost := spend(t, ask, nodes, "50 bans a second", func() {
		began := time.Now()
		for i := range bans {
			<-time.After(time.Until(began.Add(time.Duration(i) * time.Second / perSecond)))
			all[i*7%nodes].ban(fmt.Sprintf("10.0.%d.%d", i>>8, i&255), time.Hour)
		}
		last := time.Now()
		for _, g := range all {
			g.await("it has all", func() bool { return g.ledger.Size() == bans })
		}
		t.Logf("all nodes have all %d bans %s after the last one", bans, time.Since(last).Round(time.Millisecond))
	})
	for _, g := range all {
		if s := g.log.String(); strings.Count(s, "\n") != 1 {
			t.Errorf("%s did not only join:\n%.2000s", g.cfg.Node, s)
		}
	}
	if most := int64(bans*nodes) * 2; cost.OutMsgs > most {
		t.Errorf("the server sent %d messages for %d bans to %d nodes, more than %d", cost.OutMsgs, bans, nodes, most)
	}
}

// spend logs what nodes and their server use while it does something, and returns what the server did.
func spend(t *testing.T, ask func() spending, nodes int, what string, do func()) spending {
	t.Helper()
	before, began := ask(), time.Now()
	cpu, _ := used()
	do()
	after, took := ask(), time.Since(began)
	cpuAfter, memory := used()
	cost := spending{CPU: after.CPU - before.CPU, Memory: after.Memory, InMsgs: after.InMsgs - before.InMsgs, OutMsgs: after.OutMsgs - before.OutMsgs,
		InBytes: after.InBytes - before.InBytes, OutBytes: after.OutBytes - before.OutBytes}
	rate := func(n int64) float64 { return float64(n) / took.Seconds() }
	t.Logf("%s for %s: a node %.2f %% of a core, %d KB; the server %.1f %%, %d MB, %.0f messages/s in and %.0f out, %.0f and %.0f KB/s", what,
		took.Round(time.Millisecond), 100*(cpuAfter-cpu).Seconds()/took.Seconds()/float64(nodes), memory>>10/int64(nodes), 100*cost.CPU.Seconds()/took.Seconds(),
		cost.Memory>>20, rate(cost.InMsgs), rate(cost.OutMsgs), rate(cost.InBytes)/1000, rate(cost.OutBytes)/1000)
	return cost
}

// serveApart starts a server in a process of its own, and returns a function that asks what it has used.
func serveApart(t *testing.T) func() spending {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestManyNodes$")
	cmd.Env = append(os.Environ(), serverRole+"=yes")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends then
		_ = cmd.Wait()
	})
	answers := json.NewDecoder(out)
	return func() (s spending) {
		t.Helper()
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// beServer serves, and answers each line with what was used, until the standard input ends.
func beServer(t *testing.T) {
	s := fleettest.Serve(t, nil)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		v, err := s.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		one := spending{Port: s.Options.Port, InMsgs: v.InMsgs, OutMsgs: v.OutMsgs, InBytes: v.InBytes, OutBytes: v.OutBytes}
		one.CPU, one.Memory = used()
		_ = json.NewEncoder(os.Stdout).Encode(one) // the parent has ended otherwise
	}
}
