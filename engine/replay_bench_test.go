package engine_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	eslaction "freeswitch-security/actions/esl"
	"freeswitch-security/actions/iptables"
	"freeswitch-security/actions/webhook"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"
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
		Sources: []plugin.SourceKind{logfile.Kind, esl.Kind(logfile.Builtin, logfile.Framed), feed.Kind, sip.Kind},
		Actions: []plugin.ActionKind{iptables.Kind, webhook.Kind, eslaction.AccountsKind},
	}
	cfg, diags, _ := config.Load(filepath.Join("..", "rules.d"), kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	return cfg
}

// recordedLog returns the recorded log of the attack with its rotated parts, the oldest first.
func recordedLog(b *testing.B) []byte {
	var log []byte
	for _, name := range []string{"freeswitch.log.2.gz", "freeswitch.log.1.gz", "freeswitch.log.gz"} {
		log = append(log, golden.Read(b, filepath.Join("..", "examples", "recorded-attack", name))...)
	}
	return log
}
