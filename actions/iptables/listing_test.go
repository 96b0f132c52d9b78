package iptables

import (
	"slices"
	"testing"
)

const listed = `-P INPUT ACCEPT
-P FORWARD ACCEPT
# Warning: iptables-legacy tables present, use iptables-legacy to see them
-N FREESWITCH
-N EMPTY
-A INPUT -p tcp -m multiport --dports 5060 -j FREESWITCH
-A INPUT -m comment --comment "a -j \"DROP\" x" -j ACCEPT
-A FREESWITCH -s 203.0.113.7/32 -j DROP
-A FREESWITCH -s 203.0.113.8/32 -j REJECT --reject-with icmp-port-unreachable
-A FREESWITCH -m set --match-set freeswitch-blocked src -j DROP
-A FREESWITCH ! -s 1.2.3.4/32 -j DROP
`

func TestParseListing(t *testing.T) {
	l := parseListing(listed)
	if len(l) != 4 || len(l["INPUT"]) != 2 || len(l["FREESWITCH"]) != 4 {
		t.Fatalf("%q", l)
	}
	if _, ok := l["EMPTY"]; !ok {
		t.Error("an empty chain is missing")
	}
	rules := l["FREESWITCH"]
	if p, target, ok := parseBanRule(rules[0]); !ok || p != targetOf("203.0.113.7/32") || target != "DROP" {
		t.Error(p, target, ok)
	}
	if p, target, ok := parseBanRule(rules[1]); !ok || p != targetOf("203.0.113.8/32") || target != "REJECT" {
		t.Error(p, target, ok)
	}
	if !isSetRule(rules[2], "freeswitch-blocked src") || isSetRule(rules[2], "freeswitch-blocked6 src") {
		t.Error("set rule")
	}
	if _, _, ok := parseBanRule(rules[3]); ok {
		t.Error("a negated address is a ban")
	}
	if got := words(l["INPUT"][1]); !slices.Equal(got, []string{"-m", "comment", "--comment", `""`, "-j", "ACCEPT"}) {
		t.Errorf("%q", got)
	}
}

func TestForeignFormsAreNoBans(t *testing.T) {
	for _, spec := range []string{
		"", "-j DROP", "-s 1.2.3.4/32", "-s 1.2.3.4/32 -j ACCEPT", "-s 1.2.3.4/32 -p udp -j DROP",
		"-s 1.2.3.4/255.0.255.0 -j DROP", "-s 1.2.3.4/32 -m comment --comment mine -j DROP", "-s 1.2.3.4/32 -i eth0 -j DROP",
		"-s 1.2.3.4/32 -j REJECT --reject-with tcp-reset", "-s 1.2.3.4/32 -p udp -m udp --dport 5060 -j DROP",
		"-s 1.2.3.4/32 -p udp -m udp --sport 5060:5061 -j DROP", "-s 1.2.3.4/32 -p udp -m udp --sport 5060 --dport 5060 -j DROP",
		"-s 1.2.3.4/24 -p udp -m udp --sport 5060 -j DROP", "-s 1.2.3.4/32 -p sctp -m sctp --sport 5060 -j DROP",
		"-s 1.2.3.4/32 -p udp -m udp ! --sport 5060 -j DROP", "-s 1.2.3.4/32 -p udp -m udp --sport 0 -j DROP",
	} {
		if p, _, ok := parseBanRule(spec); ok {
			t.Errorf("%q: %v", spec, p)
		}
	}
}

func TestEndpointRules(t *testing.T) {
	for spec, want := range map[string]string{
		"-s 203.0.113.7/32 -p udp -m udp --sport 5060 -j DROP":                                          "203.0.113.7:5060/udp",
		"-s 2001:db8::7/128 -p tcp -m tcp --sport 50611 -j REJECT --reject-with icmp6-port-unreachable": "[2001:db8::7]:50611/tcp",
	} {
		got, target, ok := parseBanRule(spec)
		if !ok || got != targetOf(want) || banRule(got, target) != bareTarget(spec) {
			t.Errorf("%q: %v, %v", spec, got, ok)
		}
	}
}

