//go:build kernel

package kernel

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// onPort serves the HTTP API at its default port, 127.0.0.1:8080, and on a socket of this test.
const onPort = `
admin {
  socket = %q
}
`

// A step is a command of the guide to IPTables integration, verbatim, and how often its output
// contains a text. A step without a text has no output.
type step struct {
	command, text string
	times         int
}

// guide is the commands of the guide that concern the daemon, in their order.
var guide = []step{
	{`sudo iptables -L FREESWITCH -v -n`, "Chain FREESWITCH (1 references)", 1},

	// Test Application Integration
	{`curl -X POST http://127.0.0.1:8080/security/blacklist \
  -H "Content-Type: application/json" \
  -d '{
    "ip": "192.0.2.100",
    "reason": "Testing IPTables integration",
    "permanent": false
  }'`, `"status":"success"`, 1},
	{`sudo iptables -L FREESWITCH -v -n | grep 192.0.2.100`, "DROP", 1},
	{`curl -X DELETE http://127.0.0.1:8080/security/blacklist/192.0.2.100`, `"status":"success"`, 1},
	{`sudo iptables -L FREESWITCH -v -n | grep 192.0.2.100`, "", 0},

	// Batch Operation Testing
	{`curl -X POST http://127.0.0.1:8080/security/blacklist/batch \
  -H "Content-Type: application/json" \
  -d '[
    {"ip": "192.0.2.10", "reason": "Batch test 1"},
    {"ip": "192.0.2.11", "reason": "Batch test 2"},
    {"ip": "192.0.2.12", "reason": "Batch test 3"}
  ]'`, `"status":"success"`, 3},
	{`sudo iptables -L FREESWITCH -v -n | grep -E "192\.0\.2\.(10|11|12)"`, "DROP", 3},

	// View Current Blocks, Monitor Block Effectiveness
	{`curl -s http://127.0.0.1:8080/security/iptables | jq '.'`, `"target": "192.0.2.11"`, 1},
	{`sudo iptables -L FREESWITCH -v -n | awk 'NR>2 {sum+=$1} END {print "Total blocked packets:", sum}'`, "Total blocked packets: 0\n", 1},

	// Test Specific Rules: before the address is added, which is not in the guide, and
	// after.
	{exists, "1\n", 1},
	{`curl -X POST http://127.0.0.1:8080/security/blacklist -H "Content-Type: application/json" -d '{"ip": "192.0.2.1"}'`, `"status":"success"`, 1},
	{exists, "0\n", 1},
	{`sudo iptables -S FREESWITCH`, "-j DROP\n", 4},
}

const exists = `sudo iptables -C FREESWITCH -s 192.0.2.1 -j DROP
echo $?  # 0 = rule exists, 1 = rule does not exist`

// TestGuide runs the commands of the guide in a shell of root.
func TestGuide(t *testing.T) {
	for _, program := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the guide needs %s: apt-get install %s", program, program)
		}
	}
	prepare(t, ``, fmt.Sprintf(onPort, adminSocket(t))).start()
	for _, s := range guide {
		got := guided(t, s.command)
		if s.text == "" && got != "" || strings.Count(got, s.text) != s.times && s.text != "" {
			t.Errorf("%s\n%s\nwant %d of %q", s.command, got, s.times, s.text)
		}
	}
}

// TestGuideChain renames the chain, in both ways of the guide.
func TestGuideChain(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the guide needs %s: apt-get install %s", program, program)
		}
	}
	const block = `curl -s -X POST http://127.0.0.1:8080/security/blacklist -H "Content-Type: application/json" -d '{"ip": "192.0.2.100"}'`
	for name, c := range map[string]struct{ environment, rules string }{
		"in the environment":   {"VOIP_SECURITY", ""},
		"in the configuration": {"", "security {\n  iptables_chain = \"VOIP_SECURITY\"\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SECURITY_IPTABLES_CHAIN", c.environment)
			prepare(t, ``, fmt.Sprintf(onPort, adminSocket(t))+c.rules).start()
			guided(t, block)
			if got := guided(t, `sudo iptables -L VOIP_SECURITY -v -n | grep 192.0.2.100`); !strings.Contains(got, "DROP") {
				t.Errorf("the rule is\n%s", got)
			}
			if got := guided(t, `sudo iptables -S INPUT`); !strings.Contains(got, "-j VOIP_SECURITY\n") || strings.Contains(got, "-j FREESWITCH\n") {
				t.Errorf("INPUT is\n%s", got)
			}
			if exec.Command("iptables", "-S", "FREESWITCH").Run() == nil {
				t.Error("the chain FREESWITCH exists, too")
			}
		})
	}
}

// guided runs a command in a shell, where sudo need not be installed, and returns its output
// without curl's progress.
func guided(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", "sudo() { \"$@\"; }\n"+command)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() > 1) { // grep exits with 1 if it finds nothing
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
