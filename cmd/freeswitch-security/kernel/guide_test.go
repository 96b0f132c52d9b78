//go:build kernel

package kernel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

// A step is a command of the guide to IPTables integration, verbatim, and how often its output
// contains a text. A step without a text has no output. Soon: the guard may need a moment.
type step struct {
	command, text string
	times         int
	soon          bool
}

// Commands of the guide that are not here: the installation of iptables (apt-get, yum), which the
// packages do; the lines of /etc/sudoers.d and setcap, since the service needs neither; `watch`,
// which repeats a command that is here; and `iptables-save | ssh $node 'iptables-restore'`, which
// replaces the firewall of the other node: examples/ha shares bans instead.

// whileDry is the commands that prepare the host, before the guard enforces.
var whileDry = []step{
	{`which iptables`, "/sbin/iptables\n", 1, false},
	{`sudo iptables -L >/dev/null 2>&1 && echo "OK" || echo "Permission denied"`, "OK\n", 1, false},
	{block, `"status":"success"`, 1, false},
	{`sudo iptables -S`, "FREESWITCH", 0, false},
	{`curl -X DELETE http://127.0.0.1:8080/security/blacklist/192.0.2.100`, `"status":"success"`, 1, false},

	// Minimal Security Setup, FreeSWITCH-Specific Rules, Network Security
	{`sudo iptables -P INPUT DROP
sudo iptables -P FORWARD DROP
sudo iptables -P OUTPUT ACCEPT
sudo iptables -A INPUT -i lo -j ACCEPT
sudo iptables -A OUTPUT -o lo -j ACCEPT
sudo iptables -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
sudo iptables -A INPUT -p tcp --dport 22 -j ACCEPT
sudo iptables -A INPUT -p udp --dport 5060 -j ACCEPT
sudo iptables -A INPUT -p tcp --dport 5060 -j ACCEPT
sudo iptables -A INPUT -p udp --dport 5080 -j ACCEPT  # Alternative SIP port
sudo iptables -A INPUT -p udp --dport 16384:32768 -j ACCEPT
sudo iptables -A INPUT -p tcp --dport 8081:8082 -j ACCEPT
sudo iptables -A INPUT -p tcp --dport 8080 -s 192.168.1.0/24 -j ACCEPT
sudo iptables -A INPUT -p tcp --dport 8080 -j DROP
sudo iptables -A INPUT -p tcp --dport 8080 -m limit --limit 30/min -j ACCEPT
sudo iptables -A INPUT -p tcp --dport 5060 -m limit --limit 1/sec --limit-burst 5 \
  -j LOG --log-prefix "SIP-FLOOD: "`, "", 0, false},

	// Custom Chain Integration
	{`sudo iptables -N FREESWITCH
sudo iptables -I INPUT 1 -j FREESWITCH`, "", 0, false},
	{`sudo iptables -L INPUT --line-numbers`, "1    FREESWITCH ", 1, false},
}

