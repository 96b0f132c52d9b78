package email

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/actions/email/emailtest"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/history"

	"github.com/emersion/go-smtp"
)

var at = time.Date(2026, 11, 29, 3, 4, 5, 0, time.UTC)

const hostile = "\r\nBcc: victim@example.org\r\n\r\n\x1b[31m\u202egnp.exe<script> friendly-scanner"

func alert(n int, reason string) ban.Change {
	return ban.Change{Seq: uint64(n), Kind: ban.KindAlert, At: at, Ban: ban.Ban{
		Target: ban.Address(netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)})), Rule: fmt.Sprintf("rule %d", n%3), Author: ban.ByRule, Reason: reason,
		Place: event.Place{Country: "RU", ASN: "AS64500", ASName: "Example"},
	}}
}

func apply(t *testing.T, a *Action, changes ...ban.Change) {
	t.Helper()
	if err := a.Apply(t.Context(), ban.BatchOf(at, changes...)); err != nil {
		t.Fatal(err)
	}
}

// attempt sends what is due at a time. It reports whether something was.
func attempt(t *testing.T, a *Action, now time.Time) bool {
	t.Helper()
	m, _ := a.next(now)
	if m == nil {
		return false
	}
	a.settle(m, a.config.send(t.Context(), m.msg, m.to), now)
	return true
}

// actionAt returns an action that sends to the server.
func actionAt(t *testing.T, s *emailtest.Server) *Action {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	return newAction(config{
		name: "email.noc", host: host, port: n, tls: tlsStart, user: emailtest.User, password: emailtest.Password, ca: s.CA,
		from: &address{Address: "guard@example.org"}, to: []*address{{Address: "noc@example.org"}, {Name: "Night Shift", Address: "night@example.org"}},
		on: []string{"alert"}, digest: 5 * time.Minute, timeout: 5 * time.Second, giveUp: 24 * time.Hour,
	})
}

func problem(a *Action) string {
	if p := a.Report(context.Background()).Problems; len(p) > 0 {
		return p[0].Text
	}
	return ""
}

// TestMail sends over STARTTLS with a login, and has the headers of an automatic mail and no others.
func TestMail(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	c := alert(1, hostile)
	c.Rule, c.Key = "scanner"+hostile, strings.Repeat("ü\u202e", 4096)
	c.Evidence = []ban.Evidence{{Time: at, Event: "auth_failure", Source: "esl.pbx", User: "1000" + hostile, Domain: "pbx", Text: strings.Repeat(hostile, 100)}}
	refused := alert(2, "not asked for")
	refused.Kind = ban.KindBan
	apply(t, a, c, refused)
	if attempt(t, a, time.Now()) {
		t.Error("a first change does not wait for others")
	}
	now := time.Now().Add(gather)
	if !attempt(t, a, now) || problem(a) != "" {
		t.Fatalf("not delivered: %q", problem(a))
	}
	m := s.Last(t)
	subject, body, h := m.Subject, m.Text, m.Header
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-generated", "From": "<guard@example.org>", "To": `<noc@example.org>, "Night Shift" <night@example.org>`,
		"Bcc": "", "Content-Type": "text/plain; charset=UTF-8",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if date, err := h.Date(); err != nil || date.Unix() != now.Unix() || !strings.HasSuffix(h.Get("Message-ID"), ">") {
		t.Errorf("Date %q, Message-ID %q", h.Get("Date"), h.Get("Message-ID"))
	}
	if !strings.Contains(subject, "alert: scanner") || len(subject) > maxSubject {
		t.Errorf("subject %q", subject)
	}
	for _, want := range []string{"203.0.0.1", "RU AS64500 Example", "1000", "friendly-scanner", `\u202e`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in:\n%s", want, body)
		}
	}
	checkTexts(t, subject, body)
	if d := a.Report(t.Context()).Delivery; d.Delivered != 1 || d.Waiting != 0 {
		t.Errorf("%+v", d)
	}
}

// checkTexts fails on what a reader could be deceived by.
func checkTexts(t *testing.T, subject, body string) {
	t.Helper()
	if strings.ContainsAny(subject, "\r\n\x1b\u202e") || strings.ContainsAny(body, "\r\x1b\u202e") || strings.Contains(body, "\nBcc:") {
		t.Errorf("subject %q, body %q", subject, body)
	}
}

