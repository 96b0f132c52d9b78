package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// served is a feed whose list is what body returns at each request.
func served(t *testing.T, more string, body func() (status int, text string)) *source {
	s := feedOf(t, "url = \"https://x.example/list\"\n"+more)
	s.transport = direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, text := body()
		w.WriteHeader(status)
		write(w, text)
	})}
	return s
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		start := time.Now()
		s := served(t, `interval = "10m"`, func() (int, string) {
			asked = append(asked, time.Since(start))
			return 200, "20.0.0.1\n"
		})
		jitter := []float64{0, 1, 0.5}
		s.pace.random = func() float64 { return jitter[len(asked)%3] }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Follow(ctx, streamTo(newFakeLedger().list)) }()
		time.Sleep(31 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, 11 * time.Minute, 21 * time.Minute, 30 * time.Minute}
		if !slices.Equal(asked, want) {
			t.Errorf("asked at %v, want %v", asked, want)
		}
	})
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		start := time.Now()
		var well atomic.Bool
		s := served(t, `interval = "10m"`, func() (int, string) {
			asked = append(asked, time.Since(start))
			if !well.Load() {
				return 503, ""
			}
			return 200, "20.0.0.1\n"
		})
		l := newFakeLedger()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		stream := streamTo(l.list)
		go func() { done <- s.Follow(ctx, stream) }()
		time.Sleep(26 * time.Minute)
		const want = "list not taken, its entries stay banned until their terms end: https://x.example: answered 503 Service Unavailable"
		if got := stream.Progress.Status(); got.Fault != "" || len(got.Problems) != 1 || got.Problems[0].Text != want {
			t.Errorf("%+v", got)
		}
		well.Store(true)
		time.Sleep(21 * time.Minute)
		if got := stream.Progress.Status(); got.Problems != nil || got.Lines != 2 || got.Events != 1 || got.Bytes != 18 || !got.LastEvent.Equal(start.Add(45*time.Minute)) {
			t.Errorf("%+v", got)
		}
		cancel()
		<-done
		var minutes []string
		for _, at := range asked {
			minutes = append(minutes, fmt.Sprint(at.Minutes()))
		}
		if got := strings.Join(minutes, " "); got != "0 1 3 7 15 25 35 45" {
			t.Errorf("asked at %s", got)
		}
	})
}

// TestJitter demands that waits vary by a tenth at most.
func TestJitter(t *testing.T) {
	p := defaultPace()
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := p.spread(time.Hour)
		seen[d] = true
		if d < 54*time.Minute || d > 66*time.Minute {
			t.Fatal(d)
		}
	}
	if len(seen) < 900 {
		t.Errorf("%d different waits of 1000", len(seen))
	}
}

// TestFollowEndsAtOnce ends a feed that waits for an answer, for the ledger, and for its
// next turn.
func TestFollowEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asking := feedOf(t, `url = "https://x.example/"`)
		asking.transport = direct{http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })}
		waiting := served(t, "", func() (int, string) { return 200, "20.0.0.1\n" })
		handing := func(ctx context.Context, _ plugin.Listing) (plugin.Outcome, error) {
			<-ctx.Done()
			return plugin.Outcome{}, ctx.Err()
		}
		last := streamTo(newFakeLedger().list)
		for name, keep := range map[string]func(context.Context) error{
			"asking":  func(ctx context.Context) error { return asking.Follow(ctx, streamTo(newFakeLedger().list)) },
			"handing": func(ctx context.Context) error { return waiting.Follow(ctx, streamTo(handing)) },
			"waiting": func(ctx context.Context) error { return waiting.Follow(ctx, last) },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			start := time.Now()
			go func() { done <- keep(ctx) }()
			time.Sleep(30 * time.Second)
			cancel()
			if err := <-done; err != nil || time.Since(start) != 30*time.Second {
				t.Errorf("%s: %v after %s", name, err, time.Since(start))
			}
		}
		if last.Progress.Status().Problems != nil {
			t.Errorf("the end counts as a failure: %q", last.Progress.Status().Problems)
		}
	})
}

