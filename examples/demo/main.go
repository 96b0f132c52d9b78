package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// recordings is the log that is played, the oldest file first.
var recordings = []string{
	"examples/recorded-attack/security.log.2.gz",
	"examples/recorded-attack/security.log.1.gz",
	"examples/recorded-attack/security.log.gz",
}

const (
	shipped = "rules.d"
	// watched is an attacker of the recording whose packets are counted: he
	// guesses a password by REGISTER.
	watched = "203.0.113.45"
	// unanswered is the event socket that the shipped rules listen to as well: nobody
	// answers there.
	unanswered = "esl.pbx"
	// row is a verdict as it is shown.
	row = "%-12s  %-7s  %-24s  %-5s  %-30s  %s\n"
	// after is how long packets are counted on when the recording is over.
	after = 2 * time.Second
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "internet":
		err = internet(ctx)
	case len(os.Args) == 3 && os.Args[1] == "switch":
		err = guard(ctx, os.Args[2], true)
	case len(os.Args) == 2 && canBlock() == nil:
		err = inNamespace("switch", os.Args[1]).Run()
	case len(os.Args) == 2:
		fmt.Println("Dry, without a firewall:", canBlock())
		err = guard(ctx, os.Args[1], false)
	default:
		err = errors.New("usage: demo FREESWITCH-SECURITY")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// canBlock tells why there can be no real firewall, if so.
func canBlock() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can make a network namespace")
	}
	for _, program := range []string{"iptables", "ip6tables", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w (apt-get install iptables iproute2)", err)
		}
	}
	return nil
}

// guard runs the daemon on the recording and shows what it does.
func guard(ctx context.Context, daemon string, firewall bool) error {
	dir, err := os.MkdirTemp("", "freeswitch-security-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "freeswitch.log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		return err
	}
	if err := writeRules(filepath.Join(dir, "rules.d"), log, firewall); err != nil {
		return err
	}

	var heard *ear
	if firewall {
		if heard, err = openSwitch(ctx); err != nil {
			return err
		}
	}
	args := []string{"run", "--rules", filepath.Join(dir, "rules.d"), "--state", dir, "--log-format", "json"}
	if !firewall {
		args = append(args, "--dry-run")
	}
	cmd := exec.CommandContext(ctx, daemon, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	if err := waitReady(lines); err != nil {
		return errors.Join(err, cmd.Wait())
	}
	played := make(chan error, 1)
	go func() { played <- play(log) }()
	if err := watch(lines, played, heard, firewall); err != nil {
		return err
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// writeRules copies the shipped rules, for the log of the demo.
func writeRules(dir, log string, firewall bool) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(shipped, "*.hcl"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if filepath.Base(file) == "00-site.hcl" {
			text = []byte(fmt.Sprintf("source \"log\" \"freeswitch\" {\n  path     = %q\n  timezone = \"UTC\"\n}\n", log))
			text = append(text, "\nsource \"esl\" \"pbx\" {\n  address = \"127.0.0.1:1\"\n}\n"...)
			if firewall {
				text = append(text, "\naction \"iptables\" \"drop\" {}\n"...)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// A record is one line of the daemon's log.
type record struct {
	Time   time.Time `json:"time"`
	Level  string    `json:"level"`
	Msg    string    `json:"msg"`
	IP     string    `json:"ip"`
	Rule   string    `json:"rule"`
	For    string    `json:"for"`
	Reason string    `json:"reason"`
	Source string    `json:"source"`
	Err    string    `json:"err"`
}

func waitReady(lines *bufio.Scanner) error {
	for lines.Scan() {
		var r record
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			fmt.Fprintln(os.Stderr, lines.Text())
			continue
		}
		if r.Level == "ERROR" {
			fmt.Fprintln(os.Stderr, r.Msg, r.Err)
		}
		if r.Msg == "ready" {
			return nil
		}
	}
	return errors.New("the daemon ended before it was ready")
}

// watch shows the verdicts until the recording has been played and the watched
// attacker has been silent for a while.
func watch(lines *bufio.Scanner, played <-chan error, heard *ear, firewall bool) error {
	records := make(chan record)
	go func() {
		defer close(records)
		for lines.Scan() {
			var r record
			if json.Unmarshal(lines.Bytes(), &r) == nil {
				records <- r
			}
		}
	}()
	fmt.Printf(row, "TIME", "VERDICT", "TARGET", "FOR", "RULE", "WHY")
	var passed int
	var done <-chan time.Time
	for {
		select {
		case r, more := <-records:
			switch {
			case !more:
				return errors.New("the daemon ended")
			case r.Level == "ERROR" && r.Source != unanswered:
				fmt.Println("error:", r.Msg, r.Err)
			case slices.Contains([]string{"ban", "alert", "unban"}, r.Msg):
				fmt.Printf(row, r.Time.UTC().Format("15:04:05.000"), r.Msg, r.IP, r.For, r.Rule, r.Reason)
			}
			if r.Msg == "ban" && r.IP == watched && heard != nil && passed == 0 {
				passed = heard.count(watched)
			}
		case err := <-played:
			if err != nil {
				return err
			}
			done = time.After(after)
		case <-done:
			if firewall {
				return showFirewall(heard, passed)
			}
			return nil
		}
	}
}

// showFirewall shows what became of it in the kernel.
func showFirewall(heard *ear, passed int) error {
	chain, err := exec.Command("iptables", "-L", "FREESWITCH", "-v", "-n").Output()
	if err != nil {
		return err
	}
	rows := strings.SplitAfter(string(chain), "\n")
	fmt.Printf("\niptables -L FREESWITCH -v -n, the first of %d rules:\n%s", len(rows)-3, strings.Join(rows[:min(8, len(rows))], ""))
	late := heard.count(watched) - passed
	fmt.Printf("\n%s sends %d packets a second: %d arrived before its ban, %d since\n", watched, time.Second/sendEvery, passed, late)
	if passed == 0 {
		return fmt.Errorf("no packet of %s arrived before its ban: nothing was shown", watched)
	}
	if late > passed/2 {
		return fmt.Errorf("%d packets of %s arrived after its ban", late, watched)
	}
	return nil
}
