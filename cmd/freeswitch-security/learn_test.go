package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/cmd/freeswitch-security/proposals"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/learn"
	"freeswitch-security/engine/rule"
)

// A switchboard writes what FreeSWITCH's event socket would send.
type switchboard struct {
	bytes.Buffer
	at time.Time
}

// tell sends an event a second after the one before.
func (s *switchboard) tell(name string, headers ...string) {
	s.at = s.at.Add(time.Second)
	event := map[string]string{
		"Event-Name": "CUSTOM", "Event-Subclass": name, "Event-Date-Timestamp": strconv.FormatInt(s.at.UnixMicro(), 10),
	}
	for i := 0; i < len(headers); i += 2 {
		event[headers[i]] = headers[i+1]
	}
	body, err := json.Marshal(event)
	if err != nil {
		panic(err) // texts can always be written
	}
	fmt.Fprintf(s, "Content-Length: %d\nContent-Type: text/event-json\n\n%s", len(body), body)
}

func (s *switchboard) register(ip, user string) {
	s.tell("sofia::pre_register", "network-ip", ip, "from-user", user)
	s.tell("sofia::register_attempt", "network-ip", ip, "auth-result", "RENEWED", "username", user, "realm", "pbx.example")
	s.tell("sofia::register", "network-ip", ip, "from-user", user, "username", user, "sip_auth_username", user)
}

func (s *switchboard) fail(ip, user string) {
	s.tell("sofia::register_attempt", "network-ip", ip, "auth-result", "FORBIDDEN", "username", user, "realm", "pbx.example", "from-user", user)
	s.tell("sofia::register_failure", "network-ip", ip, "to-user", user, "registration-type", "REGISTER")
}

const socketRules = `
source "esl" "pbx" {
  address  = "127.0.0.1:8021"
  password = "a password of our own"
}

rule "guessing" {
  on    = [source.esl.pbx]
  match = "event == 'auth_failure'"

  threshold {
    count  = 5
    within = "10m"
  }

  ban {}
}
`

// TestLearnFromTheEventSocket learns from a week with an office, a carrier that the
// switch registers at, a phone whose owner mistypes, and a guesser. The output is
// loaded as it is.
func TestLearnFromTheEventSocket(t *testing.T) {
	var s switchboard
	for day := range 7 {
		s.at = time.Date(2026, 5, 4+day, 8, 0, 0, 0, time.UTC)
		s.tell("sofia::gateway_state", "State", "REGED", "Gateway", "carrier1", "Register-Network-IP", "192.0.2.50")
		for i := range 20 {
			s.register("203.0.113.7", fmt.Sprint(2000+i%5))
			s.register(fmt.Sprintf("198.51.100.%d", 10+i), fmt.Sprint(3000+i))
			s.fail("203.0.113.99", fmt.Sprint(i, "\"]\n}\x1b[2J*/"))
		}
		s.fail("203.0.113.7", "2000")
	}
	for range 2 {
		s.fail("198.51.100.10", "3000")
	}
	rules := filepath.Dir(write(t, "a.hcl", []byte(socketRules)))
	stdout, stderr, status := command(t, nil, "learn", "--rules", rules, write(t, "week.esl", s.Bytes()))
	if status != exitYes || !strings.Contains(stderr, "2 proposals to trust, 0 to check") {
		t.Fatalf("exit status %d: %s%s", status, stderr, stdout)
	}
	for _, want := range []string{
		"\n# For:     FreeSWITCH itself registers here: gateway carrier1\n",
		"\n# For:     5 accounts registered, 140 times: 2000, 2001, 2002, …\n",
		"\n# Against: 7 failures, of 2000\n",
		"\n#   The highest count of 21 addresses that registered: 2, of 198.51.100.10 at ",
		"\n#     count  = 4 # now 5\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	if err := os.WriteFile(filepath.Join(rules, "learned.hcl"), []byte(stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(rules, kinds, nil)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if got := fmt.Sprint(trustedOf(cfg)); got != "[carrier 192.0.2.50: 192.0.2.50 office 203.0.113.7: 203.0.113.7]" {
		t.Errorf("trusted are %s", got)
	}
}