func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := "ip,ttl,reason\n203.0.113.7,10m,scanner\n198.51.100.0/24,,\n"
		s := served(t, "reason = \"on the peer's list\"", func() (int, string) { return 200, text })
		l := newFakeLedger()
		k := s.turns(l)
		now := time.Now()
		k.turn(t.Context())
		if len(l.listings) != 1 || len(l.listings[0].Orders) != 2 {
			t.Fatalf("%+v", l.listings)
		}
		network, single := l.listings[0].Orders[0], l.listings[0].Orders[1]
		if network.Target.String() != "198.51.100.0/24" || network.Address.IsValid() || network.Author != "feed apiban" || network.Source != "feed.apiban" ||
			network.Rule != "" || network.Reason != "on the peer's list" || !network.At.Equal(now) || !slices.Equal(network.Terms, []ban.Term{ban.Term(24 * time.Hour)}) || network.Actions != nil {
			t.Errorf("%+v", network)
		}
		if single.Address != netip.MustParseAddr("203.0.113.7") || single.Reason != "scanner" || single.Terms[0] != ban.Term(10*time.Minute) {
			t.Errorf("%+v", single)
		}
		text = "ip,ttl,reason\n203.0.113.8,,\n"
		time.Sleep(time.Minute)
		k.turn(t.Context())
		second := l.listings[1]
		if len(second.Orders) != 1 || fmt.Sprint(second.Gone) != "[198.51.100.0/24 203.0.113.7/32]" || second.Author != "feed apiban" {
			t.Errorf("%+v", second)
		}
	})
}

// TestRenewals counts the orders for a list that does not change in two days: one for
// each entry every twelve hours, and no gap.
func TestRenewals(t *testing.T) {
	for _, interval := range []string{"1m", "1h", "6h", "11h"} {
		synctest.Test(t, func(t *testing.T) {
			l, orders := newFakeLedger(), 0
			s := served(t, fmt.Sprintf("interval = %q", interval), func() (int, string) { return 200, numbered("20.0.0.1", 50) })
			s.pace.random = rand.New(rand.NewPCG(7, 7)).Float64
			k := s.turns(l)
			for start := time.Now(); time.Since(start) < 48*time.Hour; {
				wait := k.turn(t.Context())
				time.Sleep(wait)
				if got := len(l.banned(time.Now())); got != 50 {
					t.Fatalf("interval %s: %d banned after %s", interval, got, time.Since(start))
				}
			}
			for _, listing := range l.listings {
				orders += len(listing.Orders)
			}
			if orders > 50*7 {
				t.Errorf("interval %s: %d orders for 50 entries", interval, orders)
			}
		})
	}
}

// TestFixedEnds reads a list that says in two ways when its bans end: each is ordered
// once.
func TestFixedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		end := start.Add(3 * time.Hour)
		l := newFakeLedger()
		s := served(t, `interval = "5m"`, func() (int, string) {
			left := time.Until(end) - time.Duration(time.Since(start).Nanoseconds()%7)*time.Second
			return 200, fmt.Sprintf(`[{"ip":"20.0.0.1","expiresAt":%q},{"ip":"20.0.0.2","ttl":%d}]`, end.Format(time.RFC3339), int(left.Seconds()))
		})
		k := s.turns(l)
		for time.Since(start) < 4*time.Hour {
			time.Sleep(k.turn(t.Context()))
		}
		if len(l.listings) > 2 || l.until[netip.MustParsePrefix("20.0.0.1/32")] != end.Truncate(time.Second) || len(k.current.listed) != 0 {
			t.Errorf("%d listings, %v, %d listed", len(l.listings), l.until, len(k.current.listed))
		}
	})
}

