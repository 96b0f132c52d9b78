package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"freeswitch-security/engine/ban"
)

//go:embed 00-site.hcl
var site []byte

// settling is the time after the recording in which banned addresses fall silent.
const settling = 2 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	known, err := readTruth()
	switch {
	case err != nil:
		return err
	case len(args) == 2 && args[0] == "switch":
		return demonstrate(args[1], known, true)
	case len(args) != 1:
		return errors.New("usage: demo FREESWITCH-SECURITY")
	case args[0] == "internet":
		return internet(known)
	case os.Geteuid() == 0:
		return inNamespace("switch", args[0]).Run()
	}
	return demonstrate(args[0], known, false)
}

// demonstrate runs the daemon on the recording, and prints its changes and the verdict. Without a
// firewall it is a dry run.
func demonstrate(daemon string, known truth, firewall bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "freeswitch-security-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log, rules := filepath.Join(dir, "freeswitch.log"), filepath.Join(dir, "rules.d")
	err = errors.Join(
		os.WriteFile(log, nil, 0o600),
		os.CopyFS(rules, os.DirFS("rules.d")),
		os.WriteFile(filepath.Join(rules, "00-site.hcl"), site, 0o600),
	)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, daemon, "run", "--rules", rules, "--state", dir, "--log-format", "json")
	cmd.Env = append(os.Environ(), "DEMO_LOG="+log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var port *sipPort
	if !firewall {
		cmd.Args = append(cmd.Args, "--dry-run")
	} else if port, err = openSwitch(ctx, known); err != nil {
		return err
	}
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	failures, played := map[netip.Addr]int{}, errors.New("the daemon ended before it was ready")
	bans := show(said, func() {
		played = play(log, failures)
		time.Sleep(settling)
		cmd.Process.Signal(syscall.SIGTERM) // bans stay in force
	})
	if err := errors.Join(cmd.Wait(), played); err != nil {
		return err
	}
	banned := bans.cover
	if firewall {
		port.settle(ctx)
		banned = port.drops
		err = showFirewall(port, bans)
	} else {
		fmt.Printf("\nDRY RUN: only root can make network namespaces. As root, make run also sends\n  packets from all %d addresses through a real firewall, and counts what it drops.\n", len(known))
	}
	return errors.Join(err, known.judge(failures, banned))
}

// A banList has the time of the log line that each ban is for.
type banList map[netip.Prefix]time.Time

func (l banList) cover(ip netip.Addr) bool {
	for target := range l {
		if target.Contains(ip) {
			return true
		}
	}
	return false
}

// show prints the changes in a daemon's log until it ends, in 80 columns. ready is called, in a
// goroutine, once the daemon is ready. What check says of the rules, such as that those of an event socket
// are skipped, is printed only if it refuses them.
func show(log io.Reader, ready func()) banList {
	const row = "%7s  %-6s  %-24s  %-4s  %s\n"
	bans := banList{}
	var start time.Time
	var checked strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var r struct {
			Level, Msg, Rule, For string
			Target                ban.Target
			At                    time.Time // of the log line that the rule fired on
		}
		err := json.Unmarshal(lines.Bytes(), &r)
		target := r.Target.Prefix()
		switch _, known := bans[target]; {
		case err != nil && start.IsZero():
			fmt.Fprintln(&checked, lines.Text())
			continue
		case err != nil, r.Level == "ERROR":
			fmt.Println(lines.Text())
			continue
		case r.Msg == "ready":
			fmt.Printf(row, "TIME", "CHANGE", "TARGET", "FOR", "RULE")
			start = time.Now()
			go ready()
			continue
		case r.Msg == "alert" && target.Addr().Is6():
			target, _ = target.Addr().Prefix(64) // as a ban would cover it
		case r.Msg == "alert":
		case r.Msg != "ban" && r.Msg != "extend":
			continue
		case !known:
			bans[target] = r.At
		}
		fmt.Printf(row, fmt.Sprintf("%.2fs", r.At.Sub(start).Seconds()), r.Msg, strings.TrimSuffix(target.String(), "/32"), r.For, r.Rule)
	}
	if start.IsZero() {
		fmt.Print(checked.String())
	}
	return bans
}

// enough is the number of failed attempts from which on an address must be banned.
const enough = 5

// judge prints how many addresses of each kind are banned. It fails if an attacker is missed, or
// an innocent address is banned.
func (t truth) judge(failures map[netip.Addr]int, banned func(netip.Addr) bool) error {
	kinds := []string{"attackers, 5 or more failed attempts", "innocent addresses", "attackers, fewer failed attempts", "offices with a failing phone"}
	var total, hit [4]int
	for ip, source := range t {
		kind := 0
		switch {
		case source.Expect == "never_block":
			kind = 1
		case source.Expect == "undecided":
			kind = 3
		case failures[ip] < enough:
			kind = 2
		}
		total[kind]++
		if banned(ip) {
			hit[kind]++
		}
	}
	fmt.Printf("\nVERDICT, by %struth.json\n", recorded)
	for i, name := range kinds {
		fmt.Printf("  %-38s %3d of %3d banned\n", name, hit[i], total[i])
	}
	fmt.Printf("  Below %d failures it may be a typing error. Many such addresses cause an alert.\n", enough)
	fmt.Println("  With the event socket an office is spared: its other phones are registered.")
	if missed := total[0] - hit[0]; missed > 0 || hit[1] > 0 {
		return fmt.Errorf("%d attackers missed, %d innocent addresses banned", missed, hit[1])
	}
	return nil
}

// showFirewall prints what the kernel does to the watched attacker.
func showFirewall(port *sipPort, bans banList) error {
	chain, err := exec.Command("iptables", "-L", "FREESWITCH", "-v", "-n", "-x").Output()
	if err != nil {
		return err
	}
	s, ban := port.from(watched), bans[netip.PrefixFrom(watched, 32)]
	fmt.Printf("\nFIREWALL\n  %s sends a packet every %s: %d arrived, none in the last %.1f s.\n", watched, sendEvery, s.packets, time.Since(s.last).Seconds())
	fmt.Printf("  Its first packet was dropped %.0f ms after the log line that led to its ban.\n", s.last.Add(sendEvery).Sub(ban).Seconds()*1000)
	for line := range strings.Lines(string(chain)) {
		if strings.Contains(line, watched.String()) {
			fmt.Printf("  The kernel has dropped %s packets of it (iptables -L FREESWITCH -v -n).\n", strings.Fields(line)[0])
		}
	}
	return nil
}
