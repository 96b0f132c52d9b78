//go:build kernel

package kernel

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// rewrites are what programs that own the firewall give to iptables-restore.
var rewrites = []struct {
	name    string
	options []string
}{
	{"INPUT", []string{"--noflush"}},
	{"the whole table", nil},
}

const theirs = `*filter
:INPUT ACCEPT [0:0]
-F INPUT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A INPUT -p udp -j ACCEPT
COMMIT
`

// TestRewritten has a banned address send 100 packets a second while a program rewrites INPUT, or
// the whole table, every second, $REWRITES times: at most one packet of a hundred passes.
func TestRewritten(t *testing.T) {
	times := 6
	if n, err := strconv.Atoi(os.Getenv("REWRITES")); err == nil {
		times = n
	}
	for _, backend := range []string{"rules", "ipset"} {
		for _, c := range rewrites {
			t.Run(backend+", "+c.name, func(t *testing.T) { rewritten(t, backend, c.options, times) })
		}
	}
}

func rewritten(t *testing.T, backend string, options []string, times int) {
	d := prepare(t, `backend = "`+backend+`"`, atOnce).start()
	ip := "198.18.0.1"
	d.write(burst(50, 1) + failure(ip))
	eventually(t, 5*time.Second, "it is banned", func() bool {
		return inSet(ip) || exec.Command("iptables", "-C", "FREESWITCH", "-s", ip, "-j", "DROP").Run() == nil
	})
	e := listen(t)
	commits := hearCommits(t)
	stop := chatter(t, ip, 10*time.Millisecond)
	began := time.Now()
	var took []time.Duration
	for i := range times {
		<-time.After(time.Until(began.Add(time.Duration(i) * time.Second)))
		commits() // those so far
		cmd := exec.Command("iptables-restore", options...)
		cmd.Stdin = strings.NewReader(theirs)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		eventually(t, 5*time.Second, "the jump is back", func() bool {
			out, _ := exec.Command("iptables", "-S", "INPUT", "1").Output()
			return strings.TrimSpace(string(out)) == "-A INPUT -j FREESWITCH"
		})
		var heard []time.Time
		eventually(t, 5*time.Second, "their commit and a repair are heard", func() bool {
			heard = append(heard, commits()...)
			return len(heard) >= 2
		})
		took = append(took, heard[1].Sub(heard[0]))
	}
	<-time.After(time.Until(began.Add(time.Duration(times) * time.Second)))
	stop()
	n, _ := e.heard(ip)
	slices.Sort(took)
	t.Logf("%d of %d packets passed; repaired after p50 %s, max %s", n, 100*times, took[len(took)/2], took[len(took)-1])
	if n > int(float64(times)*slack()) {
		t.Errorf("%d packets of %d passed, want at most %d", n, 100*times, times)
	}
	if took[len(took)/2] > most(5*time.Millisecond) || took[len(took)-1] > most(50*time.Millisecond) {
		t.Errorf("repaired after p50 %s, max %s; want at most 5ms, 50ms", took[len(took)/2], took[len(took)-1])
	}
}

// hearCommits returns a function that returns when the kernel reported commits since its last call.
func hearCommits(t testing.TB) func() []time.Time {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan time.Time, 1000)
	go func() {
		for {
			messages, err := conn.Receive()
			if err != nil {
				return
			}
			for _, m := range messages {
				if m.Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN {
					heard <- time.Now()
				}
			}
		}
	}()
	t.Cleanup(func() { conn.Close() })
	return func() (all []time.Time) {
		for {
			select {
			case at := <-heard:
				all = append(all, at)
			default:
				return all
			}
		}
	}
}