// TestDigest collects 10,000 alerts after a first one. All are counted, some are shown, and Apply does not wait.
func TestDigest(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	apply(t, a, alert(1, "the first"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	var all []ban.Change
	for n := range 10_000 {
		all = append(all, alert(n+2, strings.Repeat("x", 8192)))
	}
	apply(t, a, all...)
	apply(t, a, all...) // a batch that comes again
	if attempt(t, a, now.Add(a.config.digest-time.Second)) {
		t.Error("a mail before the digest is due")
	}
	if len(a.waiting.shown) != maxShown || len(a.waiting.more) != 3 {
		t.Errorf("%d shown, %d groups", len(a.waiting.shown), len(a.waiting.more))
	}
	attempt(t, a, now.Add(a.config.digest+gather))
	m := s.Last(t)
	subject, body := m.Subject, m.Text
	if !strings.Contains(subject, "10000 notifications: rule 0 and 2 other rules") {
		t.Errorf("subject %q", subject)
	}
	for _, want := range []string{"And 9950 more:", "  3316  alert  rule 0", "203.0.0.2"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in %s", want, body[max(0, len(body)-500):])
		}
	}
	if len(s.Taken()) != 2 || len(body) > 40<<10 {
		t.Errorf("%d mails, the last of %d bytes", len(s.Taken()), len(body))
	}
	if d := a.Report(t.Context()).Delivery; d.Delivered != 10_001 || d.Dropped != 0 {
		t.Errorf("%+v", d)
	}
}

// TestNoTLS gives a server without STARTTLS neither a mail nor a password.
func TestNoTLS(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", false)
	s.AllowInsecureAuth = true
	a := actionAt(t, s)
	apply(t, a, alert(1, "r"))
	attempt(t, a, time.Now().Add(gather))
	if !strings.Contains(problem(a), "STARTTLS") || s.Logins() != 0 || len(s.Taken()) != 0 {
		t.Errorf("%q, %d logins, %d mails", problem(a), s.Logins(), len(s.Taken()))
	}
}

// TestUnknownAuthority trusts no certificate but those of its authority.
func TestUnknownAuthority(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	_, s.CA = emailtest.Certificate(t)
	a := actionAt(t, s)
	apply(t, a, alert(1, "r"))
	attempt(t, a, time.Now().Add(gather))
	if !strings.Contains(problem(a), "certificate") || s.Logins() != 0 {
		t.Errorf("%q, %d logins", problem(a), s.Logins())
	}
}

// TestWrongPassword retries, and shows the password nowhere: the server says it again.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	a.config.password = "wrong-wrong"
	apply(t, a, alert(1, "r"))
	attempt(t, a, time.Now().Add(gather))
	if text := problem(a); !strings.Contains(text, "535") || strings.Contains(text, "wrong-wrong") {
		t.Errorf("the problem is %q", text)
	}
	a.config.password = emailtest.Password
	if !attempt(t, a, time.Now().Add(gather+firstRetry)) || len(s.Taken()) != 1 {
		t.Error("not retried")
	}
}

