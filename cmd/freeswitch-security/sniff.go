package main

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

// sniffed is how much of a recording is looked at to find out who wrote it, in
// bytes.
const sniffed = 256 << 10

// sniff finds the source that wrote a recording which names none: the only one
// that recognises anything in it.
func (a *app) sniff(ctx context.Context, cfg *config.Config, path string) (config.Source, error) {
	rec := &recording{paths: []string{path}}
	if path == "-" {
		// What is looked at is read again afterwards.
		ahead := bufio.NewReaderSize(a.stdin, sniffed)
		a.stdin = ahead
		head, _ := ahead.Peek(sniffed) // a shorter input is all there; an error comes again when it is read
		rec.stdin = strings.NewReader(string(head))
	}
	head, err := io.ReadAll(io.LimitReader(rec, sniffed))
	if err != nil {
		return config.Source{}, err
	}
	return recognise(ctx, cfg, string(head), inputName(path))
}

// recognise finds the source that wrote a text. Where several recognise it, as
// the lines of a log within the frames of an event stream, it is the one that
// hears the switch itself: frames are no accident. Where none does, it is the one
// that can say why.
func recognise(ctx context.Context, cfg *config.Config, text, name string) (config.Source, error) {
	var wrote, hears, explains []config.Source
	for _, s := range cfg.Sources {
		if _, feed := s.Source.(plugin.Feed); feed {
			continue // a list has no form of its own
		}
		if _, ok := s.Source.(plugin.Explainer); ok {
			explains = append(explains, s)
		}
		rec := plugin.Recording{Name: name, ModTime: time.Now(), R: strings.NewReader(text)}
		// A text that is cut off, or another's, may fail to be read: that is no answer.
		stats, _ := s.Source.Replay(ctx, rec, map[string]bool{}, func(*event.Event) error { return nil })
		if !stats.Recognised {
			continue
		}
		wrote = append(wrote, s)
		if _, ok := s.Source.(plugin.Witness); ok {
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
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Ref)
	}
	return config.Source{}, fmt.Errorf("which source wrote %s? Say so with --source SOURCE, or write SOURCE=FILE; the sources are: %s", name, strings.Join(names, ", "))
}
