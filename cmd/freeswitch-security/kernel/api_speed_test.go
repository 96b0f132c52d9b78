//go:build kernel

package kernel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAPIManyBans bans many addresses by one request, and measures the time until all are in the
// kernel and the request is answered.
func TestAPIManyBans(t *testing.T) {
	for _, c := range []struct {
		bans  int
		limit time.Duration
	}{{10_000, 500 * time.Millisecond}, {100_000, 5 * time.Second}} {
		t.Run(fmt.Sprint(c.bans), func(t *testing.T) {
			socket := adminSocket(t)
			prepare(t, ``, fmt.Sprintf(onSocket, socket)).start()
			a := askingAt(t, socket)
			var body strings.Builder
			for i := range c.bans {
				fmt.Fprintf(&body, `,{"ip": %q, "reason": "by hand", "ttl": "1h"}`, address(i))
			}
			type reply struct {
				status int
				text   string
				err    error
				took   time.Duration
			}
			answered := make(chan reply, 1)
			began := time.Now()
			go func() {
				status, text, err := a.ask("POST", "/security/blacklist/batch", "["+body.String()[1:]+"]")
				answered <- reply{status, text, err, time.Since(began)}
			}()
			watching(t, 20*time.Second, 20*time.Millisecond, "all are in the kernel", func() bool { return members(t) >= c.bans })
			took := time.Since(began)
			r := <-answered
			t.Logf("%d bans in the kernel after %s, answered after %s", c.bans, took, r.took)
			if min(took, r.took) > most(c.limit) {
				t.Errorf("took %s, want at most %s", took, c.limit)
			}
			var all struct{ Results []change }
			if err := json.Unmarshal([]byte(r.text), &all); err != nil || r.err != nil || r.status != http.StatusOK || len(all.Results) != c.bans {
				t.Fatalf("%d, %v, %v, %d answers", r.status, r.err, err, len(all.Results))
			}
			for i, one := range all.Results {
				if one.Target != address(i) || one.Status != "success" || !one.Applied {
					t.Fatalf("answer %d: %+v", i, one)
				}
			}
		})
	}
}

// TestAPILatency measures one manual ban, from the request to the answer, when it is in the kernel.
func TestAPILatency(t *testing.T) {
	socket := adminSocket(t)
	prepare(t, ``, fmt.Sprintf(onSocket, socket)).start()
	a := askingAt(t, socket)
	atBest(t, "banned by hand and answered; want p99 of at most 15ms", func(run int) (percentiles, bool) {
		var took []time.Duration
		for i := range tries() {
			var done change
			began := time.Now()
			a.does("POST", "/security/blacklist", fmt.Sprintf(`{"ip": "198.18.%d.%d", "reason": "by hand"}`, 1+run, i), &done)
			took = append(took, time.Since(began))
			if !done.Applied {
				t.Fatalf("%+v", done)
			}
		}
		p := percentilesOf(took)
		return p, p.p99 <= most(15*time.Millisecond)
	})
}

// onAccount bans at the first failure on one account. It counts failures on other accounts and
// never bans for them.
const onAccount = `
rule "on one account" {
  on    = [source.log.freeswitch]
  match = "event == 'auth_failure' and user == '4711'"
  ban { for = "1h" }
}
rule "patient" {
  on    = [source.log.freeswitch]
  match = "event == 'auth_failure'"
  threshold {
    count  = 1000
    within = "10m"
  }
  ban { for = "1h" }
}
`

// TestLatencyBesideAPI measures the latency of a ban beside 10,000 logged events a second, in turns
// with and without 2,000 API requests a second.
func TestLatencyBesideAPI(t *testing.T) {
	const events, requests, turns = 10_000, 2_000, 20
	socket := adminSocket(t)
	d := prepare(t, ``, fmt.Sprintf(onSocket, socket)+onAccount).start()
	a, e := askingAt(t, socket), listen(t)
	stop, started := d.failures(events), time.Now()
	defer stop()
	pause(500 * time.Millisecond)
	var asked int64
	var asking time.Duration
	atBest(t, "beside 2000 requests a second; want p99 at most 1.5 times as long as without", func(run int) (percentiles, bool) {
		var took [2][]time.Duration // without and with requests
		for turn := range 2 * turns {
			with := turn % 2
			end := func() int64 { return 0 }
			began := time.Now()
			if with == 1 {
				end = a.load(requests + requests/20) // some come late
			}
			for i := range trials / turns {
				ip := fmt.Sprintf("198.18.%d.%d", 100+2*turns*run+turn, i)
				took[with] = append(took[with], silenced(t, e, ip, func() {
					d.write(strings.Replace(failure(ip), "[1000@", "[4711@", 1))
				}))
			}
			if with == 1 {
				asked += end()
				asking += time.Since(began)
			}
		}
		alone, beside := percentilesOf(took[0]), percentilesOf(took[1])
		t.Logf("without requests: %s", alone)
		return beside, float64(beside.p99) <= min(1.5*slack(), 10)*float64(alone.p99)
	})
	pause(300 * time.Millisecond) // status is cached for 250 ms
	var s struct{ Events int64 }
	a.does("GET", "/security/stats", "", &s)
	flow, rate := float64(s.Events)/time.Since(started).Seconds(), float64(asked)/asking.Seconds()
	t.Logf("%.0f events a second were counted, %.0f requests answered", flow, rate)
	if flow < 0.9*events/slack() || rate < requests/slack() {
		t.Errorf("want %d events and %d requests", events, requests)
	}
}

// failures writes failures of a hundred thousand addresses, in turns, until it is stopped.
func (d *daemon) failures(perSecond int) (stop func()) {
	i := 0
	return paced(perSecond, func(due int) int {
		var lines strings.Builder
		for range due {
			lines.WriteString(failure(fmt.Sprintf("100.%d.%d.%d", 64+i>>16, i>>8&255, i&255)))
			i = (i + 1) % 100_000
		}
		d.write(lines.String())
		return due
	})
}

// load sends so many requests a second until end is called, which returns the number of answers.
func (a *api) load(perSecond int) (end func() int64) {
	const callers = 4
	paths := []string{"/security/status", "/security/stats", "/security/sources", "/health", "/security/blacklist/198.18.0.1", "/security/whitelist"}
	over := make(chan struct{})
	var answered atomic.Int64
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for began, n := time.Now(), 0; ; {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				for ; n < int(time.Since(began).Seconds()*float64(perSecond/callers)); n++ {
					status, text, err := a.ask("GET", paths[(n+caller)%len(paths)], "")
					if err != nil || status != http.StatusOK && status != http.StatusNotFound {
						a.Errorf("%d %v %s", status, err, text)
						return
					}
					answered.Add(1)
				}
			}
		})
	}
	end = sync.OnceValue(func() int64 {
		close(over)
		all.Wait()
		return answered.Load()
	})
	a.Cleanup(func() { end() }) // also if the test fails
	return end
}
