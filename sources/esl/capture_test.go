package esl

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"

	"github.com/google/go-cmp/cmp"
)

const (
	captureOn     = "sofia global capture on"
	locateSofia   = "xml_locate configuration configuration name sofia.conf"
	withoutTarget = `<configuration name="sofia.conf"><global_settings><param name="log-level" value="0"/></global_settings>` +
		`<profiles><profile name="internal"><settings><param name="capture-server" value="x"/></settings></profile></profiles></configuration>`
	withTarget = `<?xml version="1.0" encoding="ISO-8859-1"?><configuration name="sofia.conf"><global_settings>` +
		`<param name="capture-server" value="udp:127.0.0.1:9060;hep=3"></param></global_settings><profiles>`
)

// TestCapture: a profile that starts forgets that its capture is on, and a switch without a target
// does not report that it mirrors nothing.
func TestCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSource()
		s.capture = true
		f := s.follower(map[string]bool{event.AuthFailure: true}, newSink())
		if !slices.Contains(f.sub.Events, "PUBLISH") {
			t.Errorf("subscribes to %v", f.sub.Events)
		}
		answers := &answering{answers: map[string]string{}}
		f.lister.dial = func(context.Context) (console, error) { return answers, nil }
		f.hears()
		end := start(t, f)
		expect := func(after time.Duration, problem string, commands ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if diff := cmp.Diff(commands, answers.since()); diff != "" {
				t.Errorf("commands: -want +got:\n%s", diff)
			}
			got := strings.Join(status.Texts(f.progress.Status().Problems, status.Warning), "\n")
			if !strings.HasPrefix(got, problem) || problem == "" && got != "" {
				t.Errorf("problem %q, want %q", got, problem)
			}
		}
		expect(0, "switch capture on: the switch says no", captureOn)
		answers.answer(captureOn, "+OK Global capture on")
		expect(listPause, "read sofia.conf: the switch says no", captureOn, locateSofia)
		answers.answer(locateSofia, withoutTarget)
		expect(listPause, "FreeSWITCH has no capture-server", captureOn, locateSofia)
		expect(listPause+retryAfter, "FreeSWITCH has no capture-server", captureOn, locateSofia)
		answers.answer(locateSofia, withTarget+"</profiles></configuration>")
		expect(listPause+retryAfter, "", captureOn, locateSofia)
		f.take(*message("PUBLISH", time.Now(), "module_name", "mod_other"))
		expect(listPause, "")
		f.take(*message("PUBLISH", time.Now(), "module_name", "mod_sofia", "profile_name", "internal"))
		expect(0, "", captureOn, locateSofia)
		expect(listPause+relistAfter, "", captureOn, locateSofia)
		end()
	})
}

// TestCaptureIsOptional: the switch is not changed unless the site asks for it.
func TestCaptureIsOptional(t *testing.T) {
	for _, capture := range []bool{false, true} {
		sw := esltest.Start(t, esltest.Options{API: func(command string) string {
			if command == locateSofia {
				return withTarget + "</profiles></configuration>"
			}
			return "+OK\n"
		}})
		s := testSource()
		s.at, s.capture = switchAt(sw), capture
		f := s.follower(nil, newSink())
		f.lister.connected()
		err := f.lister.list(t.Context())
		if asked := slices.Contains(sw.Commands(), "api "+captureOn); asked != capture {
			t.Errorf("capture = %t: %v, %v", capture, err, sw.Commands())
		}
	}
}

// TestCaptureServer reads configurations that are cut, foreign or hostile.
func TestCaptureServer(t *testing.T) {
	for answer, want := range map[string]string{
		withoutTarget: "", withTarget + "</profiles></configuration>": "udp:127.0.0.1:9060;hep=3",
		`<configuration><global_settings><param name="capture-server" value="a"/><param name="capture-server" value="b"/></global_settings></configuration>`: "b",
		withTarget: "error", "can't find anything": "error", "": "error", "<configuration": "error",
	} {
		got, err := esl.CaptureServer(t.Context(), fixed(answer))
		if got != want && (want != "error" || err == nil) {
			t.Errorf("%q: %q, %v", answer, got, err)
		}
	}
}