func TestCutCounters(t *testing.T) {
	for in, want := range map[string]string{
		"-s 203.0.113.7/32 -c 12 3456 -j DROP": "-s 203.0.113.7/32 -j DROP",
		"-c 12 3456 -j RETURN":                 "-j RETURN",
		"-p udp -c 12 3456":                    "-p udp",
	} {
		if got, packets, bytes := cutCounters(in); got != want || packets != 12 || bytes != 3456 {
			t.Errorf("%q: %q %d %d", in, got, packets, bytes)
		}
	}
	for _, in := range []string{"-j DROP", "", "-c x y -j DROP", "-c 1"} {
		if got, _, _ := cutCounters(in); got != in {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestLetsPass(t *testing.T) {
	l := parseListing(`-P INPUT ACCEPT
-N FREESWITCH
-N f2b-sshd
-N ufw-before
-N deep
-N loop
-A FREESWITCH -s 192.168.1.10/32 -j ACCEPT
-A f2b-sshd -s 192.0.2.9/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -j RETURN
-A ufw-before -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A deep -j ufw-before
-A loop -j loop
`)
	for spec, want := range map[string]bool{
		"-i lo -j ACCEPT":                      true,
		"-j RETURN":                            true,
		"-p tcp -j f2b-sshd":                   false,
		"-j ufw-before":                        true,
		"-j deep":                              true,
		"-g f2b-sshd":                          true,
		"-j loop":                              false,
		"-j DROP":                              false,
		"-j LOG --log-prefix \"-j ACCEPT\"":    false,
		"-j LOG --log-prefix \"a -j ACCEPT \"": false,
		"-p udp":                               false,
		"-j FREESWITCH":                        false,
		"-j NFQUEUE --queue-num 0":             true,
		"-m comment --comment \"-j ACCEPT\" -j DROP": false,
	} {
		if got := l.letsPass(spec, "FREESWITCH"); got != want {
			t.Errorf("%s: %v", spec, got)
		}
	}
}

func TestOwnJump(t *testing.T) {
	for spec, want := range map[string]bool{
		"-j FREESWITCH":        true,
		"-p udp -j FREESWITCH": true,
		"-p tcp -m multiport --dports 5060:5061 -j FREESWITCH": true,
		"-i eth0 -j FREESWITCH":                                false,
		"-p icmp -j FREESWITCH":                                false,
		"-j FREESWITCH2":                                       false,
		"-p tcp -m tcp --dport 1 -j FREESWITCH":                false,
	} {
		if got := isOwnJump(spec, "FREESWITCH"); got != want {
			t.Errorf("%s: %v", spec, got)
		}
	}
}

func FuzzListing(f *testing.F) {
	f.Add(listed)
	f.Add("-A FREESWITCH -s 1.2.3.4/32 -c 1 2 -j DROP\n-N FREESWITCH\n-A INPUT -j \"\\\n")
	f.Fuzz(func(t *testing.T, out string) {
		l := parseListing(out)
		for _, rules := range l {
			for _, spec := range rules {
				words(spec)
				cutCounters(spec)
				l.letsPass(spec, "FREESWITCH")
				if p, target, ok := parseBanRule(spec); ok && bareTarget(spec) != banRule(p, target) && p.Prefix() == p.Prefix().Masked() {
					// Another notation of the same network is accepted.
					if q, _, again := parseBanRule(banRule(p, target)); !again || q != p {
						t.Fatalf("%q: %v", spec, p)
					}
				}
			}
		}
		converges(t, l, goal{
			table: "filter", chain: "FREESWITCH", hooks: []string{"INPUT"}, matches: []string{""}, target: "DROP",
			bans: expiries{keyOf(targetOf("203.0.113.7/32")): permanent}, mayMove: true,
			ownSets: []string{"freeswitch-blocked src"},
		})
	})
}
