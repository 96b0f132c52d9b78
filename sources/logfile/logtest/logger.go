package logtest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A Logger writes a log of failures. The user of a line is its number.
type Logger struct {
	T    testing.TB
	Path string
	File *os.File
	N    int // lines so far
}

// New returns a logger whose log does not exist yet.
func New(t testing.TB) *Logger {
	l := &Logger{T: t, Path: filepath.Join(t.TempDir(), "freeswitch.log")}
	t.Cleanup(l.Close)
	return l
}

// Must ends the test after an error.
func (l *Logger) Must(err error) {
	if err != nil {
		l.T.Helper()
		l.T.Fatal(err)
	}
}

// Stamp is the form of a line's time.
const Stamp = "2006-01-02 15:04:05.000000"

// First is the time of line 0.
var First = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// Line is the n-th line. Lines are a second apart.
func Line(n int) string {
	return First.Add(time.Duration(n)*time.Second).Format(Stamp) +
		" 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [" +
		strconv.Itoa(n) + "@pbx] from ip 203.0.113.5\n"
}

// Open opens the log as FreeSWITCH does, and makes it if it does not exist.
func (l *Logger) Open() {
	l.T.Helper()
	l.Close()
	file, err := os.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	l.Must(err)
	l.File = file
}

// Close closes the log, if it is open.
func (l *Logger) Close() {
	if l.File != nil {
		l.File.Close()
	}
}

// Lines writes n lines, each at once.
func (l *Logger) Lines(n int) {
	l.T.Helper()
	for range n {
		l.Write(Line(l.N))
		l.N++
	}
}

// Write writes a text at once.
func (l *Logger) Write(s string) {
	l.T.Helper()
	_, err := l.File.WriteString(s)
	l.Must(err)
}

// Poll waits for at most 20 seconds until a condition holds.
func Poll(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s in time", what)
		}
	}
}
