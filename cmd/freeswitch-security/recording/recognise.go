package recording

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// recognised is the number of bytes of a recording by which its source is recognised.
const recognised = 256 << 10

// head returns the beginning of a file, decompressed. Of standard input nothing is consumed.
func head(path string, stdin *bufio.Reader) (string, error) {
	r := &Stream{paths: []string{path}}
	defer r.stop()
	if path == "-" {
		begin, _ := stdin.Peek(recognised) // Read returns the error again
		r.stdin = strings.NewReader(string(begin))
	}
	text, err := io.ReadAll(io.LimitReader(r, recognised))
	return string(text), err
}

// recognise returns the source that wrote a text. If several recognise it, the one that reads the
// event stream wins: log lines occur within frames, frames do not occur in logs. If none does, it
// is the log that can explain why.
func recognise(ctx context.Context, cfg *config.Config, text, name string) (config.Source, error) {
	var wrote, hears, explains []config.Source
	var refs []string
	for _, s := range cfg.Sources {
		refs = append(refs, s.Ref)
		if s.Description.Feed {
			continue // a list has no form of its own
		}
		if s.Description.Explain != nil && !s.Description.Hears {
			explains = append(explains, s)
		}
		rec := plugin.Recording{Name: name, ModTime: time.Now(), R: strings.NewReader(text)}
		// A truncated text, or one of another source, may end in an error.
		stats, _ := s.Source.Replay(ctx, rec, map[string]bool{}, func(*event.Event) error { return nil })
		if !stats.Recognised {
			continue
		}
		wrote = append(wrote, s)
		if s.Description.Hears {
			hears = append(hears, s)
		}
	}
	for _, candidates := range [][]config.Source{hears, wrote, explains} {
		if len(candidates) == 1 {
			return candidates[0], nil
		}
		if len(candidates) > 1 {
			break
		}
	}
	return config.Source{}, fmt.Errorf("the source that wrote %s is not clear: name it with --source SOURCE, or write SOURCE=FILE; the sources are: %s", name, strings.Join(refs, ", "))
}
