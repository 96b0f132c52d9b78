package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
)

// A truth is what the attackers know of a recording, not what was recorded.
type truth struct {
	Zone       string            `json:"server_timezone"` // of stamps in logs
	NeverBlock []netip.Addr      `json:"never_block"`
	Framed     []netip.Addr      `json:"framed"` // of those: addresses that attackers wrote into packets
	Sources    map[string]sender `json:"sources"`
}

// A sender is one address of a recording.
type sender struct {
	Expect    string   `json:"expect"` // never_block, undecided, detectable or invisible
	Scenarios []string `json:"scenarios"`
}

// A recorded is one recording of a FreeSWITCH in up to four forms: its log, a log for the guard, the
// events and the log records of its event socket.
type recorded struct {
	name  string
	dir   string
	truth truth
}

// recordingsIn lists the recordings in a directory: its files, or full/ and each of scenarios/, with
// their senders.
func recordingsIn(t testing.TB, dir string) []recorded {
	t.Helper()
	var known truth
	if err := json.Unmarshal(joined(t, dir, "truth.json"), &known); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "full")
	if _, err := os.Stat(full); err != nil {
		return []recorded{{filepath.Base(dir), dir, known}}
	}
	all := []recorded{{"full", full, known}}
	cuts, err := filepath.Glob(filepath.Join(dir, "scenarios", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range cuts {
		_, scenario, _ := strings.Cut(filepath.Base(cut), "-")
		part := truth{Zone: known.Zone, NeverBlock: known.NeverBlock, Sources: map[string]sender{}}
		for ip, s := range known.Sources {
			if slices.Contains(s.Scenarios, scenario) {
				part.Sources[ip] = sender{s.Expect, []string{scenario}}
			}
		}
		all = append(all, recorded{filepath.Base(cut), cut, part})
	}
	return all
}

// joined returns a file and its rotated files, oldest first, decompressed; nil if there is none.
func joined(t testing.TB, dir, name string) []byte {
	t.Helper()
	var all []byte
	for _, rotated := range []string{".2", ".1", ""} {
		for _, packed := range []string{"", ".gz"} {
			path := filepath.Join(dir, name+rotated+packed)
			if _, err := os.Stat(path); err == nil {
				all = append(all, golden.Read(t, path)...)
			}
		}
	}
	return all
}

// A frame is one message of an event socket, headers and all.
type frame struct {
	raw     []byte
	headers string
	body    []byte
	at      time.Time // stamp of the switch, or that of the frame before
}

var (
	contentLength = regexp.MustCompile(`(?m)^Content-Length: (\d+)$`)
	eventStamp    = regexp.MustCompile(`"Event-Date-Timestamp":"(\d+)"`)
)

// recordStamp is the form of the time that begins a log record.
const recordStamp = "2006-01-02 15:04:05.000000"

// frames splits the data of an event socket.
func frames(t *testing.T, sent []byte, zone *time.Location) []frame {
	t.Helper()
	var all []frame
	var at time.Time
	for len(sent) > 0 {
		head, rest, found := bytes.Cut(sent, []byte("\n\n"))
		if !found {
			break
		}
		length := 0
		if m := contentLength.FindSubmatch(head); m != nil {
			length, _ = strconv.Atoi(string(m[1]))
		}
		if length > len(rest) {
			t.Fatalf("a frame of %d bytes ends too soon", length)
		}
		f := frame{raw: sent[:len(head)+2+length], headers: string(head), body: rest[:length]}
		if m := eventStamp.FindSubmatch(f.body); m != nil {
			micros, _ := strconv.ParseInt(string(m[1]), 10, 64)
			at = time.UnixMicro(micros)
		} else if stamp, err := time.ParseInLocation(recordStamp, string(f.body[:min(len(f.body), len(recordStamp))]), zone); err == nil {
			at = stamp
		}
		f.at = at
		all = append(all, f)
		sent = rest[length:]
	}
	return all
}

// isWarning reports whether a frame is a log record that the guard asks for.
func (f *frame) isWarning() bool {
	for level := range strings.SplitSeq("0 1 2 3 4", " ") {
		if strings.Contains(f.headers, "\nLog-Level: "+level+"\n") {
			return true
		}
	}
	return false
}

// socket returns the data of one connection with events and log records, in the order of time.
func (r *recorded) socket(t *testing.T) []byte {
	t.Helper()
	zone := r.zone(t)
	all := frames(t, joined(t, r.dir, "esl-json.raw"), zone)
	for _, f := range frames(t, joined(t, r.dir, "esl-log.raw"), zone) {
		if f.isWarning() {
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b frame) int { return a.at.Compare(b.at) })
	var sent []byte
	for _, f := range all {
		sent = append(sent, f.raw...)
	}
	return sent
}

func (r *recorded) zone(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(cmp.Or(r.truth.Zone, "UTC"))
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// rulesFor loads the shipped rules for a log in the zone of the recording.
func (r *recorded) rulesFor(t *testing.T, corroborate bool) *config.Config {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rules.d")
	if err := os.CopyFS(dir, os.DirFS(shippedRules)); err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(dir, "00-site.hcl")
	text, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	const commented = "  # corroborate = source.esl.pbx"
	if bytes.Count(text, []byte(commented)) != 1 {
		t.Fatal("the shipped rules do not show how the event socket corroborates the log")
	}
	own := "  timezone = " + strconv.Quote(r.zone(t).String())
	if corroborate {
		own += "\n  corroborate = source.esl.pbx"
	}
	if err := os.WriteFile(site, bytes.Replace(text, []byte(commented), []byte(own), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags, files := config.Load(dir, kinds, nil)
	if diags.HasErrors() {
		config.Print(os.Stderr, diags, files, 0, false)
		t.Fatal("the shipped rules are not clean")
	}
	return cfg
}

// play replays the data given for each source, and returns the verdicts.
func play(t *testing.T, cfg *config.Config, given map[string][]byte) []ban.Change {
	t.Helper()
	var inputs []engine.Input
	for _, s := range cfg.Sources {
		if content, ok := given[s.Ref]; ok {
			inputs = append(inputs, engine.Input{Ref: s.Ref, Source: s.Source,
				Recording: plugin.Recording{Name: s.Ref, R: bytes.NewReader(content)}})
		}
	}
	var verdicts []ban.Change
	e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) {
		if c.Target.Kind() != ban.TargetEndpoint { // one port of an office is not the office
			verdicts = append(verdicts, *c)
		}
	}})
	if _, err := e.Replay(t.Context(), inputs, nil); err != nil {
		t.Fatal(err)
	}
	return verdicts
}
