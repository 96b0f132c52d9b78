package esl

import (
	"context"
	"errors"
	"strings"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/status"
)

// The log level is tested at each connect and when it is set, and again while it hides
// warnings.

const hiddenLevel = "the log level of FreeSWITCH hides warnings, and with them most attacks, from its log and from this stream: " +
	"fs_cli -x 'fsctl loglevel debug', and loglevel in autoload_configs/switch.conf.xml"

// setsLevel reports whether a message says that the log level is set.
func setsLevel(m *esl.Message) bool {
	return m.Name() == "API" && m.Headers["API-Command"] == "fsctl" && strings.HasPrefix(m.Headers["API-Command-Argument"], "loglevel")
}

// retestLevel requests a test. It does not wait.
func (l *lister) retestLevel() {
	l.untested.Store(true)
	l.refresh()
}

func (l *lister) testLevel(ctx context.Context) error {
	hidden, err := l.hidesWarnings(ctx)
	if _, ok := errors.AsType[*esl.Refusal](err); ok {
		err = nil // it is not known, and not tested again
	}
	text := ""
	if hidden {
		text = hiddenLevel
	}
	l.untested.Store(hidden || err != nil)
	l.progress.warn("level", status.Warning, text)
	return err
}
