package sip

import (
	"fmt"
	"testing"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
)

func fromBlock(b *settings.Block) plugin.Source {
	return Kind.New(b, plugin.SourceEnv{Name: "sip.wire"})
}

func newFrom(t testing.TB, body string) (plugin.Source, hcl.Diagnostics) {
	t.Helper()
	return settingstest.Made(t, fromBlock, body, map[string]string{"secret": "Geheim"})
}

func made(t testing.TB, body string) *source {
	t.Helper()
	s, diags := newFrom(t, body)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return s.(*source)
}

func TestNew(t *testing.T) {
	show := func(s *source) string {
		return fmt.Sprintf("%s %s %s %q %s %q %d", s.name, s.listen, s.from, s.key, s.local, s.forward, s.queue)
	}
	got := show(made(t, `
		listen  = "[::]:9061"
		from    = ["192.0.2.10", "2001:db8::/64"]
		key     = secret
		switch  = "192.0.2.10"
		forward = "homer.example:9060"
		queue   = 500
	`))
	if want := `sip.wire [::]:9061 [192.0.2.10/32 2001:db8::/64] "Geheim" [192.0.2.10/32] "homer.example:9060" 500`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	got = show(made(t, ""))
	if want := `sip.wire 127.0.0.1:9060 [] "" [] "" 20000`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestDiagnostics(t *testing.T) {
	for body, want := range map[string]string{
		`listen = "localhost:9060"`:  `1,10-26: Invalid address: "localhost:9060" is not an address of this host with a port: write "127.0.0.1:9060" or "[2001:db8::1]:9060", or "[::]:9060" for all addresses.`,
		`listen = ":9060"`:           `1,10-17: Invalid address: ":9060" is not an address of this host with a port: write "127.0.0.1:9060" or "[2001:db8::1]:9060", or "[::]:9060" for all addresses.`,
		`listen = "127.0.0.1:0"`:     `1,10-23: Invalid address: "127.0.0.1:0" is not an address of this host with a port: write "127.0.0.1:9060" or "[2001:db8::1]:9060", or "[::]:9060" for all addresses.`,
		`listen = "192.0.2.1:9060"`:  `1,10-26: Open listener: Other hosts reach this address, and a forged message leads to a ban. Name the senders: from = ["192.0.2.10"]. Or listen on 127.0.0.1.`,
		`listen = secret`:            `1,10-16: Invalid address: The value given here should be an address and a port of this host; it is not shown, because it may come from the environment or another file.`,
		`from = ["pbx"]`:             `1,9-14: Invalid network: "pbx" is neither an address nor a network such as 203.0.113.0/24.`,
		`from = []`:                  `1,8-10: No network: Name at least one address or network, or leave the attribute out.`,
		`switch = "10.0.0.0/33"`:     `1,10-23: Invalid network: "10.0.0.0/33" is neither an address nor a network such as 203.0.113.0/24.`,
		`key = ""`:                   `1,7-9: Empty key: The agents send a key of at least one byte. Leave the attribute out if they send none.`,
		`forward = "homer"`:          `1,11-18: Invalid address: "homer" is not the address of a HEP listener: write "host:port" or "[2001:db8::1]:9060".`,
		`forward = "127.0.0.1:9060"`: `1,11-27: Invalid address: The source listens there: its packets would return to it.`,
		"listen = \"0.0.0.0:1\"\nfrom = \"::1\"\nforward = \"[::1]:1\"": `3,11-20: Invalid address: The source listens there: its packets would return to it.`,
		`queue = 3`:   `1,9-10: Invalid number: A whole number from 100 to 1000000 is expected here.`,
		`port = 9060`: `1,1-5: Unsupported argument: An argument named "port" is not expected here.`,
	} {
		_, diags := newFrom(t, body)
		var got string
		for _, d := range diags {
			got += fmt.Sprintf("%s: %s: %s", d.Subject, d.Summary, d.Detail)
		}
		if diff := cmp.Diff("site.hcl:"+want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", body, diff)
		}
	}
	for _, body := range []string{`forward = "127.0.0.1:9061"`, `forward = "[2001:db8::1]:9060"`, "listen = \"127.0.0.2:9060\"", "listen = \"[::1]:9060\""} {
		if _, diags := newFrom(t, body); diags.HasErrors() {
			t.Errorf("%s: %v", body, diags)
		}
	}
}

func TestFingerprint(t *testing.T) {
	settingstest.Differ(t, fromBlock, `key = "a"`, ``, `key = "b"`, "key = \"a\"\nqueue = 100", "key = \"a\"\nswitch = \"192.0.2.1\"",
		"key = \"a\"\nfrom = \"127.0.0.1\"", "key = \"a\"\nforward = \"homer:9060\"", "key = \"a\"\nlisten = \"127.0.0.1:1\"")
}
