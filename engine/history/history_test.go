package history_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

var (
	noon     = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	settings = history.Settings{Days: 90}
)

// failure is a failure to log in.
func failure(at time.Time, ip, user string) *event.Event {
	return &event.Event{Time: at, Name: event.AuthFailure, Source: "log.freeswitch", IP: netip.MustParseAddr(ip), User: user, Domain: "pbx.example", UserAgent: "friendly-scanner",
		Method: "INVITE", ToUser: "0019005551234"}
}

func change(kind ban.Kind, at time.Time, target string) *ban.Change {
	t, err := ban.ParseTarget(target)
	if err != nil {
		panic(err)
	}
	return &ban.Change{Kind: kind, At: at, Ban: ban.Ban{Target: t, Rule: "guessing", Reason: "5 in 10m, per user 1007", Offence: 1, Start: at, Until: at.Add(time.Hour), Forget: day,
		Evidence: []ban.Evidence{{Time: at.Add(-time.Minute), Event: event.AuthFailure, Source: "log.freeswitch", IP: t.Prefix().Addr(), User: "1007", Domain: "pbx.example", Text: "SIP auth failure for [1007@pbx.example]"}}}}
}

const day = 24 * time.Hour

// fill counts a few hours of an attack.
func fill(h *history.History) {
	for i := range 600 {
		at := noon.Add(time.Duration(i) * 30 * time.Second)
		h.Observe(failure(at, fmt.Sprintf("192.0.2.%d", i%3), fmt.Sprint(1000+i%7)))
		if i%100 == 50 {
			h.Decide(change(ban.KindBan, at, fmt.Sprintf("192.0.2.%d", i%3)))
		}
	}
	h.Decide(change(ban.KindSpare, noon.Add(time.Hour), "198.51.100.7"))
	standing := change(ban.KindRefuse, noon.Add(time.Hour), "192.0.2.1")
	standing.Standing = true
	h.Decide(standing)
}

