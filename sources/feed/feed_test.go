package feed

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/hashicorp/hcl/v2"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func fromBlock(b *settings.Block) plugin.Source {
	return Kind.New(b, plugin.SourceEnv{Name: "feed.apiban"})
}

func newFrom(t testing.TB, body string) (plugin.Source, hcl.Diagnostics) {
	t.Helper()
	return settingstest.Made(t, fromBlock, body, map[string]string{"secret": "s3cr3t-t0ken"})
}

// feedOf returns a feed whose waits are not random.
func feedOf(t testing.TB, body string) *source {
	t.Helper()
	made, diags := newFrom(t, body)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s := made.(*source)
	s.pace.random = func() float64 { return 0.5 } // no jitter
	return s
}

// direct serves requests without a network, so that the clock of a synctest bubble
// advances.
type direct struct{ http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if req.Body == nil {
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	d.ServeHTTP(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// A fakeLedger takes listings as the engine does: it refuses orders for trusted targets,
// and orders that do not end later than the present ban.
type fakeLedger struct {
	trusted  map[netip.Prefix]bool
	until    map[netip.Prefix]time.Time
	listings []plugin.Listing
	broken   error
}

func newFakeLedger() *fakeLedger {
	return &fakeLedger{trusted: map[netip.Prefix]bool{}, until: map[netip.Prefix]time.Time{}}
}

func (l *fakeLedger) list(_ context.Context, listing plugin.Listing) (plugin.Outcome, error) {
	var out plugin.Outcome
	if l.broken != nil {
		return out, l.broken
	}
	l.listings = append(l.listings, listing)
	refuse := func(r ban.Change) {
		out.Refusals++
		if len(out.Refused) < 100 {
			out.Refused = append(out.Refused, r)
		}
	}
	for _, o := range listing.Orders {
		end := o.Terms[0].End(o.At)
		switch standing := l.until[o.Target.Prefix()]; {
		case l.trusted[o.Target.Prefix()]:
			refuse(ban.Change{Ban: ban.Ban{Target: o.Target}, Why: "trusted: security.trusted_networks"})
		case !end.After(standing):
			refuse(ban.Change{Ban: ban.Ban{Target: o.Target}, Standing: true, Cover: &ban.Ban{Until: standing}})
		default:
			l.until[o.Target.Prefix()] = end
			out.Banned++
		}
	}
	for _, target := range listing.Gone {
		if _, ok := l.until[target]; ok {
			delete(l.until, target)
			out.Unbanned++
		}
	}
	return out, nil
}

// banned lists the targets that are banned at a time.
func (l *fakeLedger) banned(now time.Time) []string {
	var all []string
	for target, until := range l.until {
		if until.After(now) {
			all = append(all, ban.Network(target).String())
		}
	}
	slices.Sort(all)
	return all
}

// turns returns a follower whose turns a test takes one by one.
func (s *source) turns(l *fakeLedger) *follower { return s.follower(streamTo(l.list)) }

func (l *list) named() []string {
	var all []string
	for _, e := range l.entries {
		all = append(all, ban.Network(e.target).String())
	}
	return all
}

func defaultBounds() bounds {
	return defaultConfig("").bounds
}

// numbered returns n lines with an address each, from the given one on.
func numbered(first string, n int) string {
	var b strings.Builder
	for a := netip.MustParseAddr(first); n > 0; n-- {
		b.WriteString(a.String())
		b.WriteByte('\n')
		a = a.Next()
	}
	return b.String()
}

func write(w http.ResponseWriter, body string) {
	_, _ = io.WriteString(w, body)
}

// streamTo returns the stream of a feed whose lists go to a ledger.
func streamTo(list func(context.Context, plugin.Listing) (plugin.Outcome, error)) plugin.Stream {
	return plugin.Stream{Progress: &plugin.Progress{}, Ready: func() {}, List: list}
}