// guide is the commands that concern the guard while it enforces, roughly in their order.
var guide = []step{
	// The guard takes over the chain and the jump, and the rules below the jump stay.
	{`sudo iptables -L FREESWITCH -v -n`, "Chain FREESWITCH (1 references)", 1, false},
	{`sudo iptables -L INPUT --line-numbers`, "\n1    FREESWITCH ", 1, false},
	{`sudo iptables -S INPUT`, "-A INPUT ", 13, false},
	{`sudo iptables -N FREESWITCH 2>&1`, "Chain already exists", 1, false}, // a second time
	{`sudo iptables -I INPUT 1 -j FREESWITCH`, "", 0, false},
	{`sudo iptables -S INPUT`, "-j FREESWITCH\n", 1, true},

	// Test Rule Addition, Test Specific Rules: a drop by hand becomes a permanent ban
	{exists, "1\n", 1, false},
	{`sudo iptables -A FREESWITCH -s 192.0.2.1 -j DROP`, "", 0, false},
	{exists, "0\n", 1, false},
	{`curl -s http://127.0.0.1:8080/security/blacklist/192.0.2.1`, `"author":"operator"`, 1, true},

	// Test Application Integration
	{block, `"status":"success"`, 1, false},
	{`sudo iptables -L FREESWITCH -v -n | grep 192.0.2.100`, "DROP", 1, false},
	{`curl -X DELETE http://127.0.0.1:8080/security/blacklist/192.0.2.100`, `"status":"success"`, 1, false},
	{`sudo iptables -L FREESWITCH -v -n | grep 192.0.2.100`, "", 0, false},

	// Batch Operation Testing
	{`curl -X POST http://127.0.0.1:8080/security/blacklist/batch \
  -H "Content-Type: application/json" \
  -d '[
    {"ip": "192.0.2.10", "reason": "Batch test 1"},
    {"ip": "192.0.2.11", "reason": "Batch test 2"},
    {"ip": "192.0.2.12", "reason": "Batch test 3"}
  ]'`, `"status":"success"`, 3, false},
	{`sudo iptables -L FREESWITCH -v -n | grep -E "192\.0\.2\.(10|11|12)"`, "DROP", 3, false},

	// View Current Blocks, Monitor Block Effectiveness
	{`curl -s http://127.0.0.1:8080/security/iptables | jq '.'`, `"target": "192.0.2.11"`, 1, false},
	{`sudo iptables -L FREESWITCH -v -n | awk 'NR>2 {sum+=$1} END {print "Total blocked packets:", sum}'`, "Total blocked packets: 0\n", 1, false},
	{`sudo iptables -S FREESWITCH`, "-j DROP\n", 4, false},

	// Performance Monitoring, Performance Issues, the script for Nagios, the exporter
	{`RULE_COUNT=$(sudo iptables -L FREESWITCH --line-numbers | tail -n +3 | wc -l)
echo "Current FREESWITCH rules: $RULE_COUNT"
if [ $RULE_COUNT -gt 1000 ]; then
    echo "WARNING: High rule count may impact performance"
fi`, "Current FREESWITCH rules: 4\n", 1, false},
	{`sudo iptables -L FREESWITCH --line-numbers | wc -l`, "6\n", 1, false},
	{nagios, "OK: 4 rules active\n", 1, false},
	{exporter, "\nfreeswitch_iptables_rules_total 4\n", 1, false},
	{`curl -s http://127.0.0.1:8080/metrics`, "\nfreeswitch_iptables_rules_total 4\n", 1, false}, // not in the guide: the same number

	// Daily Cleanup Script: it deletes bans that have dropped no packet yet. The guard restores them.
	{`sudo iptables -L FREESWITCH -v -n --line-numbers | \
  awk '$3==0 && NR>2 {print $1}' | \
  tac | \
  while read line; do
    sudo iptables -D FREESWITCH $line
  done
RULE_COUNT=$(sudo iptables -L FREESWITCH --line-numbers | tail -n +3 | wc -l)
logger "FreeSWITCH Security: $RULE_COUNT active IPTables rules"`, " active IPTables rules", 1, false},
	{`sudo iptables -S FREESWITCH`, "-j DROP\n", 4, true},

	// Firewall Rules Not Working: the jump is deleted and added again
	{`sudo iptables -L INPUT --line-numbers | grep -A5 -B5 FREESWITCH`, "FREESWITCH", 1, false},
	{`sudo iptables -D INPUT -j FREESWITCH
sudo iptables -I INPUT 1 -j FREESWITCH`, "", 0, false},
	{`sudo iptables -L INPUT --line-numbers`, "\n1    FREESWITCH ", 1, true},
	{`sudo iptables -S INPUT`, "-j FREESWITCH\n", 1, true},

	// Rule Backup and Restore, with a ban that ends in between
	{`sudo iptables-save > /backup/iptables-$(date +%Y%m%d).rules`, "", 0, false},
	{`cp /backup/iptables-$(date +%Y%m%d).rules /backup/iptables-20240115.rules
curl -s -X DELETE http://127.0.0.1:8080/security/blacklist/192.0.2.12`, `"status":"success"`, 1, false},
	{`sudo iptables-restore < /backup/iptables-20240115.rules`, "", 0, false},
	{`sudo iptables -S FREESWITCH`, "-j DROP\n", 3, true},

	// Custom Rules, Trace Rule Processing: rules of the operator, which are kept
	{`sudo iptables -I FREESWITCH 1 -s 192.168.1.10 -p tcp --dport 8080 -j ACCEPT
sudo iptables -A FREESWITCH -p tcp --dport 8080 -m limit --limit 10/min -j ACCEPT
sudo iptables -I FREESWITCH 1 -j LOG --log-prefix "FREESWITCH-DEBUG: "`, "", 0, false},
	{`curl -s -X POST http://127.0.0.1:8080/security/blacklist -H "Content-Type: application/json" -d '{"ip": "192.0.2.13"}'`, `"status":"success"`, 1, false},
	{`sudo iptables -S FREESWITCH`, "-j ACCEPT\n", 2, false},
	{`sudo iptables -D FREESWITCH -j LOG --log-prefix "FREESWITCH-DEBUG: "`, "", 0, false},
	{`sudo iptables -L FREESWITCH -v -n --line-numbers`, "DROP", 4, false},

	// The script of examples/monitoring, in both modes
	{inBothModes, "4\n", 1, false},
	{`for i in $(seq 150); do echo "{\"ip\": \"198.51.100.$i\"}"; done | jq -s . |
curl -s -X POST http://127.0.0.1:8080/security/blacklist/batch -H "Content-Type: application/json" -d @-`, `"status":"success"`, 150, false},
	{inBothModes, "154\n", 1, false},
	{`curl -s http://127.0.0.1:8080/metrics`, "\nfreeswitch_iptables_rules_total 154\n", 1, false},

	// IPSet Integration: the set is the guard's own
	{`sudo ipset create freeswitch-blocked hash:ip 2>&1`, "set with the same name already exists", 1, false},
	{`sudo ipset create freeswitch-blocked hash:ip maxelem 100000 2>&1`, "set with the same name already exists", 1, false},
	{`sudo iptables -A FREESWITCH -m set --match-set freeswitch-blocked src -j DROP`, "", 0, false},
	{`sudo iptables -S FREESWITCH`, "-m set --match-set freeswitch-blocked src -j DROP\n", 1, true},
	{`sudo ipset add freeswitch-blocked 192.0.2.1 2>&1`, "it's already added", 1, false}, // banned by hand
	{`sudo ipset add freeswitch-blocked 192.0.2.2`, "", 0, false},
	{`sudo ipset list freeswitch-blocked | grep "^192.0.2.2 "`, "", 0, true}, // removed: add it with the verb ban
}