func TestGuard(t *testing.T) {
	for _, test := range []struct {
		before, after int
		more          string
		refused       bool
	}{
		{1000, 500, "", false}, {1000, 499, "", true}, {1000, 1500, "", false}, {1000, 1501, "", true}, {1000, 0, "", true},
		{1, 101, "", false}, {1, 102, "", true}, {100, 0, "", false}, {101, 0, "", true}, {40, 110, "", false},
		{1000, 0, "guard = 1", false}, {1000, 2001, "guard = 1", true}, {1000, 9000, "guard = 1000", false}, {1000, 700, "guard = 0.2", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			text := numbered("20.0.0.1", test.before)
			l := newFakeLedger()
			k := served(t, test.more, func() (int, string) { return 200, "# list\n" + text }).turns(l)
			k.turn(t.Context())
			text = numbered("20.0.0.1", test.after)
			time.Sleep(time.Hour)
			k.turn(t.Context())
			want := test.after
			if test.refused {
				want = test.before
			}
			if (k.fault != "") != test.refused || len(l.until) != want {
				t.Errorf("%d to %d, %s: %d banned, %q", test.before, test.after, test.more, len(l.until), k.fault)
			}
		})
	}
}

// TestGuardEnds waits until all bans of the accepted list have ended: the next list is
// then accepted like a first one.
func TestGuardEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 1000
		l := newFakeLedger()
		k := served(t, "", func() (int, string) { return 200, numbered("20.0.0.1", n) }).turns(l)
		start := time.Now()
		for {
			wait := k.turn(t.Context())
			n = 100
			if got := len(l.banned(time.Now())); got == 100 {
				break
			} else if got != 1000 || time.Since(start) > 26*time.Hour {
				t.Fatalf("%d banned after %s: %s", got, time.Since(start), k.fault)
			}
			time.Sleep(wait)
		}
		if time.Since(start) < 23*time.Hour || k.fault != "" {
			t.Errorf("after %s, fault %q", time.Since(start), k.fault)
		}
	})
}

func TestEmptyAnswers(t *testing.T) {
	text := ""
	l := newFakeLedger()
	k := served(t, "", func() (int, string) { return 200, text }).turns(l)
	if k.turn(t.Context()); k.fault != "" {
		t.Errorf("a list that has always been empty: %q", k.fault)
	}
	for _, test := range []struct {
		text   string
		banned int
		fault  bool
	}{{"20.0.0.1\n", 1, false}, {"", 1, true}, {"# empty\n", 0, false}, {"20.0.0.1\n", 1, false}, {"[]", 0, false}} {
		text = test.text
		if k.turn(t.Context()); len(l.until) != test.banned || (k.fault != "") != test.fault {
			t.Errorf("%q: %d banned, %q", text, len(l.until), k.fault)
		}
	}
}

// TestLedgerRefuses has the ledger fail, refuse a trusted target, and hold a ban already.
func TestLedgerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLedger()
		s := served(t, "", func() (int, string) { return 200, "20.0.0.1\n20.0.0.2\n20.0.0.3\n" })
		k := s.turns(l)
		l.broken = errors.New("the engine has stopped")
		if k.turn(t.Context()); k.fault != "pass on the list: the engine has stopped" {
			t.Errorf("%q", k.fault)
		}
		l.broken = nil
		trusted, held := netip.MustParsePrefix("20.0.0.1/32"), netip.MustParsePrefix("20.0.0.2/32")
		l.trusted[trusted] = true
		l.until[held] = time.Now().Add(30 * time.Hour)
		for range 31 {
			time.Sleep(k.turn(t.Context()))
		}
		if got := l.banned(time.Now()); !slices.Equal(got, []string{"20.0.0.2", "20.0.0.3"}) {
			t.Errorf("banned %v", got)
		}
		orders := 0
		for _, listing := range l.listings {
			orders += len(listing.Orders)
		}
		if orders > 9 || k.stream.Progress.Status().Doubted < 2 || k.stream.Progress.Status().Problems != nil {
			t.Errorf("%d orders, %+v", orders, k.stream.Progress.Status())
		}
	})
}

