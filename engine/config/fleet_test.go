package config_test

import (
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

// TestFleetBlock checks what a fleet block may say.
func TestFleetBlock(t *testing.T) {
	const least = "servers = [\"tls://nats.example:4222\"]\nnode = \"sbc1\"\n"
	env := environment(map[string]string{"PASSWORD": "hunter2hunter2"})
	for _, test := range []struct{ block, want string }{ // want: the summary of the only mistake; "": none
		{least, ""},
		{least + "share = [\"bans\"]\nmax_from_peers = 0\nbucket = \"fleet-1\"\ncredentials = \"guard.creds\"", ""},
		{least + "user = \"guard\"\npassword = env(\"PASSWORD\")", ""},
		{least + "user = \"guard\"\npassword = \"hunter2hunter2\"", "Password in a rule file"},
		{least + "user = \"guard\"", "Incomplete login"},
		{least + "tls {\n ca = \"ca.pem\"\n}", ""},
		{least + "tls {\n cert = \"a.pem\"\n}", "Incomplete TLS"},
		{"servers = [\"nats://guard:hunter2hunter2@nats.example\"]\nnode = \"a\"", "Secret in a URL"},
		{"servers = [\"https://nats.example\"]\nnode = \"a\"", "Not a NATS server"},
		{"servers = [\"nats.example:4222\"]\nnode = \"a\"", "Not a NATS server"},
		{"servers = []\nnode = \"a\"", "No server"},
		{"servers = [\"nats://a\"]\nnode = \"a b\"", "Invalid name"},
		{least + "share = [\"passwords\"]", "Unknown share"},
	} {
		files := map[string]string{"rules.d/a.hcl": "fleet {\n" + test.block + "\n}\n"}
		cfg, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, env)
		if got := len(diags.Errs()); (got == 1) != (test.want != "") || got > 1 || got == 1 && diags[0].Summary != test.want {
			t.Errorf("%s: want %q:\n%s", test.block, test.want, printed(t, diags, sources))
		}
		if test.block == least && (cfg.Fleet.Node != "sbc1" || !slices.Equal(cfg.Fleet.Share, []string{"bans", "counts", "registrations"}) || cfg.Fleet.MaxFromPeers != config.DefaultFromPeers) {
			t.Errorf("%+v", cfg.Fleet)
		}
	}
}

// TestIsNode: a name is one token of a subject.
func TestIsNode(t *testing.T) {
	for name, want := range map[string]bool{
		"sbc1": true, "A-z_9": true, strings.Repeat("n", 32): true,
		"": false, strings.Repeat("n", 33): false, "a.b": false, "a b": false, "*": false, ">": false, "ü": false, "a\n": false, "a\x00": false,
	} {
		if config.IsNode(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}
