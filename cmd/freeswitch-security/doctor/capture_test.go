package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
	"freeswitch-security/sources/sip"
)

// A receiver is a source to which packets are mirrored.
type receiver struct {
	plugin.Source
	at string
}

func (r receiver) Listen() netip.AddrPort { return netip.MustParseAddrPort(r.at) }

// sofiaWith is a configuration of three profiles.
func sofiaWith(captureServer, sipCapture string) string {
	return fmt.Sprintf(`<configuration name="sofia.conf"><global_settings><param name="capture-server" value="%s"/></global_settings><profiles>`+
		`<profile name="internal"><settings><param name="sip-ip" value="10.77.0.10"/><param name="sip-capture" value="yes"/></settings></profile>`+
		`<profile name="external"><settings><param name="sip-ip" value="10.77.0.10"/><param name="sip-capture" value="%s"/></settings></profile>`+
		`<profile name="internal-ipv6"><settings><param name="sip-ip" value="fd77::10"/></settings></profile>`+
		`</profiles></configuration>`, captureServer, sipCapture)
}

func TestCapture(t *testing.T) {
	const right = "udp:127.0.0.1:9060;hep=3;capture_id=100"
	silent, busy := map[string]uint64{"sip.wire": 0}, map[string]uint64{"sip.wire": 4711}
	var out bytes.Buffer
	for _, test := range []struct {
		name     string
		listen   string // of the source; "": there is none
		at       string // event socket
		sofia    string
		captures bool
		heard    map[string]uint64
	}{
		{name: "no source", sofia: sofiaWith("", "no")},
		{name: "configuration not known", listen: "127.0.0.1:9060"},
		{name: "no target", listen: "127.0.0.1:9060", sofia: sofiaWith("", "no")},
		{name: "no target, and it is asked for", listen: "127.0.0.1:9060", sofia: sofiaWith("", "no"), captures: true},
		{name: "not understood", listen: "127.0.0.1:9060", sofia: sofiaWith("tcp:127.0.0.1:9060", "yes")},
		{name: "to Homer", listen: "127.0.0.1:9060", sofia: sofiaWith("udp:192.0.2.30:9060;hep=3", "yes")},
		{name: "loopback of the switch", listen: "10.77.0.1:9060", at: "10.77.0.10:8021", sofia: sofiaWith(right, "yes")},
		{name: "a profile without", listen: "127.0.0.1:9060", sofia: sofiaWith(right, "no")},
		{name: "a profile without, and it is asked for", listen: "127.0.0.1:9060", sofia: sofiaWith(right, "no"), captures: true, heard: busy},
		{name: "configured", listen: "127.0.0.1:9060", sofia: sofiaWith(right, "yes")},
		{name: "configured and not heard", listen: "127.0.0.1:9060", sofia: sofiaWith(right, "yes"), heard: silent},
		{name: "heard", listen: "127.0.0.1:9060", sofia: sofiaWith(right, "yes"), heard: busy},
	} {
		x := &exam{host: healthyHost(), at: defaultSwitch, captures: test.captures, heard: test.heard, cfg: &config.Config{}}
		if test.at != "" {
			x.at.Address = test.at
		}
		if test.listen != "" {
			x.cfg.Sources = []config.Source{{Ref: "sip.wire", Source: receiver{at: test.listen}}}
		}
		if d, err := parseXML(test.sofia); err == nil && test.sofia != "" {
			x.sofia = &d.Config
		}
		x.judgeCapture()
		fmt.Fprintf(&out, "# %s\n", test.name)
		if err := Print(&out, x.found, false, false); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out)
	}
	golden.Compare(t, "testdata/capture.txt", out.String())
}

// TestTarget: what FreeSWITCH understands, and where it leads.
func TestTarget(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("10.77.0.10")}
	for _, test := range []struct {
		target, listen string
		here           bool
		want           string // "reaches", "elsewhere", "error"
	}{
		{"udp:127.0.0.1:9060", "127.0.0.1:9060", true, "reaches"},
		{"udp:127.0.0.1:9060;hep=2;capture_id=7", "0.0.0.0:9060", true, "reaches"},
		{"udp:localhost:9060", "127.0.0.1:9060", true, "reaches"},
		{"udp:[::1]:9060;hep=3", "[::1]:9060", true, "reaches"},
		{"udp:guard.example:9060", "192.0.2.1:9060", false, "reaches"},
		{"udp:10.77.0.10:9060", "[::]:9060", true, "reaches"},
		{"udp:10.77.0.11:9060", "[::]:9060", true, "elsewhere"},
		{"udp:127.0.0.1:9061", "127.0.0.1:9060", true, "elsewhere"},
		{"udp:127.0.0.1:9060", "127.0.0.1:9060", false, "elsewhere"},
		{"udp:localhost:9060", "10.77.0.10:9060", true, "elsewhere"},
		{"tcp:127.0.0.1:9060", "127.0.0.1:9060", true, "error"},
		{"127.0.0.1:9060", "127.0.0.1:9060", true, "error"},
		{"udp:127.0.0.1", "127.0.0.1:9060", true, "error"},
		{"udp:127.0.0.1:80", "127.0.0.1:9060", true, "error"},
		{"udp:127.0.0.1:99999", "127.0.0.1:9060", true, "error"},
		{"udp:127.0.0.1:9060;hep=4", "127.0.0.1:9060", true, "error"},
		{"udp:127.0.0.1:9060; hep=3", "127.0.0.1:9060", true, "error"},
		{"udp::9060", "127.0.0.1:9060", true, "error"},
	} {
		got := "elsewhere"
		if to, err := parseTarget(test.target); err != nil {
			got = "error"
		} else if to.reaches(wire{"sip.wire", netip.MustParseAddrPort(test.listen)}, test.here, own) {
			got = "reaches"
		}
		if got != test.want {
			t.Errorf("%s to %s: %s, want %s", test.target, test.listen, got, test.want)
		}
	}
}

// TestWires: the doctor finds the sources to which packets are mirrored.
func TestWires(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.hcl"), []byte("source \"sip\" \"wire\" {\n  listen = \"[::1]:9061\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(dir, config.Kinds{Sources: []plugin.SourceKind{sip.Kind}}, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := []wire{{"sip.wire", netip.MustParseAddrPort("[::1]:9061")}}
	if got := (&exam{cfg: cfg}).wires(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestAskGuard: a guard that does not run is no finding.
func TestAskGuard(t *testing.T) {
	x := &exam{cfg: &config.Config{Sources: []config.Source{{Ref: "sip.wire", Source: receiver{at: "127.0.0.1:9060"}}}}}
	x.askGuard(t.Context(), nil)
	x.askGuard(t.Context(), func(context.Context) (status.Status, error) { return status.Status{}, errors.New("down") })
	if x.heard != nil {
		t.Error(x.heard)
	}
	x.askGuard(t.Context(), func(context.Context) (status.Status, error) {
		return status.Status{Sources: []status.Source{{Name: "sip.wire", Lines: 3}}}, nil
	})
	if x.heard["sip.wire"] != 3 {
		t.Error(x.heard)
	}
}

// TestCaptureOfFiles: the target stands in another file than the profiles.
func TestCaptureOfFiles(t *testing.T) {
	x := &exam{host: healthyHost(), at: defaultSwitch, confDir: "testdata/etc"}
	x.readFiles()
	if got := lastOf(x.sofia.Global, "capture-server"); !strings.HasPrefix(got, "udp:") || len(x.sofia.Profiles) == 0 {
		t.Errorf("%q, %d profiles", got, len(x.sofia.Profiles))
	}
}