// TestDownAndBack retries one mail, with one Message-ID, until the server is there; what comes meanwhile is in the next.
func TestDownAndBack(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &emailtest.Server{Address: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := actionAt(t, s)
	apply(t, a, alert(1, "r"))
	now := time.Now().Add(gather)
	for i := range 5 {
		if !attempt(t, a, now) || attempt(t, a, now) {
			t.Fatalf("attempt %d: no pause, or no attempt", i)
		}
		now = now.Add(longestRetry)
	}
	id := a.sending.msg.GetMessageID()
	back := emailtest.Start(t, s.Address, true)
	a.config.ca = back.CA
	apply(t, a, alert(2, "meanwhile"))
	attempt(t, a, now)
	if len(back.Taken()) != 1 || back.Last(t).Header.Get("Message-ID") != id || problem(a) != "" {
		t.Errorf("%d mails, %q", len(back.Taken()), problem(a))
	}
	attempt(t, a, now.Add(a.config.digest))
	if body := back.Last(t).Text; len(back.Taken()) != 2 || !strings.Contains(body, "meanwhile") {
		t.Errorf("%d mails: %s", len(back.Taken()), body)
	}
}

// TestGiveUp drops a mail that is too old, and tells it.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	s.Reply(&smtp.SMTPError{Code: 451, Message: "try later"})
	a := actionAt(t, s)
	apply(t, a, alert(1, "r"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	if !strings.Contains(problem(a), "451") {
		t.Errorf("the problem is %q", problem(a))
	}
	s.Reply(nil)
	apply(t, a, alert(2, "second"))
	attempt(t, a, now.Add(a.config.giveUp))
	if body := s.Last(t).Text; !strings.Contains(body, "second") || !strings.Contains(body, "1 notifications before these were not delivered") {
		t.Errorf("the body is %s", body)
	}
	if d := a.Report(t.Context()).Delivery; d.Dropped != 1 || d.Delivered != 1 || d.Failed != 1 {
		t.Errorf("%+v", d)
	}
}

// TestRefused drops a mail that the server never takes, and goes on with the next.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	s.Reply(&smtp.SMTPError{Code: 554, Message: "looks like spam"})
	a := actionAt(t, s)
	apply(t, a, alert(1, "r"), alert(2, "r"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	if d := a.Report(t.Context()).Delivery; d.Dropped != 2 || d.Waiting != 0 || !strings.Contains(d.Error, "spam") {
		t.Errorf("%+v", d)
	}
	s.Reply(nil)
	apply(t, a, alert(3, "third"))
	attempt(t, a, now.Add(a.config.digest+gather))
	if body := s.Last(t).Text; !strings.Contains(body, "third") || !strings.Contains(body, "2 notifications before these") {
		t.Errorf("the body is %s", body)
	}
}

// TestRefusedRecipient: the other recipients get the mail, and status names the one that the server refuses.
func TestRefusedRecipient(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	s.Refuse("noc@example.org", &smtp.SMTPError{Code: 550, Message: "no such user"})
	a := actionAt(t, s)
	apply(t, a, alert(1, "r"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	if m := s.Last(t); !slices.Equal(m.To, []string{"night@example.org"}) || !strings.Contains(m.Header.Get("To"), "noc@example.org") {
		t.Errorf("%q, %q", m.To, m.Header.Get("To"))
	}
	if d := a.Report(t.Context()).Delivery; d.Delivered != 1 || d.Dropped != 0 || d.Failures != 0 || !strings.Contains(problem(a), "<noc@example.org>: 550") {
		t.Errorf("%+v", d)
	}
	s.Refuse("noc@example.org", nil)
	apply(t, a, alert(2, "r"))
	now = now.Add(a.config.digest + gather)
	if attempt(t, a, now); len(s.Last(t).To) != 2 || problem(a) != "" {
		t.Errorf("%q, %q", s.Last(t).To, problem(a))
	}
	for _, one := range []string{"noc@example.org", "night@example.org"} {
		s.Refuse(one, &smtp.SMTPError{Code: 450, Message: "come back in a minute"})
	}
	apply(t, a, alert(3, "r"))
	now = now.Add(a.config.digest + gather)
	attempt(t, a, now)
	s.Refuse("night@example.org", nil)
	if d := a.Report(t.Context()).Delivery; d.Waiting != 1 || d.Failed != 1 {
		t.Errorf("none takes it now: %+v", d)
	}
	if attempt(t, a, now.Add(longestRetry)); len(s.Taken()) != 3 {
		t.Error("not retried")
	}
	s.Refuse("noc@example.org", &smtp.SMTPError{Code: 550, Message: "no such user"})
	s.Refuse("night@example.org", &smtp.SMTPError{Code: 553, Message: "no such user"})
	apply(t, a, alert(4, "r"))
	attempt(t, a, now.Add(2*longestRetry+gather))
	if d := a.Report(t.Context()).Delivery; d.Dropped != 1 || len(s.Taken()) != 3 {
		t.Errorf("all are refused: %+v", d)
	}
}

// TestLateRecipient: a recipient that the server does not take now gets the mail later, alone, and delays no other mail.
func TestLateRecipient(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	greylist := &smtp.SMTPError{Code: 450, Message: "greylisted"}
	s.Refuse("noc@example.org", greylist)
	apply(t, a, alert(1, "first"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	if m, wait := a.next(now); m != nil || wait <= 0 || wait > firstRetry || !strings.Contains(problem(a), "450") {
		t.Errorf("%+v in %s: %s", m, wait, problem(a))
	}
	apply(t, a, alert(2, "second"))
	now = now.Add(a.config.digest + gather)
	attempt(t, a, now) // the second mail to one
	attempt(t, a, now) // the first to the other one: not yet
	if len(s.Taken()) != 2 || !strings.Contains(s.Last(t).Text, "second") {
		t.Errorf("%+v", s.Taken())
	}
	s.Refuse("noc@example.org", nil)
	now = now.Add(longestRetry)
	for attempt(t, a, now) {
	}
	all := s.Taken()
	if len(all) != 4 || problem(a) != "" {
		t.Fatalf("%d mails, %s", len(all), problem(a))
	}
	for i, m := range all[2:] {
		if !slices.Equal(m.To, []string{"noc@example.org"}) || m.Text != all[i].Text || m.Header.Get("Message-Id") != all[i].Header.Get("Message-Id") {
			t.Errorf("%q %q", m.To, m.Text)
		}
	}
	s.Refuse("noc@example.org", greylist)
	apply(t, a, alert(3, "third"))
	now = now.Add(a.config.digest + gather)
	attempt(t, a, now)
	if attempt(t, a, now.Add(a.config.giveUp)); len(a.late) != 0 || a.Report(t.Context()).Delivery.Dropped != 0 {
		t.Errorf("%d mails are late", len(a.late))
	}
}

// TestLateAndRefused: the problem of a recipient that is refused outlives the delivery to one that was late.
func TestLateAndRefused(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	a.config.to = append(a.config.to, &address{Address: "gone@example.org"})
	s.Refuse("noc@example.org", &smtp.SMTPError{Code: 450, Message: "greylisted"})
	s.Refuse("gone@example.org", &smtp.SMTPError{Code: 550, Message: "no such user"})
	apply(t, a, alert(1, "first"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	s.Refuse("noc@example.org", nil)
	if attempt(t, a, now.Add(longestRetry)); !slices.Equal(s.Last(t).To, []string{"noc@example.org"}) || !strings.Contains(problem(a), "<gone@example.org>: 550") {
		t.Errorf("%q, %q", s.Last(t).To, problem(a))
	}
}

// TestLetter sends a text with a file, and says which recipients do not get it.
func TestLetter(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	page := "<!doctype html>" + strings.Repeat("<p>ü</p>", 10_000)
	l := Letter{Subject: "week" + hostile, Text: "▁▂█\nall is well\n", Name: "week.html", File: []byte(page)}
	if err := a.Send(t.Context(), l, "pbx1", at); err != nil {
		t.Fatal(err)
	}
	m := s.Last(t)
	if m.Text != l.Text || m.Files["week.html"] != page || len(m.To) != 2 || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%v, %q, %d bytes", m.Header, m.Text, len(m.Files["week.html"]))
	}
	checkTexts(t, m.Subject, m.Text)
	s.Refuse("noc@example.org", &smtp.SMTPError{Code: 550, Message: "no such user"})
	if err := a.Send(t.Context(), l, "pbx1", at); err == nil || !strings.Contains(err.Error(), "<noc@example.org>: 550") || len(s.Taken()) != 2 {
		t.Errorf("%v, %d mails", err, len(s.Taken()))
	}
}

// TestSlowServer is left after the timeout, and Apply does not wait for it.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // which is never accepted from
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := actionAt(t, &emailtest.Server{Address: l.Addr().String()})
	a.config.timeout = 200 * time.Millisecond
	apply(t, a, alert(1, "r"))
	m, _ := a.next(time.Now().Add(gather))
	failed := make(chan error)
	go func() { failed <- a.config.send(t.Context(), m.msg, m.to) }()
	for n := range 1000 {
		apply(t, a, alert(n+2, "r"))
	}
	if err := <-failed; err == nil {
		t.Error("a server that says nothing has taken a mail")
	}
}

// TestEnd sends what waits when the guard ends.
func TestEnd(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	a := actionAt(t, s)
	apply(t, a, alert(1, "the last"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Serve(ctx)
	if body := s.Last(t).Text; !strings.Contains(body, "the last") {
		t.Errorf("the body is %s", body)
	}
}

// TestEndWithSeveral delivers or counts each change that waits at the end: those of a mail that was being
// retried, and those behind it.
func TestEndWithSeveral(t *testing.T) {
	t.Parallel()
	s := emailtest.Start(t, "127.0.0.1:0", true)
	for _, failing := range []bool{false, true} {
		a := actionAt(t, s)
		apply(t, a, alert(1, "first"))
		a.next(time.Now().Add(gather)) // composes
		apply(t, a, alert(2, "second"))
		if failing {
			a.delivery.Failures = 1
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.Serve(ctx)
		d := a.Report(t.Context()).Delivery
		if failing && d.Dropped != 2 || !failing && d.Delivered != 2 || d.Waiting != 0 {
			t.Errorf("failing %v: delivered %d, dropped %d, waiting %d", failing, d.Delivered, d.Dropped, d.Waiting)
		}
	}
}

// TestEndOfSlowServer ends in the time of the last attempt, whatever the timeout, and closes the connection.
func TestEndOfSlowServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := actionAt(t, &emailtest.Server{Address: l.Addr().String()})
	a.config.timeout = 5 * time.Minute
	apply(t, a, alert(1, "r"))
	a.compose(time.Now()) // is sent at once
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { a.Serve(ctx); close(ended) }()
	conn, err := l.Accept() // which is never written to
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the guard has written to a server that says nothing")
	}
	<-ended
	if d := a.Report(t.Context()).Delivery; d.Dropped != 1 || d.Waiting != 0 {
		t.Errorf("dropped %d, waiting %d", d.Dropped, d.Waiting)
	}
}

// TestMasked shows no number, no account and no text of evidence in full.
func TestMasked(t *testing.T) {
	c := config{name: "email.noc", from: &address{Address: "a@example.org"}, mask: history.Mask, maskReason: history.MaskReason}
	one := alert(1, "40 calls at once, per to_user +4930123456789")
	spared := alert(2, "5 in 10m, per ip 203.0.113.7")
	spared.Kind, spared.Why = ban.KindSpare, "protected: registered (1007@pbx.example, 1008@pbx.example); failed: 1007; 5 in 10m, per ip 203.0.113.7"
	one.Target, one.Key = ban.Account("1007", "pbx.example"), "+4930123456789"
	one.Evidence = []ban.Evidence{{Time: at, Event: "call", Source: "esl.pbx", User: "1007", Domain: "pbx.example", Text: "INVITE +4930123456789"}}
	d := digest{}
	d.add(&one, at)
	d.add(&spared, at)
	all := c.subject(&d, "pbx1") + c.body(&d, "pbx1")
	if strings.Contains(all, "1007") || strings.Contains(all, "123456") || !strings.Contains(all, "1**7@pbx.example") {
		t.Errorf("not masked:\n%s", all)
	}
}

// FuzzTexts composes mails of foreign texts.
func FuzzTexts(f *testing.F) {
	f.Add(hostile, "203.0.113.7", "rule", "pbx1")
	f.Add(strings.Repeat("\xff\u202e", 5000), "", strings.Repeat("ü", 200), "\r\nx: y")
	c := config{name: "email.noc", from: &address{Address: "a@example.org"}, to: []*address{{Address: "b@example.org"}}}
	f.Fuzz(func(t *testing.T, text, key, rule, host string) {
		d := digest{}
		for i := range 60 {
			one := alert(i, text)
			one.Rule, one.Key, one.ASName = rule, key, text
			one.Evidence = []ban.Evidence{{Event: text, Source: key, User: text, Domain: key, Text: text}}
			d.add(&one, at)
		}
		single := digest{total: 1, shown: d.shown[:1]}
		for _, d := range []*digest{&d, &single} {
			subject, body := c.subject(d, line(host)), c.body(d, line(host))
			checkTexts(t, subject, body)
			if len(subject) > maxSubject {
				t.Errorf("a subject of %d bytes", len(subject))
			}
			var out strings.Builder
			if _, err := c.compose(*d, host, at).msg.WriteTo(&out); err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(out.String(), "\r\n\r\n")
			for header := range strings.SplitSeq(head, "\r\n") {
				name, _, _ := strings.Cut(header, ":")
				if !strings.HasPrefix(header, " ") && !strings.Contains("Date Message-ID Auto-Submitted X-Auto-Response-Suppress MIME-Version Subject From To Content-Type Content-Transfer-Encoding", name) {
					t.Errorf("the header %q", header)
				}
			}
		}
	})
}
