package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
)

// FuzzReplay replays arbitrary bytes with the shipped rules: it ends, and the JSON has its form.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x00\xff\n\n\r\n"))
	f.Add([]byte(failures("203.0.113.7", 0, 6)))
	f.Add([]byte(failures("2001:db8::1", 0, 5) + failures("127.0.0.1", 0, 5)))
	f.Add([]byte(strings.ReplaceAll(failures("203.0.113.7", 0, 5), "1000@", "\x1b[31m\u009b\xff@")))
	f.Add(compressed([]byte(failures("203.0.113.7", 0, 5))))
	// Short pieces of the attack: long inputs slow the fuzzer down.
	whole := unpacked(f)
	for at := 0; at < len(whole); at += len(whole) / 8 {
		f.Add(whole[at:min(at+2000, len(whole))])
	}
	cfg := shipped(f)
	log := logOf(cfg)
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := recording.Open(t.Context(), cfg, bytes.NewReader(content), []string{log.Ref + "=-"}, "")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		show := func(c *ban.Change) error { return terminal.Object(&out, c) }
		table := terminal.Changes(&bytes.Buffer{})
		e := engine.New(cfg, engine.Options{OnChange: func(v *ban.Change) {
			if err := show(v); err != nil {
				t.Fatal(err)
			}
			if err := table(v); err != nil {
				t.Fatal(err)
			}
		}})
		if _, err := set.Replay(context.Background(), e, nil, io.Discard); err != nil {
			t.Fatal(err)
		}
		parsed(t, out.String())
	})
}
