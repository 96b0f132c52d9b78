package esl

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/status"
)

// FreeSWITCH discards what its log level hides before a log or a stream sees it. So a line is
// logged at WARNING, at each connect and when the level is set, and must come back. Trap:
// since v1.10.4, `fsctl loglevel` without a level turns the log off: it cannot be asked.

// levelPatience is the time allowed for the line to come back.
const levelPatience = 5 * time.Second

const hiddenLevel = "the log level of FreeSWITCH hides warnings, and with them most attacks, from its log and from this stream: " +
	"fs_cli -x 'fsctl loglevel debug', and loglevel in autoload_configs/switch.conf.xml"

// A levelTest tells whether the log level shows warnings.
type levelTest struct {
	due   atomic.Bool   // the level is to be tested
	shown chan struct{} // has an item when the record of the test has come
}

// takeLevel notes the record of a test, and requests a test when the level is set.
func (l *lister) takeLevel(m *esl.Message) {
	switch {
	case esl.IsLevelTest(m):
		select {
		case l.level.shown <- struct{}{}:
		default:
		}
	case m.Name() == "API" && m.Headers["API-Command"] == "fsctl" && strings.HasPrefix(m.Headers["API-Command-Argument"], "loglevel"):
		l.level.due.Store(true)
		l.refresh()
	}
}

// testLevel tests the log level, and reports one that hides warnings until a later test does
// not find it.
func (l *lister) testLevel(ctx context.Context) error {
	select {
	case <-l.level.shown: // of a test that was given up
	default:
	}
	c, err := l.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := esl.TestLevel(ctx, c); err != nil {
		if _, ok := errors.AsType[*esl.Refusal](err); ok {
			return nil // it is not known
		}
		return err
	}
	text := ""
	select {
	case <-l.level.shown:
	case <-time.After(levelPatience):
		text = hiddenLevel
		l.level.due.Store(true) // until it is mended
	case <-ctx.Done():
	}
	l.progress.warn("level", status.Warning, text)
	return nil
}
