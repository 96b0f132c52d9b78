package config_test

import (
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

// TestAdminBlock checks where the admin listener may listen, with which protection.
func TestAdminBlock(t *testing.T) {
	const token = "\ntoken = env(\"TOKEN\")"
	env := environment(map[string]string{"TOKEN": "0123456789abcdef"})
	for _, test := range []struct{ block, want string }{ // want: the summary of the only mistake; "": none
		{``, ""},
		{`socket_mode = "0660"`, ""},
		{`listen = "[::1]:8080"`, ""}, {`listen = "localhost:8080"`, ""}, {`listen = "127.0.0.2:0"`, ""}, {`listen = "[::ffff:127.0.0.1]:8080"`, ""},
		{`listen = ":8080"`, "Open to the network"}, {`listen = "0.0.0.0:8080"`, "Open to the network"}, {`listen = "[::]:8080"`, "Open to the network"},
		{`listen = "192.0.2.1:8080"`, "Open to the network"}, {`listen = "pbx.example:8080"`, "Invalid address"},
		{"listen = \"0.0.0.0:8080\"\ntls_cert = \"c\"\ntls_key = \"k\"", "Open to the network"},
		{"listen = \"0.0.0.0:8080\"" + token, ""},
		{"listen = \"0.0.0.0:8080\"\ntls_cert = \"c\"\ntls_key = \"k\"\nclient_ca = \"a\"", ""},
		{"listen = \"0.0.0.0:8080\"\nclient_ca = \"a\"", "Incomplete TLS"},
		{`listen = "127.0.0.1"`, "Invalid address"}, {`listen = "127.0.0.1:x"`, "Invalid address"}, {`listen = "127.0.0.1:70000"`, "Invalid address"},
		{`tls_cert = "c"`, "Incomplete TLS"}, {`tls_key = "k"`, "Incomplete TLS"},
		{`socket = "admin.sock"`, "Invalid path"}, {`socket = "/` + strings.Repeat("x", 107) + `"`, "Invalid path"}, {`socket = "/` + strings.Repeat("x", 106) + `"`, ""},
		{`socket_mode = "0666"`, "Invalid mode"}, {`socket_mode = "0700"`, "Invalid mode"},
	} {
		files := map[string]string{"rules.d/a.hcl": "admin {\n" + test.block + "\n}\n"}
		_, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, env)
		if got := len(diags.Errs()); (got == 1) != (test.want != "") || got > 1 || got == 1 && diags[0].Summary != test.want {
			t.Errorf("%s: want %q:\n%s", test.block, test.want, printed(t, diags, sources))
		}
	}
}

// TestFetchedListenIsNotPrinted mistakes a secret variable for that of the address.
func TestFetchedListenIsNotPrinted(t *testing.T) {
	files := map[string]string{"rules.d/a.hcl": "admin {\n listen = env(\"TOKEN\")\n}\n"}
	_, diags, sources := config.LoadFS(tree(files), "rules.d", kinds, environment(map[string]string{"TOKEN": "hunter2"}))
	if text := printed(t, diags, sources); len(diags) != 1 || diags[0].Summary != "Invalid address" || strings.Contains(text, "hunter2") {
		t.Errorf("printed:\n%s", text)
	}
}