const (
	block = `curl -X POST http://127.0.0.1:8080/security/blacklist \
  -H "Content-Type: application/json" \
  -d '{
    "ip": "192.0.2.100",
    "reason": "Testing IPTables integration",
    "permanent": false
  }'`

	exists = `sudo iptables -C FREESWITCH -s 192.0.2.1 -j DROP
echo $?  # 0 = rule exists, 1 = rule does not exist`

	nagios = `if ! iptables -L FREESWITCH >/dev/null 2>&1; then
    echo "CRITICAL: FREESWITCH chain missing"
    exit 2
fi
RULE_COUNT=$(iptables -L FREESWITCH --line-numbers | tail -n +3 | wc -l)
if [ $RULE_COUNT -gt 5000 ]; then
    echo "WARNING: High rule count: $RULE_COUNT"
    exit 1
fi

echo "OK: $RULE_COUNT rules active"
exit 0`

	exporter = `echo "# HELP freeswitch_iptables_rules_total Total IPTables rules"
echo "# TYPE freeswitch_iptables_rules_total gauge"
RULE_COUNT=$(iptables -L FREESWITCH --line-numbers | tail -n +3 | wc -l)
echo "freeswitch_iptables_rules_total $RULE_COUNT"`

	// inBothModes is the script of examples/monitoring.
	inBothModes = `rules=$(iptables -S FREESWITCH | grep -c -- ' -s [^ ]* -j DROP$')
entries=$(ipset list -terse freeswitch-blocked 2>/dev/null | awk '/^Number of entries/ {print $4}')
echo "$((rules + ${entries:-0}))"`
)

// TestGuide runs the commands of the guide in a shell of root: with the shipped rules and
// environment file, first as installed, then after the documented switch to enforcing.
func TestGuide(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:8021")
	if err != nil {
		t.Fatal(err)
	}
	s := esltest.StartOn(t, listener, esltest.Options{API: lists, Heartbeat: healthy.Heartbeat})
	d := installed(t)
	d.start()
	steps(t, d.dir, whileDry)
	guided(t, d.dir, `sed -i '/^OPTIONS=--dry-run$/d' `+filepath.Join(d.dir, "env"))
	d.stop(syscall.SIGTERM)
	d.start()
	steps(t, d.dir, guide)
	if err := s.Await(t.Context(), "event json "); err != nil {
		t.Fatal(err)
	}
	fails(s, "198.51.100.200", 20)
	eventually(t, 10*time.Second, "a shipped rule bans", func() bool { return inSet("198.51.100.200") })
}

