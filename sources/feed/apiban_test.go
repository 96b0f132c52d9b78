package feed

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A honeypot is a fake APIBAN: pages of 250 addresses, oldest first; 400 behind the last
// page; 403 without a key; 429 beyond eleven requests in two minutes.
type honeypot struct {
	mu        sync.Mutex // guards all below
	addresses []string
	asked     []time.Time
	cursors   []string // of each request that was answered
	sets      []string
	down      int // the number of next requests that are answered with 503
}

const honeypotKey = "0123456789abcdef"

func (h *honeypot) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cursor, key, set := h.request(req)
	if key != honeypotKey {
		h.answer(w, http.StatusForbidden, "none", "unauthorized")
		return
	}
	now := time.Now()
	h.asked = append(slices.DeleteFunc(h.asked, func(t time.Time) bool { return now.Sub(t) >= 2*time.Minute }), now)
	switch {
	case len(h.asked) > 11:
		h.answer(w, http.StatusTooManyRequests, "rate limit exceeded", "unauthorized")
		return
	case h.down > 0:
		h.down--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h.cursors, h.sets = append(h.cursors, cursor), append(h.sets, set)
	from, err := strconv.Atoi(cursor)
	if cursor == "" || cursor == "100" {
		from, err = 1000, nil
	}
	if err != nil || from < 1000 {
		h.answer(w, http.StatusBadRequest, []string{"bad request"}, "error")
		return
	}
	rest := h.addresses[min(from-1000, len(h.addresses)):]
	if len(rest) == 0 {
		h.answer(w, http.StatusBadRequest, []string{"no new bans"}, "none")
		return
	}
	rest = rest[:min(250, len(rest))]
	h.answer(w, http.StatusOK, rest, strconv.Itoa(from+len(rest)))
}

// request reads either form of a request.
func (h *honeypot) request(req *http.Request) (cursor, key, set string) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if req.Method == http.MethodGet && len(parts) >= 3 && parts[0] == "api" && parts[2] == "banned" {
		if len(parts) == 4 {
			cursor = parts[3]
		}
		return cursor, parts[1], ""
	}
	var asked struct{ Set, ID string }
	body, _ := io.ReadAll(req.Body)
	if req.Method != http.MethodPost || req.URL.Path != "/api/get" || json.Unmarshal(body, &asked) != nil {
		return "", "", ""
	}
	key, _ = strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	return asked.ID, key, asked.Set
}

func (h *honeypot) answer(w http.ResponseWriter, status int, addresses any, id string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"ipaddress": addresses, "ID": id})
}

// seen returns the cursors that were requested since the last call.
func (h *honeypot) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	cursors := h.cursors
	h.cursors = nil
	return cursors
}

func apibanFeed(t *testing.T, format string, h http.Handler) *source {
	s := feedOf(t, fmt.Sprintf("format = %q\nkey = %q\ninterval = \"5m\"", format, honeypotKey))
	s.transport = direct{h}
	return s
}

func TestAPIBAN(t *testing.T) {
	for format, first := range map[string]string{formatAPIBAN: "100", formatAPIBANv1: ""} {
		t.Run(format, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &honeypot{addresses: strings.Fields(numbered("20.0.0.1", 600))}
				l := newFakeLedger()
				k := apibanFeed(t, format, h).turns(l)

				start := time.Now()
				if wait := k.turn(t.Context()); wait != 5*time.Minute || k.fault != "" {
					t.Fatalf("%s, %q", wait, k.fault)
				}
				if got := h.seen(); !slices.Equal(got, []string{first, "1250", "1500", "1600"}) {
					t.Errorf("asked for %q", got)
				}
				if len(l.until) != 600 || time.Since(start) != 3*pageEvery {
					t.Errorf("%d banned after %s", len(l.until), time.Since(start))
				}
				if format == formatAPIBAN && h.sets[0] != "sip" {
					t.Errorf("set %q", h.sets[0])
				}

				// From now on, only new entries are read.
				time.Sleep(5 * time.Minute)
				k.turn(t.Context())
				if got := h.seen(); !slices.Equal(got, []string{"1600"}) || len(l.listings) != 1 {
					t.Errorf("asked for %q, %d listings", got, len(l.listings))
				}
				h.addresses = append(h.addresses, "20.1.0.1", "20.1.0.2")
				time.Sleep(5 * time.Minute)
				k.turn(t.Context())
				if got := h.seen(); !slices.Equal(got, []string{"1600", "1602"}) || len(l.until) != 602 {
					t.Errorf("asked for %q, %d banned", got, len(l.until))
				}

				// Once a day, the whole list shows the removals.
				h.addresses = h.addresses[2:]
				time.Sleep(24 * time.Hour)
				k.turn(t.Context())
				if got := h.seen(); len(got) != 4 || got[0] != first || len(l.banned(time.Now())) != 600 || len(l.listings[len(l.listings)-1].Gone) > 2 {
					t.Errorf("asked for %q, %d banned", got, len(l.banned(time.Now())))
				}
			})
		})
	}
}

