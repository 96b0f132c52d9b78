package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine/status"
	"freeswitch-security/sources/logfile/logtest"
)

// foreignLines are lines of another program.
func foreignLines(n int) (all string) {
	for i := range n {
		all += fmt.Sprintf("Nov 28 10:00:%02d pbx1 sshd[812]: Failed password for root from 203.0.113.7 port 4022 ssh2\n", i%60)
	}
	return all
}

// isBlind reports whether a follower says that it understands nothing.
func isBlind(f *follows) bool {
	texts := status.Texts(f.status().Problems, status.Warning)
	return len(texts) == 1 && strings.HasPrefix(texts[0], "no line of the log has FreeSWITCH's header")
}

// TestUnreadableLog: a log without a header is reported, whether it is there at the start or
// grows, and until a line of FreeSWITCH comes.
func TestUnreadableLog(t *testing.T) {
	for name, before := range map[string]int{"quiet": foreignAtFirst, "long": 2000, "growing": 0} {
		t.Run(name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			l.Write(foreignLines(before))
			f := follow(t, l.Path, nil, defaultPatience())
			if before == 0 {
				l.Write(foreignLines(foreignAtFirst))
			}
			logtest.Poll(t, "warning", func() bool { return isBlind(f) })
			l.Lines(1)
			logtest.Poll(t, "end of the warning", func() bool { return f.status().Problems == nil })
			l.Write(foreignLines(foreignLater - 1))
			logtest.Poll(t, "lines", func() bool { return f.status().Lines >= foreignLater })
			if f.status().Problems != nil {
				t.Errorf("a long message is reported: %v", f.status().Problems)
			}
			l.Write(foreignLines(1))
			logtest.Poll(t, "warning", func() bool { return isBlind(f) })
			f.stop()
		})
	}
}

// TestReadable: every recording of FreeSWITCH is readable, a part of it, too.
func TestReadable(t *testing.T) {
	for _, name := range []string{"trace", "users", "calls", "forged"} {
		log, err := os.ReadFile("testdata/" + name + ".log")
		if err != nil {
			t.Fatal(err)
		}
		if !Readable(log) {
			t.Errorf("%s is not readable", name)
		}
	}
	var docker string
	for line := range strings.Lines(strings.Repeat(logtest.Line(0), foreignAtFirst)) {
		docker += fmt.Sprintf("{\"log\":%q,\"stream\":\"stdout\",\"time\":\"2026-05-03T21:30:11.034Z\"}\n", line)
	}
	end := func(log string) []byte {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		lines, err := ReadEnd(path)
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	if !Readable(end(docker)) {
		t.Error("a container's log is not readable")
	}
	if Readable(end(strings.ReplaceAll(docker, "[WARNING]", "WARNING"))) {
		t.Error("a container's log of another program is readable")
	}
	if Readable([]byte(foreignLines(foreignAtFirst))) || !Readable(nil) {
		t.Error("a foreign log is readable, or an empty one is not")
	}
	if text := (&sight{others: true}).see(foreignLater, false); text != "" {
		t.Errorf("a log of lines without a header: %s", text)
	}
	if _, err := ReadEnd(t.TempDir()); err == nil {
		t.Error("a directory is read")
	}
}
