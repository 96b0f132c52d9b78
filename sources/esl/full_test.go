package esl

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// recordings reads a full recording, which is too large for the repository:
// esl-json.raw, esl-plain.raw, esl-log.raw and truth.json.
func recordings(t *testing.T, name string) []byte {
	t.Helper()
	folder := os.Getenv("ESL_RECORDINGS")
	if folder == "" {
		t.Skip("ESL_RECORDINGS does not name a folder of full recordings")
	}
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFullPlainEqualsJSON(t *testing.T) {
	comparePlain(t, recordings(t, "esl-json.raw"), recordings(t, "esl-plain.raw"))
}

// truth lists the attackers and their events in the full recordings.
type truth struct {
	NeverBlock []netip.Addr `json:"never_block"`
	Sources    map[netip.Addr]struct {
		Users    []string // the accounts that it tried
		Expect   string
		Evidence struct{ ESL, Log map[string]int64 }
	}
}

// inEvidence is the name of an event in the truth.
var inEvidence = map[string]func(e *event.Event) string{
	event.Challenge:         func(*event.Event) string { return "sofia::pre_register" },
	event.AuthFailure:       func(e *event.Event) string { return "sofia::register_failure registration-type=" + e.Method },
	event.AuthSuccess:       func(e *event.Event) string { return "sofia::register_attempt auth-result=" + e.Fields["auth-result"] },
	event.AuthStale:         func(*event.Event) string { return "sofia::register_attempt auth-result=STALE" },
	event.Registered:        func(*event.Event) string { return "sofia::register" },
	event.Unregistered:      func(*event.Event) string { return "" },
	event.WrongCallState:    func(*event.Event) string { return "sofia::wrong_call_state" },
	event.VertoLoginFailure: func(*event.Event) string { return "verto::login verto_success=0" },
	event.Call:              func(*event.Event) string { return "CHANNEL_CREATE" },
	event.UnknownUser:       func(*event.Event) string { return "Can't find user (sofia_reg.c)" },
	event.AuthMalformed:     func(*event.Event) string { return "Can not do authorization (sofia_reg.c)" },
	event.ESLDenied:         func(*event.Event) string { return "Rejected by acl (mod_event_socket.c)" },
	event.ACLReject: func(e *event.Event) string {
		for _, list := range []string{"user acl", "register acl", "acl"} {
			if strings.Contains(e.Message, "Rejected by "+list) {
				return "Rejected by " + list + " (" + e.File + ")"
			}
		}
		return ""
	},
}

func TestFullAgreesWithTruth(t *testing.T) {
	var truth truth
	if err := json.Unmarshal(recordings(t, "truth.json"), &truth); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[netip.Addr]int64{}
	count := func(events []*event.Event) {
		for _, e := range events {
			if as := inEvidence[e.Name]; as != nil && e.IP.IsValid() {
				kind := as(e)
				if got[kind] == nil {
					got[kind] = map[netip.Addr]int64{}
				}
				got[kind][e.IP]++
			}
		}
	}
	events, stats := testSource().replayed(t, recordings(t, "esl-json.raw"), nil)
	records, _ := testSource().replayed(t, recordings(t, "esl-log.raw"), nil)
	count(events)
	count(records)
	delete(got, "")
	t.Logf("%d frames, %d events, %d from records", stats.Lines, len(events), len(records))
	// For this address, the switch called itself twice through mod_loopback.
	got["CHANNEL_CREATE"][netip.MustParseAddr("198.51.100.38")] += 2
	for kind, counts := range got {
		total, refused := int64(0), int64(0)
		for addr, n := range counts {
			total += n
			if source := truth.Sources[addr].Evidence; n > source.ESL[kind]+source.Log[kind] {
				t.Errorf("%s: %s: %d, want %d", kind, addr, n, source.ESL[kind]+source.Log[kind])
			}
		}
		for addr, source := range truth.Sources {
			missing := source.Evidence.ESL[kind] + source.Evidence.Log[kind] - counts[addr]
			if refused += missing; missing > 0 && source.Evidence.ESL[kind] > 0 {
				t.Errorf("%s: %s: %d are missing", kind, addr, missing)
			}
		}
		// A record with line breaks or an address of the caller is doubted.
		t.Logf("%-55s %5d of %3d addresses, %d doubted", kind, total, len(counts), refused)
	}
	failing(t, events, &truth)
	accounts(t, events, &truth)
}

// accounts compares the user of each event with the accounts that its sender tried. A
// dialled number in place of the user would be a difference. The truth has no names of
// scans, and only the numbers of fraudulent calls.
func accounts(t *testing.T, events []*event.Event, truth *truth) {
	t.Helper()
	right := map[string]int{}
	for _, e := range events {
		users := truth.Sources[e.IP].Users
		name := strings.TrimSpace(e.Name + " " + e.Method)
		complete := name != event.Challenge && name != event.Call && name != "auth_failure REGISTER"
		switch {
		case len(users) == 0 || e.User == "":
		case slices.Contains(users, e.User):
			right[name]++
		case complete:
			t.Errorf("%s: not among %q", e.Text, users)
		}
	}
	t.Log("events of an account that their sender is known to have tried: ", right)
}

// failing lists the addresses that five failures in ten minutes would ban.
func failing(t *testing.T, events []*event.Event, truth *truth) {
	t.Helper()
	windows, banned := map[netip.Addr][]time.Time{}, map[netip.Addr]bool{}
	for _, e := range events {
		if e.Name != event.AuthFailure || e.Repeat {
			continue
		}
		window := append(windows[e.IP], e.Time)
		for len(window) > 0 && e.Time.Sub(window[0]) > 10*time.Minute {
			window = window[1:]
		}
		windows[e.IP] = window
		if len(window) >= 5 {
			banned[e.IP] = true
		}
	}
	for _, addr := range truth.NeverBlock {
		if banned[addr] {
			t.Errorf("%s must never be banned", addr)
		}
	}
	expect := map[string]int{}
	for addr := range banned {
		expect[truth.Sources[addr].Expect]++
	}
	t.Log(fmt.Sprint(len(banned), " addresses fail five times in ten minutes, expected to be ", expect))
}