// TestApplied: an answer says that a ban is applied only while a packet would be dropped: after each
// damage, with every other ban new, and with one that was in force before.
func TestApplied(t *testing.T) {
	for _, backend := range []string{"rules", "ipset"} {
		t.Run(backend, func(t *testing.T) {
			socket := adminSocket(t)
			d := prepare(t, `backend = "`+backend+`"`, fmt.Sprintf(onSocket, socket)).start()
			a := askingAt(t, socket)
			ban := func(ip string) (applied bool, why string) {
				t.Helper()
				_, answer, err := a.ask("POST", "/security/blacklist", `{"ip": "`+ip+`"}`)
				var done struct {
					Applied bool
					Why     string
				}
				if err == nil {
					err = json.Unmarshal([]byte(answer), &done)
				}
				if err != nil {
					t.Fatalf("%s: %v", answer, err)
				}
				return done.Applied, done.Why
			}
			ban("203.0.113.1")
			for i, damage := range []string{
				"iptables -D INPUT -j FREESWITCH", "iptables -F", "iptables -I INPUT 1 -j ACCEPT",
				`printf "*filter\n-F\n-X FREESWITCH\nCOMMIT\n" | iptables-restore --noflush`, "iptables -D INPUT -j FREESWITCH; iptables -A INPUT -j ACCEPT; iptables -A INPUT -j FREESWITCH",
			} {
				for _, ip := range []string{"203.0.113.1", fmt.Sprintf("203.0.113.%d", 10+i)} {
					if out, err := exec.Command("sh", "-c", damage).CombinedOutput(); err != nil {
						t.Fatalf("%s: %v: %s", damage, err, out)
					}
					applied, why := ban(ip)
					out, _ := exec.Command("iptables", "-S", "INPUT", "1").Output()
					if !applied || strings.TrimSpace(string(out)) != "-A INPUT -j FREESWITCH" {
						t.Errorf("after %s, ban %s: applied %v (%s), and first %s", damage, ip, applied, why, out)
					}
				}
			}
			if out, err := exec.Command("iptables", "-I", "FREESWITCH", "1", "-s", "203.0.113.1/32", "-j", "ACCEPT").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if applied, why := ban("203.0.113.1"); applied || !strings.Contains(why, "lets packets pass before the bans: -s 203.0.113.1/32 -j ACCEPT") {
				t.Errorf("below an ACCEPT of its network: applied %v (%s)", applied, why)
			}
			if applied, why := ban("203.0.113.99"); !applied {
				t.Errorf("beside it: %s", why)
			}
			conn := dial(t, "203.0.113.1")
			e := listen(t)
			eventually(t, 5*time.Second, "12 packets pass", func() bool {
				_, _ = conn.Write([]byte("x"))
				n, _ := e.heard("203.0.113.1")
				return n >= 12
			})
			if _, answer, err := a.ask("GET", "/security/iptables", ""); err != nil ||
				!strings.Contains(answer, "packets of banned addresses accepted by: -s 203.0.113.1/32 -j ACCEPT") || strings.Count(answer, `"bypassed":true`) != 1 {
				t.Errorf("%s, %v", answer, err)
			}
			if _, answer, err := a.ask("GET", "/security/blacklist/203.0.113.1", ""); err != nil || !strings.Contains(answer, `"applied":false`) {
				t.Errorf("%s, %v", answer, err)
			}
			d.stop(syscall.SIGTERM)
		})
	}
}

// TestDropByHand: an operator's drop in the chain becomes a permanent ban and is in force; one with
// further matches is kept; one of a ban that is over is removed, also if saved rules bring it back.
func TestDropByHand(t *testing.T) {
	for _, backend := range []string{"rules", "ipset"} {
		t.Run(backend, func(t *testing.T) {
			socket := adminSocket(t)
			d := prepare(t, `backend = "`+backend+`"`, strings.Replace(atOnce, `"1h"`, `"1s"`, 1)+fmt.Sprintf(onSocket, socket)).start()
			a := askingAt(t, socket)
			drop := func(spec string) bool {
				return exec.Command("sh", "-c", "iptables "+spec+" -j DROP").Run() == nil
			}
			d.write(failure("198.51.100.9"))
			eventually(t, 10*time.Second, "a ban is over", func() bool { return strings.Contains(d.said.String(), "msg=expire target=198.51.100.9") })
			for _, spec := range []string{"-s 198.51.100.7", "-s 198.51.100.8 -p udp", "-s 198.51.100.9"} {
				if !drop("-A FREESWITCH " + spec) {
					t.Fatal(spec)
				}
			}
			eventually(t, 5*time.Second, "it is a ban", func() bool {
				_, answer, err := a.ask("GET", "/security/blacklist/198.51.100.7", "")
				return err == nil && strings.Contains(answer, `"author":"operator"`) && strings.Contains(answer, `"permanent":true`) && strings.Contains(answer, `"applied":true`)
			})
			eventually(t, 5*time.Second, "what is over is removed", func() bool { return !drop("-C FREESWITCH -s 198.51.100.9") })
			if !drop("-C FREESWITCH -s 198.51.100.8 -p udp") {
				t.Error("the rule with a further match is gone")
			}
			if !strings.Contains(d.said.String(), "msg=ban target=198.51.100.7") || strings.Contains(d.said.String(), "msg=ban target=198.51.100.8") {
				t.Errorf("the log has\n%s", d.said)
			}
			broughtBack(t, d, a, "198.51.100.7")
			d.stop(syscall.SIGTERM)
		})
	}
}

// broughtBack unbans an address and restores rules that have its drop.
func broughtBack(t *testing.T, d *daemon, a *api, ip string) {
	t.Helper()
	repairs := func() int { return strings.Count(d.said.String(), "drift repaired") } // logged behind a taking over
	saved, err := exec.Command("iptables-save").Output()
	if err != nil {
		t.Fatal(err)
	}
	rule := "-A FREESWITCH -s " + ip + "/32 -j DROP\n"
	text := strings.Replace(strings.ReplaceAll(string(saved), rule, ""), "\nCOMMIT", "\n"+rule+"COMMIT", 1)
	if _, answer, err := a.ask("DELETE", "/security/blacklist/"+ip, ""); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	before := repairs()
	restore := exec.Command("iptables-restore")
	restore.Stdin = strings.NewReader(text)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, 5*time.Second, "what was brought back is removed", func() bool {
		return repairs() > before
	})
	if code, answer, err := a.ask("GET", "/security/blacklist/"+ip, ""); err != nil || code != 404 {
		t.Errorf("%d %s, %v", code, answer, err)
	}
}
