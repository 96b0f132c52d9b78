package esl

import (
	"context"
	"strings"
	"time"
)

const (
	levelPatience = 5 * time.Second // for the line to come back
	levelTest     = "freeswitch-security tests that the log level shows warnings"
)

// HidesWarnings reports whether the log level of the switch hides warnings, from its log and
// from streams. It has the switch log one, which must come back on another connection. Trap:
// the level cannot be asked for. Since v1.10.4, `fsctl loglevel` turns the log off.
func (s Switch) HidesWarnings(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, levelPatience)
	defer cancel()
	shown, sent := false, make(chan error, 1)
	err := s.Listen(ctx, Subscription{LogLevel: 4}, func() {
		go func() { sent <- s.logWarning(ctx) }()
	}, func(m Message) {
		if m.Record && m.Headers["Log-File"] == "mod_commands.c" && strings.HasSuffix(m.Body, levelTest) {
			shown = true
			cancel()
		}
	})
	switch {
	case shown:
		return false, nil
	case ctx.Err() != nil && len(sent) > 0: // it waited in vain
		err = <-sent
		return err == nil, err
	}
	return false, err
}

func (s Switch) logWarning(ctx context.Context) error {
	c, err := s.Console(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.API(ctx, "log", "warning", levelTest)
	return err
}
