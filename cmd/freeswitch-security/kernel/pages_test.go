//go:build kernel

package kernel

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

// TestPagesLatency measures the time from the fifth failure of an attacker to its last packet, beside 1,000 events a
// second, in turns with and without 200 open pages.
func TestPagesLatency(t *testing.T) {
	exact(t)
	const pages, turns = 200, 5
	pbx, socket := esltest.Start(t, healthy), adminSocket(t)
	prepare(t, ``, fmt.Sprintf(onStream, pbx.Addr())+fmt.Sprintf(onSocket, socket)).shipped("source.esl.pbx").start()
	stop := noise(t, pbx, recorded(t, subscribed(t, pbx)), 1000)
	defer stop()
	a, e := askingAt(t, socket), listen(t)
	pause(time.Second) // the attackers of the noise are banned by then
	var best float64
	for run := range 3 {
		var took [2][]time.Duration // without and with pages
		var updates int64
		var open time.Duration
		for turn := range 2 * turns {
			with, began := turn%2, time.Now()
			end := func() int64 { return 0 }
			if with == 1 {
				end = a.pages(pages)
			}
			for i := range trials / turns {
				ip := fmt.Sprintf("198.18.%d.%d", 100+2*turns*run+turn, i)
				fails(pbx, ip, 4)
				took[with] = append(took[with], silenced(t, e, ip, func() { fails(pbx, ip, 1) }))
			}
			if with == 1 {
				updates += end()
				open += time.Since(began)
			}
		}
		without, beside := percentilesOf(took[0]), percentilesOf(took[1])
		ratio := float64(beside.p99) / float64(without.p99)
		rate := float64(updates) / open.Seconds()
		t.Logf("without pages: %s; with %d pages and %.0f updates a second: %s; ratio %.2f", without, pages, rate, beside, ratio)
		if want := pages / updateEvery.Seconds(); rate < want/2/slack() {
			t.Errorf("%.0f updates a second, want %.0f", rate, want)
		}
		if run == 0 || ratio < best {
			best = ratio
		}
		if figureOf(t, pagesRatio).kept(best, slack()) {
			break
		}
	}
	hold(t, pagesRatio, best)
}

// updateEvery is the time between two updates of an open page. One of wholeEvery has the charts.
const (
	updateEvery = 5 * time.Second
	wholeEvery  = 12
)

// pages opens so many pages, as page.js does: each has a stream of changes, and is updated every five seconds. end
// closes them, and returns the number of updates.
func (a *api) pages(n int) (end func() int64) {
	over := make(chan struct{})
	var updates atomic.Int64
	var all sync.WaitGroup
	for page := range n {
		stream, err := a.client.Get("http://localhost/events?brief=true")
		if err != nil || stream.StatusCode != http.StatusOK {
			a.Fatalf("page %d: %v %v", page, stream, err)
		}
		all.Go(func() { _, _ = io.Copy(io.Discard, stream.Body) }) // until it is closed
		all.Go(func() {
			defer stream.Body.Close()
			next := time.NewTimer(time.Duration(page) * updateEvery / time.Duration(n))
			for i := page; ; i++ {
				select {
				case <-over:
					return
				case <-next.C:
				}
				next.Reset(updateEvery)
				path := "/?live=1"
				if i%wholeEvery == 0 {
					path = "/"
				}
				if status, text, err := a.ask("GET", path, ""); err != nil || status != http.StatusOK {
					a.Errorf("%d %v %s", status, err, text)
					return
				}
				updates.Add(1)
			}
		})
	}
	end = sync.OnceValue(func() int64 {
		close(over)
		all.Wait()
		return updates.Load()
	})
	a.Cleanup(func() { end() }) // also if the test fails
	return end
}
