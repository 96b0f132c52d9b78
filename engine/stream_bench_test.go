package engine_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
)

// BenchmarkStream replays recorded events of the switch through the shipped rules: frames, JSON,
// matching and counting. One operation is one event of the switch.
func BenchmarkStream(b *testing.B) {
	for _, bench := range []struct{ name, kinds string }{
		{"all", `sofia::(pre_register|register|register_attempt|register_failure|unregister|expire)|verto::login|CHANNEL_(CREATE|ANSWER|HANGUP_COMPLETE)`},
		{"logins", `sofia::.*`},
		{"ends of calls", `CHANNEL_HANGUP_COMPLETE`},
	} {
		recording := streamOf(b, regexp.MustCompile(`^Content-Length: (\d+)\nContent-Type: text/event-json\n\n\{"Event-(?:Subclass|Name)":"(?:`+bench.kinds+`)"`))
		b.Run(bench.name, func(b *testing.B) { replayStream(b, recording) })
	}
}

func replayStream(b *testing.B, recording [][]byte) {
	cfg := shippedRules(b)
	source := cfg.Sources[slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == "esl.pbx" })]
	e := engine.New(cfg, engine.Options{AsRecorded: true})
	b.ReportAllocs()
	rest := b.N
	b.ResetTimer()
	for rest > 0 {
		part := firstFrames(recording, rest)
		rest -= len(part)
		input := engine.Input{Ref: source.Ref, Source: source.Source, Recording: plugin.Recording{Name: "recording", ModTime: time.Now(), R: bytes.NewReader(bytes.Join(part, nil))}}
		if _, err := e.Replay(b.Context(), []engine.Input{input}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func firstFrames(recording [][]byte, n int) [][]byte { return recording[:min(n, len(recording))] }

// streamOf returns the recorded events whose frames begin with a pattern, some 20,000 of them.
func streamOf(b *testing.B, head *regexp.Regexp) (frames [][]byte) {
	paths, err := filepath.Glob("../sources/esl/testdata/*.json.gz")
	if err != nil || len(paths) == 0 {
		b.Fatal("no recordings", err)
	}
	for _, path := range paths {
		for rest := golden.Read(b, path); len(rest) > 0; {
			at := regexp.MustCompile(`^Content-Length: (\d+)\n.*\n\n`).FindSubmatchIndex(rest)
			length, err := strconv.Atoi(string(rest[at[2]:at[3]]))
			if err != nil {
				b.Fatal(err)
			}
			frame := rest[:at[1]+length]
			if head.Match(frame) {
				frames = append(frames, frame)
			}
			rest = rest[len(frame):]
		}
	}
	return slices.Repeat(frames, 1+20_000/len(frames))
}