// TestAPIBANNeverLapses adds addresses in every interval, so that no answer says that
// nothing has changed: the bans are renewed all the same.
func TestAPIBANNeverLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &honeypot{addresses: strings.Fields(numbered("20.0.0.1", 300))}
		l := newFakeLedger()
		s := apibanFeed(t, formatAPIBAN, h)
		s.ttl = 2 * time.Hour
		k := s.turns(l)
		for n := range 600 { // 50 hours
			wait := k.turn(t.Context())
			h.addresses = append(h.addresses, fmt.Sprintf("20.9.%d.%d", n/250, n%250))
			time.Sleep(wait)
			if got := len(l.banned(time.Now())); got < 300+n {
				t.Fatalf("turn %d: %d banned, %q", n, got, k.fault)
			}
		}
	})
}

func TestAPIBANInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &honeypot{addresses: strings.Fields(numbered("20.0.0.1", 1000))}
		l := newFakeLedger()
		k := apibanFeed(t, formatAPIBAN, h).turns(l)
		done := make(chan struct{})
		go func() {
			time.Sleep(20 * time.Second) // two pages have been read
			h.mu.Lock()
			h.down = 1
			h.mu.Unlock()
			close(done)
		}()
		if wait := k.turn(t.Context()); wait != time.Minute || !strings.Contains(k.fault, "503") {
			t.Fatalf("%s, %q", wait, k.fault)
		}
		<-done
		if len(l.until) != 500 || len(h.seen()) != 2 {
			t.Errorf("%d banned", len(l.until))
		}
		time.Sleep(time.Minute)
		if k.turn(t.Context()); k.fault != "" || len(l.until) != 1000 {
			t.Errorf("%d banned, %q", len(l.until), k.fault)
		}
		if got := h.seen(); !slices.Equal(got, []string{"1500", "1750", "2000"}) {
			t.Errorf("went on with %q", got)
		}

		// A day later, the whole list comes in two parts: the first ends no ban.
		h.addresses = h.addresses[300:]
		time.Sleep(23 * time.Hour)
		k.turn(t.Context()) // renews
		h.down, h.asked = 0, nil
		time.Sleep(2 * time.Hour)
		go func() {
			time.Sleep(20 * time.Second)
			h.mu.Lock()
			h.down = 1
			h.mu.Unlock()
		}()
		if k.turn(t.Context()); !strings.Contains(k.fault, "503") || len(l.until) != 1000 {
			t.Errorf("%d banned, %q", len(l.until), k.fault)
		}
		time.Sleep(time.Minute)
		if k.turn(t.Context()); k.fault != "" || len(l.until) != 700 {
			t.Errorf("%d banned, %q", len(l.until), k.fault)
		}
	})
}

func TestAPIBANRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &honeypot{addresses: strings.Fields(numbered("20.0.0.1", 300))}
		s := apibanFeed(t, formatAPIBANv1, h)
		s.key = "wrong"
		k := s.turns(newFakeLedger())
		if k.turn(t.Context()); k.fault != "https://apiban.org: the key is not accepted" {
			t.Errorf("%q", k.fault)
		}

		k = apibanFeed(t, formatAPIBANv1, h).turns(newFakeLedger())
		h.asked = make([]time.Time, 11)
		for i := range h.asked {
			h.asked[i] = time.Now()
		}
		if wait := k.turn(t.Context()); wait != 2*time.Minute || !strings.HasSuffix(k.fault, "used too often") {
			t.Errorf("%s, %q", wait, k.fault)
		}
		time.Sleep(2 * time.Minute)
		if k.turn(t.Context()); k.fault != "" {
			t.Errorf("%q", k.fault)
		}
	})
	for name, test := range map[string]struct {
		status int
		body   string
		fault  string
	}{
		"bad request":    {400, `{"ipaddress":["bad request"],"ID":"error"}`, "answered 400 before the list's end"},
		"circle":         {200, `{"ipaddress":["203.0.113.7"],"ID":"7"}`, "the pages do not come to an end"},
		"no cursor":      {200, `{"ipaddress":["203.0.113.7"]}`, "a page without a cursor for the next one"},
		"evil cursor":    {200, `{"ipaddress":["203.0.113.7"],"ID":"../../check/1"}`, "a page without a cursor for the next one"},
		"no list":        {200, `{"ipaddress":"203.0.113.7","ID":"7"}`, "a page without addresses: it is neither an array nor an object"},
		"no addresses":   {200, `{"ipaddress":["a","b"],"ID":"7"}`, "2 of 2 entries are no address, the first is number 1"},
		"page of a host": {200, `<html>`, "the answer is no page of APIBAN's"},
		"broken":         {500, ``, "answered 500 Internal Server Error"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLedger()
			k := apibanFeed(t, formatAPIBAN, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				write(w, test.body)
			})).turns(l)
			if k.turn(t.Context()); k.fault != "https://apiban.org: "+test.fault {
				t.Errorf("%s: %q", name, k.fault)
			}
		})
	}
}
