package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	eslaction "freeswitch-security/actions/esl"
	"freeswitch-security/actions/iptables"
	"freeswitch-security/actions/webhook"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/esl"
	"freeswitch-security/sources/feed"
	"freeswitch-security/sources/logfile"
	"freeswitch-security/sources/sip"
)

// BenchmarkReplay replays a recorded log through the shipped rules: decoding, matching,
// counting and the ledger. One operation is the whole log.
func BenchmarkReplay(b *testing.B) {
	cfg := shippedRules(b)
	log := recordedLog(b)
	var bans int
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		bans = 0
		e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) {
			if c.Kind == ban.KindBan {
				bans++
			}
		}})
		source := cfg.Sources[slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Description.Log })]
		input := engine.Input{Ref: source.Ref, Source: source.Source, Recording: plugin.Recording{Name: "recording", R: bytes.NewReader(log)}}
		if _, err := e.Replay(b.Context(), []engine.Input{input}, nil); err != nil {
			b.Fatal(err)
		}
	}
	if bans == 0 {
		b.Error("the shipped rules ban nothing in the recorded attack")
	}
	b.ReportMetric(float64(bans), "bans/op")
}

func shippedRules(b *testing.B) *config.Config {
	kinds := config.Kinds{
		Sources: []plugin.SourceKind{logfile.Kind, esl.Kind(logfile.Builtin(), logfile.Framed), feed.Kind, sip.Kind},
		Actions: []plugin.ActionKind{iptables.Kind, webhook.Kind, eslaction.AccountsKind},
	}
	cfg, diags, _ := config.Load(filepath.Join("..", "rules.d"), kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	return cfg
}

// A busyWire is a source whose events are in memory.
type busyWire struct {
	plugin.Source
	requests, answers int // for each request, so many answers are reported
}

// Replay reports OPTIONS and REGISTER of ten thousand phones with ten user agents, 5,000 a second,
// each answered.
func (w busyWire) Replay(_ context.Context, _ plugin.Recording, _ map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for i := range w.requests {
		for n := range w.answers + 1 {
			phone := i % 10_000
			ev := &event.Event{
				Time: start.Add(time.Duration(i) * 200 * time.Microsecond), Name: event.SIPRequest, Source: "sip.wire",
				IP: netip.AddrFrom4([4]byte{198, 51, byte(phone >> 8), byte(phone)}), Port: 5060, Transport: "udp", Profile: "10.77.0.10:5060",
				Method: []string{"OPTIONS", "REGISTER"}[i&1], User: "1000", Destination: "1000", ToUser: "1000", Domain: "pbx.example.com",
				UserAgent: fmt.Sprintf("Yealink SIP-T46S 66.84.0.%d", phone%10), CallID: "c1", Repeat: n > 0, Answer: uint16(n * 200),
				Text: "OPTIONS user=1000@pbx.example.com destination=1000 from 198.51.100.1:5060 to 10.77.0.10:5060 udp",
			}
			if err := emit(ev); err != nil {
				return plugin.Stats{}, err
			}
		}
	}
	return plugin.Stats{}, nil
}

// BenchmarkWire is one request on the wire, of a phone, and its answer, through the shipped rules.
func BenchmarkWire(b *testing.B) {
	cfg := shippedRules(b)
	e := engine.New(cfg, engine.Options{})
	b.ReportAllocs()
	input := engine.Input{Ref: "sip.wire", Source: busyWire{requests: b.N, answers: 1}}
	if _, err := e.Replay(b.Context(), []engine.Input{input}, nil); err != nil {
		b.Fatal(err)
	}
	if e.Ledger().Size() > 0 {
		b.Error("phones are banned")
	}
}

// recordedLog returns the recorded log of the attack with its rotated parts, the oldest first.
func recordedLog(b *testing.B) []byte {
	var log []byte
	for _, name := range []string{"freeswitch.log.2.gz", "freeswitch.log.1.gz", "freeswitch.log.gz"} {
		f, err := os.Open(filepath.Join("..", "examples", "recorded-attack", name))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			b.Fatal(err)
		}
		part, err := io.ReadAll(unpacked)
		if err != nil {
			b.Fatal(err)
		}
		log = append(log, part...)
	}
	return log
}
