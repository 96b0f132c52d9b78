package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/html"

	"freeswitch-security/actions/email/emailtest"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/report"
)

// TestReplayReport: the page about the recorded attack has the numbers that --format json has.
func TestReplayReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "attack.html")
	began := time.Now()
	output := replayed(t, nil, append([]string{"--rules", shippedRules, "--source", "log.freeswitch", "--report", path}, recordedParts()...)...)
	t.Logf("took %s", time.Since(began))
	want := map[string]*report.Rule{}
	for _, c := range parsed(t, output) {
		r := want[c.Rule]
		if r == nil {
			r = &report.Rule{Name: c.Rule}
			want[c.Rule] = r
		}
		switch {
		case c.Kind == ban.KindBan:
			r.Bans++
		case c.Kind == ban.KindExtend:
			r.Extended++
		case c.Kind == ban.KindAlert:
			r.Alerts++
		case c.Kind == ban.KindSpare:
			r.Spared++
		case c.Kind == ban.KindRefuse && !c.Standing:
			r.Refused++
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := rulesOf(t, page)
	for name, r := range want {
		if *r != (report.Rule{Name: name}) && got[name] != *r {
			t.Errorf("rule %s: the page has %+v, the JSON %+v", name, got[name], *r)
		}
		delete(got, name)
	}
	if len(got) > 0 || len(want) < 5 {
		t.Errorf("only the page has %+v; the JSON has %d rules", got, len(want))
	}
	if len(page) > 1<<20 {
		t.Errorf("%d bytes", len(page))
	}
	if bars := bytes.Count(page, []byte(`<g class="bar">`)); bars < 30 {
		t.Errorf("%d bars: the attack has no shape", bars)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// rulesOf reads the table of rules in a page.
func rulesOf(t *testing.T, page []byte) map[string]report.Rule {
	t.Helper()
	tree, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]report.Rule{}
	for n := range tree.Descendants() {
		if n.Data != "tr" || n.Parent.Data != "tbody" || n.Parent.Parent.Parent.Attr[len(n.Parent.Parent.Parent.Attr)-1].Val != "Rules" {
			continue
		}
		var cells []string
		for cell := range n.ChildNodes() {
			var text strings.Builder
			for part := range cell.Descendants() {
				if part.Type == html.TextNode {
					text.WriteString(part.Data)
				}
			}
			cells = append(cells, text.String())
		}
		number := func(i int) uint64 {
			v, err := strconv.ParseUint(cells[i], 10, 64)
			if err != nil {
				t.Error(err)
			}
			return v
		}
		rules[cells[0]] = report.Rule{Name: cells[0], Bans: number(1), Extended: number(2), Alerts: number(3), Spared: number(4), Refused: number(5)}
	}
	return rules
}

// TestReport: the verb prints, and writes, what the guard has seen and decided.
func TestReport(t *testing.T) {
	t.Parallel()
	g := guard(t)
	now := time.Now()
	target, _ := ban.ParseTarget("203.0.113.7")
	g.history.Observe(&event.Event{Time: now, Name: event.AuthFailure, Source: "log.freeswitch", IP: target.Prefix().Addr(), User: "1007", UserAgent: "friendly-scanner"})
	g.history.Decide(&ban.Change{Kind: ban.KindBan, At: now, Ban: ban.Ban{Target: target, Rule: "password guessing", Reason: "3 in 10m", Until: now.Add(time.Hour)}})
	g.history.Decide(&ban.Change{Kind: ban.KindSpare, At: now, Why: "it has a registered phone", Ban: ban.Ban{Target: ban.Network(network("203.0.113.9")), Rule: "password guessing"}})
	printed := g.want(0, []string{
		"1 attacker was banned, 1 ban in all.", "1 ban was withheld because the target is protected.", "203.0.113.0/24", "friendly-scanner", "password guessing", "it has a registered phone", "█",
	}, "report", "--since", "1d")
	for line := range strings.Lines(printed) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	path := filepath.Join(t.TempDir(), "week.html")
	g.want(0, nil, "report", "--html", path)
	if page, err := os.ReadFile(path); err != nil || !bytes.Contains(page, []byte("friendly-scanner")) {
		t.Errorf("%v: %s", err, page)
	}
	g.want(2, nil, "report", "--html", filepath.Join(t.TempDir(), "missing", "week.html"))
}

// TestReportMail: the verb mails the report by an action "email" of the rule files.
func TestReportMail(t *testing.T) {
	t.Parallel()
	g := guard(t)
	now := time.Now()
	target, _ := ban.ParseTarget("203.0.113.7")
	g.history.Decide(&ban.Change{Kind: ban.KindBan, At: now, Ban: ban.Ban{Target: target, Rule: "password guessing", Reason: "3 in 10m", Until: now.Add(time.Hour)}})
	s := emailtest.Start(t, "127.0.0.1:0", true)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	action := func(name string) string {
		return fmt.Sprintf("action \"email\" %q {\n  server = %q\n  ca = file(\"ca.pem\")\n  user = %q\n  password = file(\"password\")\n  from = \"guard@example.org\"\n  to = [\"%s@example.org\"]\n}\n", name, s.Address, emailtest.User, name)
	}
	write("ca.pem", s.CA)
	write("a.hcl", "")
	mail := []string{"report", "--mail", "--rules", dir}
	g.want(2, []string{`have no action "email"`}, mail...)
	write("a.hcl", action("noc"))
	g.want(1, []string{"password"}, mail...)
	write("password", emailtest.Password)
	g.want(0, []string{"Mailed by action email.noc."}, mail...)
	m := s.Last(t)
	if !strings.Contains(m.Subject, "1 attacker was banned, 1 ban in all.") || !strings.Contains(m.Text, "203.0.113.7") || len(m.Files) != 1 {
		t.Errorf("%q\n%s\n%d files", m.Subject, m.Text, len(m.Files))
	}
	for name, page := range m.Files {
		if !strings.HasSuffix(name, ".html") || rulesOf(t, []byte(page))["password guessing"].Bans != 1 {
			t.Errorf("%s: %s", name, page)
		}
	}
	write("b.hcl", action("boss"))
	g.want(2, []string{"there are: noc, boss"}, mail...)
	g.want(2, []string{`"nok"; there are: noc, boss`}, append(mail, "--action", "nok")...)
	g.want(0, []string{"email.boss"}, append(mail, "--action", "boss")...)
	if m := s.Last(t); len(m.To) != 1 || m.To[0] != "boss@example.org" {
		t.Errorf("%q", m.To)
	}
	s.Reply(&smtp.SMTPError{Code: 552, Message: "too large"})
	g.want(2, []string{"email.boss: 552", "too large"}, append(mail, "--action", "email.boss")...)
	g.want(2, []string{"are for --mail"}, "report", "--action", "boss")
}

// TestReplace: a page that could not be written leaves the one of before, and only a file is replaced.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "week.html")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, _ = io.WriteString(w, text)
			return err
		}
	}
	if err := replace(path, write("whole", nil)); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	if err := replace(path, write("half", full)); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{link, dir, os.DevNull} {
		if err := replace(other, write("whole", nil)); err == nil {
			t.Errorf("%s is replaced", other)
		}
	}
	if text, err := os.ReadFile(path); string(text) != "whole" {
		t.Errorf("%q, %v", text, err)
	}
	if left, err := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSpark(t *testing.T) {
	t.Parallel()
	long := make([]uint64, 120)
	long[0], long[119] = 8, 4
	for _, test := range []struct {
		counts []uint64
		want   string
	}{{nil, "none"}, {[]uint64{0, 1, 8}, "·▁█"}, {long, "█" + strings.Repeat("·", 38) + "▄"}} {
		if got := spark(test.counts); got != test.want {
			t.Errorf("%v: %s, not %s", test.counts, got, test.want)
		}
	}
	if n := bansOver(&history.Span{}); n != nil {
		t.Errorf("%v", n)
	}
}