// between returns what was counted in all of the test's time.
func between(t *testing.T, h *history.History, step time.Duration) history.Span {
	t.Helper()
	s, err := h.Between(noon, noon.Add(6*time.Hour), step)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func series(t *testing.T, s history.Span, kind, name string) []uint64 {
	t.Helper()
	for _, one := range s.Series {
		if one.Kind == kind && one.Name.Name == name {
			return one.Values
		}
	}
	t.Fatalf("no series %s %s in %+v", kind, name, s.Series)
	return nil
}

func TestCounts(t *testing.T) {
	t.Parallel()
	h := history.New(settings)
	h.SetPlaces(func(netip.Addr) event.Place { return event.Place{Country: "DE"} })
	fill(h)
	s := between(t, h, time.Hour)
	if got := series(t, s, "event", event.AuthFailure); !slices.Equal(got, []uint64{120, 120, 120, 120, 120, 0}) {
		t.Errorf("events by hour: %d", got)
	}
	if got := series(t, s, "ban", "guessing"); !slices.Equal(got, []uint64{1, 1, 1, 1, 1, 1}) && !slices.Equal(got, []uint64{1, 1, 2, 1, 1, 0}) {
		t.Errorf("bans by hour: %d", got)
	}
	if len(s.Series) != 3 { // a refusal of what is banned is none
		t.Errorf("series: %+v", s.Series)
	}
	if got := series(t, between(t, h, time.Minute), "event", event.AuthFailure); len(got) != 360 || got[0] != 2 || got[299] != 2 || got[300] != 0 {
		t.Errorf("events by minute: %d", got)
	}
	want := []history.Top{
		{By: "networks", Items: []history.Count{{Name: "192.0.2.0/24", Count: 600}}}, {By: "accounts"}, {By: "numbers", Items: []history.Count{{Name: "0019005551234", Count: 600}}},
		{By: "agents", Items: []history.Count{{Name: "friendly-scanner", Count: 600}}}, {By: "countries", Items: []history.Count{{Name: "DE", Count: 600}}},
	}
	for i, top := range s.Tops {
		if top.By != want[i].By || want[i].Items != nil && !reflect.DeepEqual(top, want[i]) {
			t.Errorf("top: %+v", top)
		}
	}
	if accounts := s.Tops[1].Items; len(accounts) != 7 || accounts[0] != (history.Count{Name: "1000@pbx.example", Count: 86}) {
		t.Errorf("accounts: %+v", accounts)
	}
	if s, err := h.Between(noon, noon.Add(6*time.Hour), 0); err != nil || s.Step != 300 {
		t.Errorf("a step was chosen of %d s, %v", s.Step, err)
	}
	for _, wrong := range []struct {
		from, to time.Time
		step     time.Duration
	}{{noon, noon, 0}, {noon, noon.Add(day), time.Second}, {noon, noon.Add(2 * day), time.Minute}, {noon.Add(-3 * day), noon, time.Minute}} {
		if _, err := h.Between(wrong.from, wrong.to, wrong.step); err == nil {
			t.Errorf("no error for %v", wrong)
		}
	}
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	h := history.New(settings)
	h.Decide(change(ban.KindBan, noon, "192.0.2.1"))
	h.Decide(change(ban.KindExpire, noon.Add(time.Hour), "192.0.2.1"))
	h.Decide(change(ban.KindBan, noon.Add(2*time.Hour), "192.0.2.1"))
	h.Decide(change(ban.KindExpire, noon.Add(3*time.Hour), "203.0.113.1")) // of a ban from before
	kernel := func(n uint64) []status.Kernel {
		return []status.Kernel{{Entries: status.List[status.Entry]{{Target: ban.Address(netip.MustParseAddr("192.0.2.1")), Packets: n}}}}
	}
	for _, packets := range []uint64{100, 140, 7} { // the first look counts none; the last is of a new entry
		h.Kernel(kernel(packets), noon.Add(2*time.Hour))
	}
	got := h.Incidents(noon)
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	i := got[0]
	if i.Target != "192.0.2.1" || i.Bans != 2 || !i.Banned || i.Packets != 47 || !i.First.Equal(noon.Add(-time.Minute)) || !i.Last.Equal(noon.Add(2*time.Hour)) || len(i.Evidence) != 1 || i.Evidence[0].User != "1007" {
		t.Errorf("%+v", i)
	}
	if dropped := series(t, between(t, h, time.Hour), "dropped", ""); dropped[2] != 47 {
		t.Errorf("dropped: %d", dropped)
	}
	h.Decide(change(ban.KindUnban, noon.Add(150*time.Minute), "192.0.2.1"))
	for _, c := range []struct {
		at    time.Time
		known int
	}{{noon.Add(26 * time.Hour), 1}, {noon.Add(27 * time.Hour), 0}} { // forget is a day after the end
		if err := h.Save(c.at); err != nil || len(h.Incidents(noon)) != c.known {
			t.Errorf("at %v: %+v, %v", c.at, h.Incidents(noon), err)
		}
	}
}

// TestRestart: what was saved is there after a crash, and counted on.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "history.db")
	h := history.New(settings)
	if err := h.Open(path); err != nil {
		t.Fatal(err)
	}
	fill(h)
	if err := h.Save(noon.Add(5 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	want, wantIncidents := between(t, h, time.Minute), h.Incidents(noon)
	h.Observe(failure(noon.Add(5*time.Hour), "192.0.2.1", "1000")) // is lost: the minute was not saved
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(dir, "crashed.db")
	if err := os.WriteFile(crashed, content, 0o600); err != nil {
		t.Fatal(err)
	}
	again := history.New(settings)
	if err := again.Open(crashed); err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := between(t, again, time.Minute); !reflect.DeepEqual(got, want) {
		t.Errorf("after the restart\n%+v\nbefore\n%+v", got, want)
	}
	if got := again.Incidents(noon); !reflect.DeepEqual(got, wantIncidents) {
		t.Errorf("after the restart\n%+v\nbefore\n%+v", got, wantIncidents)
	}
	again.Observe(failure(noon.Add(5*time.Hour-time.Minute), "192.0.2.1", "1000"))
	s := between(t, again, time.Hour)
	if got := series(t, s, "event", event.AuthFailure)[4]; got != 121 || s.Tops[0].Items[0].Count != 601 {
		t.Errorf("counted on: %d, %+v", got, s.Tops[0])
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// TestBounds: an attack by names, accounts, numbers, agents and addresses without end for 90 days stays
// within the memory and the file that are promised.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "history.db")
	h := history.New(settings)
	if err := h.Open(path); err != nil {
		t.Fatal(err)
	}
	before := golden.Heap()
	flood(t, h)
	if err := h.Save(noon.Add(90 * day)); err != nil {
		t.Fatal(err)
	}
	resident := golden.Heap() - before
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB of memory, %.1f MB of a file, %d incidents", float64(resident)/1e6, float64(info.Size())/1e6, len(h.Incidents(noon)))
	if resident > 5e6 || info.Size() > 20e6 {
		t.Errorf("%d bytes of memory, %d of a file", resident, info.Size())
	}
	s, err := h.Between(noon, noon.Add(90*day), 0)
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, one := range s.Series {
		if one.Kind == history.KindEvent {
			sum += one.Total()
		}
	}
	if want := uint64(floodHours * floodEvents); sum != want {
		t.Errorf("%d events counted of %d", sum, want)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

const (
	floodHours  = 89 * 24
	floodEvents = 100
)

// flood counts as many different names as there can be: in each hour, and in each minute of the last day.
func flood(t *testing.T, h *history.History) {
	t.Helper()
	n, long := 0, strings.Repeat("x", 300)
	for hour := range floodHours {
		at := noon.Add(time.Duration(hour+1) * time.Hour)
		for i := range floodEvents {
			n++
			ev := failure(at, netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n), 1}).String(), fmt.Sprint(n, long))
			ev.Name, ev.UserAgent, ev.ToUser = fmt.Sprint("event ", i, long), fmt.Sprint(n, long), fmt.Sprint(n, long)
			if i < 25 && hour > floodHours-100 {
				ev.Name = event.AuthFailure
			}
			if i == 0 {
				c := change(ban.KindBan, at, ev.IP.String())
				c.Evidence = slices.Repeat([]ban.Evidence{{Time: at, Event: event.AuthFailure, Source: "log.freeswitch", IP: ev.IP, User: ev.User, Domain: long, Text: long}}, 20)
				h.Decide(c)
			}
			h.Observe(ev)
		}
	}
	for minute := range 24 * 60 {
		for i := range floodEvents {
			c := change(ban.KindAlert, noon.Add(89*day+time.Duration(minute)*time.Minute), "192.0.2.1")
			c.Rule = fmt.Sprint(i, long)
			h.Decide(c)
		}
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	h := history.New(history.Settings{Days: 90, Masked: true})
	fill(h)
	h.Decide(change(ban.KindBan, noon, "1007@pbx.example"))
	text, err := json.Marshal([]any{between(t, h, time.Hour), h.Incidents(noon)})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"1007", "1000", "0019005551234", "5551234"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	for _, want := range []string{"1**7@pbx.example", "00190*******4", "192.0.2.0/24", `"reason":"5 in 10m"`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for in, want := range map[string]string{"": "", "1": "1", "12": "1*", "100": "1*0", "admin": "a***n", "+4930123456": "+4930*****6", "ä@b": "ä@b"} {
		if got := history.Mask(in); got != want {
			t.Errorf("%q is masked as %q, not %q", in, got, want)
		}
	}
}

// TestBacklog: what was written while no guard was running counts at its own time.
func TestBacklog(t *testing.T) {
	t.Parallel()
	h := history.New(settings)
	h.Observe(failure(noon.Add(5*time.Hour), "192.0.2.1", "1000"))
	h.Observe(failure(noon, "192.0.2.1", "1000"))
	h.Observe(failure(noon.Add(-1000*time.Hour), "192.0.2.1", "1000")) // in the oldest minute
	h.Observe(&event.Event{Time: noon.Add(5 * time.Hour), Name: event.ESLDenied})
	if got := series(t, between(t, h, time.Hour), "event", event.AuthFailure); !slices.Equal(got, []uint64{1, 0, 0, 0, 0, 1}) {
		t.Errorf("%d", got)
	}
	s, err := h.Between(noon.Add(-20*time.Hour), noon.Add(6*time.Hour), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got := series(t, s, "event", event.AuthFailure); got[1] != 1 {
		t.Errorf("%d", got)
	}
	if networks := s.Tops[0].Items; len(networks) != 1 { // an event without an address is of none
		t.Errorf("networks: %+v", networks)
	}
}
