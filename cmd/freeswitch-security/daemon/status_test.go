package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile"
)

// TestLogStatus: a source without events has no time of the last one.
func TestLogStatus(t *testing.T) {
	dir := t.TempDir()
	rules := "source \"log\" \"freeswitch\" {\n  path = \"" + filepath.Join(dir, "freeswitch.log") + "\"\n}\n"
	for name, text := range map[string]string{"a.hcl": rules, "freeswitch.log": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, diags, _ := config.Load(dir, config.Kinds{Sources: []plugin.SourceKind{logfile.Kind}}, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var log strings.Builder
	ready, ended := make(chan struct{}), make(chan error, 1)
	d := &Daemon{
		engine: engine.New(cfg, engine.Options{Ready: func() { close(ready) }}),
		log:    slog.New(slog.NewTextHandler(&log, nil)),
	}
	go func() { ended <- d.engine.Run(t.Context()) }()
	<-ready
	d.logStatus(t.Context())
	_, line, _ := strings.Cut(log.String(), `msg="status of source"`)
	line, _, _ = strings.Cut(line, "\n")
	for _, want := range []string{" name=log.freeswitch", " running=true", " lines=0", " events=0"} {
		if !strings.Contains(line, want) {
			t.Errorf("it lacks %q: %s", want, line)
		}
	}
	if strings.Contains(line, "lastEvent") {
		t.Errorf("there was no event: %s", line)
	}
}