// TestRealLedger passes a list to the real ledger, which refuses to renew a ban with the
// same end.
func TestRealLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trusted := netip.MustParsePrefix("20.0.0.7/32")
		ledger := ban.NewLedger(ban.NewTrust([]ban.Trusted{{Target: ban.Network(trusted), Name: "carriers"}}))
		list := func(_ context.Context, listing plugin.Listing) (out plugin.Outcome, err error) {
			now := time.Now()
			ledger.Advance(now)
			for _, o := range listing.Orders {
				if c := ledger.Enter(o, now); !c.InForce() {
					out.Refusals++
					out.Refused = append(out.Refused, *c)
					continue
				}
				out.Banned++
			}
			for _, target := range listing.Gone {
				if b, ok := ledger.Covering(ban.Network(target)); ok && b.Target.Prefix() == target && b.Author == listing.Author && ledger.Unban(ban.Network(target), "listed no longer", now, 0) != nil {
					out.Unbanned++
				}
			}
			return out, nil
		}
		text := numbered("20.0.0.1", 20) + "20.0.0.0/24\n20.1.0.0/24\n"
		s := served(t, "", func() (int, string) { return 200, text })
		k := s.turns(newFakeLedger())
		k.stream.List = list
		for range 72 {
			time.Sleep(k.turn(t.Context()))
			ledger.Advance(time.Now())
			if b, ok := ledger.Covering(ban.Network(trusted)); ok {
				t.Fatalf("a trusted target is banned: %+v", b)
			}
		}
		k.turn(t.Context())
		if got := len(ledger.Bans()); got != 20 { // 19 addresses and a network
			t.Errorf("%d bans", got)
		}
		text = "# empty\n"
		if k.turn(t.Context()); ledger.Size() != 0 || k.fault != "" {
			t.Errorf("%d bans, %q", ledger.Size(), k.fault)
		}
	})
}

// TestBansAgreeWithList changes a list at random and makes it unreachable at times: after
// each successful turn the bans equal the list.
func TestBansAgreeWithList(t *testing.T) {
	const seed = 11
	random := rand.New(rand.NewPCG(seed, 1))
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) {
			listed := map[string]bool{}
			status := 200
			l := newFakeLedger()
			s := served(t, `interval = "30m"`, func() (int, string) {
				var b strings.Builder
				b.WriteString("# list\n")
				for address := range listed {
					b.WriteString(address + "\n")
				}
				return status, b.String()
			})
			s.pace.random = random.Float64
			k := s.turns(l)
			for turn := range 150 {
				for range random.IntN(4) {
					address := fmt.Sprintf("20.0.0.%d", random.IntN(60))
					if listed[address] {
						delete(listed, address)
					} else {
						listed[address] = true
					}
				}
				status = 200
				if random.IntN(4) == 0 {
					status = 500
				}
				wait := k.turn(t.Context())
				if status == 200 {
					var want []string
					for address := range listed {
						want = append(want, address)
					}
					slices.Sort(want)
					if got := l.banned(time.Now()); !slices.Equal(got, want) {
						t.Fatalf("seed %d, round %d, turn %d: banned %v, listed %v", seed, round, turn, got, want)
					}
				}
				time.Sleep(wait)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	s := feedOf(t, fmt.Sprintf("path = %q\nmax_bytes = 4096", path))
	l := newFakeLedger()
	k := s.turns(l)
	put := func(text string) {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if k.turn(t.Context()); k.fault != path+": open: no such file or directory" {
		t.Errorf("%q", k.fault)
	}
	put("20.0.0.1\n20.0.0.2\n")
	k.turn(t.Context())
	read := k.stream.Progress.Status().Bytes
	k.turn(t.Context())
	if k.stream.Progress.Status().Bytes != read || len(l.until) != 2 || k.fault != "" {
		t.Errorf("%d bytes read again, %d banned, %q", k.stream.Progress.Status().Bytes-read, len(l.until), k.fault)
	}
	put("20.0.0.3\n")
	if k.turn(t.Context()); len(l.until) != 1 {
		t.Errorf("%v banned", l.until)
	}
	put(string(packed("20.0.0.4\n20.0.0.5\n")))
	if k.turn(t.Context()); len(l.until) != 2 || k.fault != "" {
		t.Errorf("%v banned, %q", l.until, k.fault)
	}
	put(strings.Repeat("#", 5000))
	if k.turn(t.Context()); k.fault != path+": more than 4096 bytes (max_bytes)" || len(l.until) != 2 {
		t.Errorf("%q", k.fault)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if k.turn(t.Context()); k.fault != path+": not a regular file" {
		t.Errorf("%q", k.fault)
	}
}
