package admin

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

// quick makes a lab without limits for what is asked many times.
func quick(b *testing.B) *lab {
	return newLab(b, func(o *Options, lim *limits) { o.Log, lim.reads, lim.writes = nil, 1e9, 1e9 })
}

// fill bans n addresses.
func fill(l *lab, n int) {
	var orders []ban.Order
	for i := range n {
		o := ban.Order{Target: ban.Network(prefix(fmt.Sprintf("11.%d.%d.%d", i>>16, i>>8&255, i&255))), Reason: "filled", At: time.Now()}
		orders = append(orders, o)
	}
	if _, err := l.engine.Ban(l.t.Context(), orders); err != nil {
		l.t.Fatal(err)
	}
}

func BenchmarkShowBan(b *testing.B) {
	l := quick(b)
	fill(l, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if l.server.ServeHTTP(w, request("GET", "/security/blacklist/11.0.3.7", "")); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

func BenchmarkStatus(b *testing.B) {
	l := quick(b)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if l.server.ServeHTTP(w, request("GET", "/security/status", "")); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkOverTCP is a look at one ban, over connections that are kept.
func BenchmarkOverTCP(b *testing.B) {
	l := quick(b)
	fill(l, 10_000)
	url := "http://" + l.start() + "/security/blacklist/11.0.3.7"
	b.ReportAllocs()
	b.ResetTimer() // RunParallel counts what was before it
	b.RunParallel(func(pb *testing.PB) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for pb.Next() {
			answer, err := client.Get(url)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	})
}

// BenchmarkBatch is a batch of 10,000 addresses, with a wall and a disk that cost little.
func BenchmarkBatch(b *testing.B) {
	var body strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&body, `,{"ip":"11.%d.%d.%d","reason":"Batch test"}`, i>>16, i>>8&255, i&255)
	}
	text := "[" + body.String()[1:] + "]"
	l := quick(b)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if l.server.ServeHTTP(w, request("POST", "/security/blacklist/batch", text)); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkListBans is the whole list of 10,000 bans.
func BenchmarkListBans(b *testing.B) {
	l := quick(b)
	fill(l, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if l.server.ServeHTTP(w, request("GET", "/security/blacklist", "")); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkTell sends a change that has no reader.
func BenchmarkTell(b *testing.B) {
	l := quick(b)
	c := change(1, "x")
	b.ReportAllocs()
	for b.Loop() {
		l.server.Send(c)
	}
}
