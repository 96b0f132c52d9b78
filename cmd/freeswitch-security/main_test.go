package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/golden"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"freeswitch-security": main})
}

// TestScripts runs testdata/script. $SHIPPED is the directory of the shipped rules, $RECORDED that of
// the recorded attack, $FAILURE a log line. scriptCommands are commands beside testscript's own.
func TestScripts(t *testing.T) {
	shipped, err := filepath.Abs(shippedRules)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := filepath.Abs(recordedAttack)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *golden.Update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("SHIPPED", shipped)
			env.Setenv("RECORDED", recorded)
			env.Setenv("FAILURE", strings.TrimSuffix(failures("203.0.113.7", 0, 1), "\n"))
			return nil
		},
	})
}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":    exits,
	"gzip":     rewriting("gzip FILE", func(content []byte, _ []string) []byte { return compressed(content) }),
	"unescape": rewriting("unescape FILE", unescaped),
	"truncate": rewriting("truncate FILE BYTES", func(content []byte, args []string) []byte {
		return content[:number(args)]
	}),
	"noise": rewriting("noise FILE BYTES", func(_ []byte, args []string) []byte {
		out := make([]byte, number(args))
		rand.NewChaCha8([32]byte{}).Read(out)
		return out
	}),
	"replace": rewriting("replace FILE OLD NEW", func(content []byte, args []string) []byte {
		return bytes.Replace(content, []byte(args[0]), []byte(args[1]), 1)
	}),
	"longline": rewriting("longline FILE BYTES: put a long line in front", func(content []byte, args []string) []byte {
		return append(append(bytes.Repeat([]byte("x"), number(args)), '\n'), content...)
	}),
}

// exits runs freeswitch-security and demands its exit status:
//
//	exits STATUS ARGUMENT…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: exits STATUS ARGUMENT…")
	}
	status := 0
	if err := ts.Exec("freeswitch-security", args[1:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		status = exit.ExitCode()
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

// rewriting returns a command that changes a file, which need not exist.
func rewriting(usage string, change func(content []byte, args []string) []byte) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: %s", usage)
		}
		path := ts.MkAbs(args[0])
		content, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Fatalf("%v", err)
		}
		ts.Check(os.WriteFile(path, change(content, args[1:]), 0o644))
	}
}

func number(args []string) int {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	return n
}

func compressed(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(content) // a buffer takes everything
	w.Close()
	return b.Bytes()
}

// unescaped replaces \xNN and \uNNNN by their bytes, so that scripts need no escape sequences.
func unescaped(content []byte, _ []string) []byte {
	var out strings.Builder
	for rest := string(content); rest != ""; {
		if !strings.HasPrefix(rest, `\x`) && !strings.HasPrefix(rest, `\u`) {
			out.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(rest, 0)
		if err != nil {
			panic(err)
		}
		if multibyte {
			out.WriteRune(r)
		} else {
			out.WriteByte(byte(r))
		}
		rest = tail
	}
	return []byte(out.String())
}

// command runs a command line in this process.
func command(t testing.TB, stdin io.Reader, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: stdin, stdout: &out, stderr: &errs, environ: func(string) (string, bool) { return "", false }}
	status = a.execute(context.Background(), args)
	return out.String(), errs.String(), status
}

// replayed returns the JSON of a replay that must read everything.
func replayed(t testing.TB, stdin io.Reader, args ...string) string {
	t.Helper()
	stdout, stderr, status := command(t, stdin, append([]string{"replay", "--format", "json"}, args...)...)
	if status != exitYes {
		t.Fatalf("replay %q: exit status %d: %s", args, status, stderr)
	}
	return stdout
}

// parsed parses the JSON of a replay.
func parsed(t testing.TB, output string) []ban.Change {
	t.Helper()
	var changes []ban.Change
	for text := range strings.Lines(output) {
		c, err := parseChange(text)
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		changes = append(changes, c)
	}
	return changes
}

// write writes a file in a new directory.
func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// failures returns the log lines of n failures, a second apart, from the given second of an hour on.
func failures(ip string, from, n int) string {
	var b strings.Builder
	for i := range n {
		at := from + i
		fmt.Fprintf(&b, "2026-05-04 10:%02d:%02d.000000 99.50%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) "+
			"on sofia profile 'internal' for [1000@pbx.example] from ip %s\n", at/60, at%60, ip)
	}
	return b.String()
}