// channel sends an event of a call of an account.
func (s *switchboard) channel(name, ip, user, uuid, number string) {
	s.tell("", "Event-Name", name, "Call-Direction", "inbound", "Channel-Name", "sofia/internal/x", "Unique-ID", uuid, "Caller-Network-Addr", ip,
		"Caller-Destination-Number", number, "variable_sip_authorized", "true", "variable_sip_auth_username", user, "variable_sip_auth_realm", "pbx.example",
		"variable_user_name", user, "variable_domain_name", "pbx.example", "Hangup-Cause", "NORMAL_CLEARING")
}

// TestLearnFromCalls learns from a week with an office, its dialer, and a thief with two stolen accounts
// who guesses on. The output is loaded as it is, with a numbering block and without.
func TestLearnFromCalls(t *testing.T) {
	const office, thief, numbering = "203.0.113.7", "192.0.2.66", "numbering {\n  country = \"DE\"\n  timezone = \"UTC\"\n}\n"
	var s switchboard
	uuid := 0
	call := func(ip, user, number string) {
		uuid++
		s.channel("CHANNEL_CREATE", ip, user, fmt.Sprint(uuid), number)
		s.channel("CHANNEL_HANGUP_COMPLETE", ip, user, fmt.Sprint(uuid), number)
	}
	for day := range 5 {
		s.at = time.Date(2026, 5, 4+day, 9, 0, 0, 0, time.UTC)
		for i := range 6 {
			s.register(office, fmt.Sprint(2000+i))
		}
		for i := range 400 {
			call(office, "2000", fmt.Sprintf("0301%05d", i))
		}
		for range 10 {
			call(office, "2001", "0301234567")
			call(office, "2002", "004314277")
			call(office, "2003", "004314277")
			call(office, "2001", "004314277")
			call(office, "2002", "0301234567")
		}
		s.register(thief, "2004")
		s.register(thief, "2005")
		for i := range 4 {
			s.fail(thief, fmt.Sprint(3000+i, "\"]\n}\x1b[2J*/"))
			call(thief, "2004", "00231770123456")
			call(thief, "2005", "00231770123456")
		}
	}
	rules := filepath.Dir(write(t, "a.hcl", []byte(socketRules+numbering)))
	stdout, stderr, status := command(t, nil, "learn", "--rules", rules, write(t, "week.esl", s.Bytes()))
	if status != exitYes {
		t.Fatalf("exit status %d: %s%s", status, stderr, stdout)
	}
	for _, want := range []string{
		"\n# 6 accounts called. What follows is of the 4 that called only from genuine addresses seen on 3 days,\n",
		"destination_country not in ['AT', 'DE']\"\n", "\n    concurrent = 3\n",
		"\n# numbering {\n#   hours = \"Mon-Fri 09:00-10:00\"\n# }\n", "\n  users   = [\"2000@pbx.example\"]\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "LR") || strings.Contains(stdout, "2004@") {
		t.Errorf("the thief is in a proposal:\n%s", stdout)
	}
	asks := filepath.Dir(write(t, "a.hcl", []byte(socketRules+numbering+`
locals { usual_countries = [] }

rule "abroad" {
  on    = [source.esl.pbx]
  match = "event == 'call' and destination_country == 'CU' and destination_country not in local.usual_countries"

  alert {}
}
`)))
	if local, _, _ := command(t, nil, "learn", "--rules", asks, write(t, "week.esl", s.Bytes())); !strings.Contains(local, "\n#   usual_countries = [\"AT\", \"DE\"]\n") || strings.Contains(local, "unusual country") {
		t.Errorf("lacks the countries for the local:\n%s", local)
	}
	for _, learned := range []string{stdout, strings.ReplaceAll(stdout, "\n# numbering {\n#   hours = \"Mon-Fri 09:00-10:00\"\n# }\n", "\nnumbering {\n  hours = \"Mon-Fri 09:00-10:00\"\n}\n")} {
		if err := os.WriteFile(filepath.Join(rules, "learned.hcl"), []byte(learned), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, diags, _ := config.Load(rules, kinds, nil)
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		if len(cfg.Rules) != 3 || !slices.Contains(trustedOf(cfg), "dialer 2000@pbx.example: 2000@pbx.example") {
			t.Errorf("%d rules, trusted are %s", len(cfg.Rules), trustedOf(cfg))
		}
		if err := os.WriteFile(filepath.Join(rules, "a.hcl"), []byte(socketRules), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func trustedOf(cfg *config.Config) []string {
	var all []string
	for _, one := range cfg.Trusted {
		all = append(all, one.Name+": "+one.Target.String())
	}
	return all
}

// TestLearnDecidesAsReplay compares the findings about rules with a replay: the further
// events that learn asks for must not change them.
func TestLearnDecidesAsReplay(t *testing.T) {
	want := map[string]int{}
	for _, l := range parsed(t, replayed(t, nil, append([]string{"--rules", shippedRules, "--source", "log.freeswitch"}, recordedParts()...)...)) {
		if l.InForce() {
			want[l.Rule]++
		}
	}
	stdout, stderr, status := command(t, nil, append([]string{"learn", "--rules", shippedRules, "--source", "log.freeswitch"}, recordedParts()...)...)
	if status != exitYes {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	got := map[string]int{}
	for _, found := range regexp.MustCompile(`# rule "([^"]+)" .*\n#   (\d+) ban`).FindAllStringSubmatch(stdout, -1) {
		if n, _ := strconv.Atoi(found[2]); n > 0 {
			got[found[1]] = n
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("bans %v, a replay has %v", got, want)
	}
	if strings.Contains(stdout, "\ntrusted ") {
		t.Errorf("trust is proposed from a recording of an attack:\n%s", stdout)
	}
}

// FuzzLearned writes findings that quote any text wherever findings quote one. The
// text stays in comments: reading the output back yields only the proposed blocks.
func FuzzLearned(f *testing.F) {
	f.Add("a\n}\ntrusted \"x\" {\n  networks = [\"0.0.0.0/0\"]\n}\n#", true)
	f.Add("an unusual space: \u2000", true)
	f.Add("*/ trusted \"x\" { networks = [\"0.0.0.0/0\"] } /*", false)
	f.Add("\r\u2028\u2029\u0085\v\f\x00\xff\x1b[2J\u202e${file(\"/etc/passwd\")}%{if true}<<EOT", true)
	f.Add(strings.Repeat("([{! --", 300), false)
	matcher, problems := rule.Compile("event == 'auth_failure'", rule.Vocabulary{})
	if problems != nil {
		f.Fatal(problems)
	}
	office := netip.MustParsePrefix("203.0.113.7/32")
	f.Fuzz(func(t *testing.T, text string, sure bool) {
		found := &learn.Findings{
			Events: 1, Genuine: 1,
			Proposals: []learn.Proposal{{Kind: learn.Office, Network: office, Sure: sure, Days: 3, For: []string{text}, Against: []string{text, text}}},
			Rules: []learn.RuleFinding{{
				Spec:   &rule.Spec{Name: text, Where: text, Match: matcher, Threshold: &rule.Threshold{Count: 5, Within: time.Minute, Per: rule.Key{{Field: "user"}}}},
				Caught: 1, Victims: []learn.Victim{{Network: office}}, Peak: 4, PeakOf: office, Advice: learn.Raise, Count: 6,
			}},
		}
		var out bytes.Buffer
		if err := proposals.Write(&out, found, &config.Config{}, 3); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && !strconv.IsGraphic(r) }) || strings.Contains(out.String(), "*/") {
			t.Fatalf("%q", out.String())
		}
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "#") && line != "\n" && !strings.HasPrefix(line, "trusted \"office 203.0.113.7\" {") &&
				!strings.HasPrefix(line, "  networks = [\"203.0.113.7\"]") && !strings.HasPrefix(line, "  comment  = \"learned: seen on 3 days\"") && line != "}\n" {
				t.Errorf("%q", line)
			}
		}
		cfg, diags, _ := config.Load(filepath.Dir(write(t, "a.hcl", out.Bytes())), kinds, nil)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if want := map[bool]int{true: 1}[sure]; len(cfg.Trusted) != want {
			t.Errorf("trusted are %v", trustedOf(cfg))
		}
	})
}