// installed prepares a daemon as the package installs it: the shipped rules, of which only the paths
// are the test's, and the options of the shipped environment file.
func installed(t *testing.T) *daemon {
	t.Helper()
	for _, program := range []string{"bash", "curl", "jq"} {
		needs(t, program, program)
	}
	d := prepare(t, ``, ``)
	t.Cleanup(func() { guided(t, d.dir, "iptables -P INPUT ACCEPT; iptables -P FORWARD ACCEPT") })
	if err := os.Remove(filepath.Join(d.dir, "rules.d", "rules.hcl")); err != nil {
		t.Fatal(err)
	}
	guided(t, d.dir, "cp ../../../rules.d/*.hcl "+filepath.Join(d.dir, "rules.d")+" && cp ../../../examples/systemd/env "+d.dir)
	site := filepath.Join(d.dir, "rules.d", "00-site.hcl")
	text, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	for shipped, own := range map[string]string{
		`"/var/log/freeswitch/freeswitch.log"`: strconv.Quote(d.log.Name()),
		"\nadmin {}\n":                         fmt.Sprintf("\nadmin {\n  socket = %q\n}\n", adminSocket(t)),
	} {
		if strings.Count(string(text), shipped) != 1 {
			t.Fatalf("00-site.hcl has no %s, or several", shipped)
		}
		text = []byte(strings.Replace(string(text), shipped, own, 1))
	}
	service := fmt.Sprintf("#!/bin/sh\n. %s\nexec %s \"$@\" $OPTIONS\n", filepath.Join(d.dir, "env"), binary)
	d.program = filepath.Join(d.dir, "service")
	if err := errors.Join(os.WriteFile(site, text, 0o600), os.WriteFile(d.program, []byte(service), 0o700)); err != nil {
		t.Fatal(err)
	}
	return d
}

// steps runs steps, with the files of /backup in a directory.
func steps(t *testing.T, dir string, all []step) {
	t.Helper()
	for _, s := range all {
		var got string
		right := func() bool {
			got = guided(t, dir, s.command)
			return s.text == "" && got == "" || s.text != "" && strings.Count(got, s.text) == s.times
		}
		for deadline := time.Now().Add(most(5 * time.Second)); !right(); pause(50 * time.Millisecond) {
			if !s.soon || time.Now().After(deadline) {
				t.Errorf("%s\n%s\nwant %d of %q", s.command, got, s.times, s.text)
				break
			}
		}
	}
}

// TestGuideChain renames the chain, in both ways of the guide.
func TestGuideChain(t *testing.T) {
	for name, c := range map[string]struct{ environment, file string }{
		"in the environment": {"VOIP_SECURITY", ""},
		"in config.json":     {"", `{"security": {"iptables_chain": "VOIP_SECURITY"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SECURITY_IPTABLES_CHAIN", c.environment)
			d := installed(t)
			guided(t, d.dir, `sed -i '/^OPTIONS=--dry-run$/d' `+filepath.Join(d.dir, "env"))
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(d.dir, "config.json"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d.start()
			steps(t, d.dir, []step{
				{block, `"status":"success"`, 1, false},
				{`sudo iptables -L VOIP_SECURITY -v -n | grep 192.0.2.100`, "DROP", 1, false},
				{`sudo iptables -S INPUT`, "-j VOIP_SECURITY\n", 1, false},
				{`sudo iptables -S`, "FREESWITCH", 0, false},
			})
		})
	}
}

// guided runs a command in a shell, where sudo need not be installed and logger prints, and returns
// its output without curl's progress. iptables without -n looks names up, which fails at once.
func guided(t *testing.T, dir, command string) string {
	t.Helper()
	const shell = `sudo() { "$@"; }
logger() { echo "$@"; }
echo nameserver 127.0.0.1 >/backup/resolv.conf
mount --bind /backup/resolv.conf /etc/resolv.conf
`
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(shell+command, "/backup/", dir+"/"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() > 1) { // grep exits with 1 if it finds nothing
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}
