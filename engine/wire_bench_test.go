package engine_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

// BenchmarkWireBusy replays the mirror of a busy switch through the shipped rules: HEP, SIP,
// exchanges, matching and counting. One operation is one message.
func BenchmarkWireBusy(b *testing.B) {
	b.StopTimer()
	var all []packet.Packet
	for p := range siptest.Busy(1, 10_000, 10_000, time.Unix(1_800_000_000, 0)) {
		if all = append(all, p); len(all) == max(b.N, 1000) {
			break
		}
	}
	if bans := replayWire(b, siptest.Recording(all)); bans > 0 {
		b.Errorf("%d phones are banned", bans)
	}
}

// BenchmarkWireRecorded replays the recorded attacks. One operation is the whole recording.
func BenchmarkWireRecorded(b *testing.B) {
	recording := golden.Read(b, filepath.Join("..", "examples", "recorded-wire", "hep.raw.gz"))
	for range b.N {
		if bans := replayWire(b, recording); bans < 20 {
			b.Errorf("%d attackers are banned", bans)
		}
	}
}

// replayWire replays a recording, and returns the number of bans. Only the replay is timed.
func replayWire(b *testing.B, recording []byte) (bans int) {
	b.StopTimer()
	cfg := shippedRules(b)
	source := cfg.Sources[slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == "sip.wire" })]
	e := engine.New(cfg, engine.Options{})
	input := engine.Input{Ref: source.Ref, Source: source.Source, Recording: plugin.Recording{Name: "recording", R: bytes.NewReader(recording)}}
	b.ReportAllocs()
	b.StartTimer()
	if _, err := e.Replay(b.Context(), []engine.Input{input}, nil); err != nil {
		b.Fatal(err)
	}
	return e.Ledger().Size()
}
