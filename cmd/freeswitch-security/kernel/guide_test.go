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

	// Performance Monitoring, and the exporter
	{`RULE_COUNT=$(sudo iptables -L FREESWITCH --line-numbers | tail -n +3 | wc -l)
echo "Current FREESWITCH rules: $RULE_COUNT"`, "Current FREESWITCH rules: 4\n", 1},
	{`curl -s http://127.0.0.1:8080/metrics`, "\nfreeswitch_iptables_rules_total 4\n", 1}, // not in the guide: the same number

	// Firewall Rules Not Working: the jump is deleted and added again
	{`sudo iptables -L INPUT --line-numbers`, "FREESWITCH", 1},
	{`sudo iptables -D INPUT -j FREESWITCH
sudo iptables -I INPUT 1 -j FREESWITCH`, "", 0},

	// Custom Rules, Trace Rule Processing: rules of the operator, which are kept
	{`sudo iptables -I FREESWITCH 1 -s 192.168.1.10 -p tcp --dport 8080 -j ACCEPT
sudo iptables -A FREESWITCH -p tcp --dport 8080 -m limit --limit 10/min -j ACCEPT
sudo iptables -I FREESWITCH 1 -j LOG --log-prefix "FREESWITCH-DEBUG: "`, "", 0},
	{`curl -s -X POST http://127.0.0.1:8080/security/blacklist -H "Content-Type: application/json" -d '{"ip": "192.0.2.13"}'`, `"status":"success"`, 1},
	{`sudo iptables -S FREESWITCH`, "-j ACCEPT\n", 2},
	{`sudo iptables -D FREESWITCH -j LOG --log-prefix "FREESWITCH-DEBUG: "`, "", 0},
	{`sudo iptables -L FREESWITCH -v -n --line-numbers`, "DROP", 5},

	// The script of examples/monitoring, in both modes
	{inBothModes, "5\n", 1},
	{`for i in $(seq 150); do echo "{\"ip\": \"198.51.100.$i\"}"; done | jq -s . |
curl -s -X POST http://127.0.0.1:8080/security/blacklist/batch -H "Content-Type: application/json" -d @-`, `"status":"success"`, 150},
	{inBothModes, "155\n", 1},
	{`curl -s http://127.0.0.1:8080/metrics`, "\nfreeswitch_iptables_rules_total 155\n", 1},
}

// inBothModes is the script of examples/monitoring.
const inBothModes = `rules=$(iptables -S FREESWITCH | grep -c -- ' -s [^ ]* -j DROP$')
entries=$(ipset list -terse freeswitch-blocked 2>/dev/null | awk '/^Number of entries/ {print $4}')
echo "$((rules + ${entries:-0}))"`

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
