package email

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

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
	a.settle(m, a.config.send(t.Context(), m.msg), now)
	return true
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
	s := startServer(t, "127.0.0.1:0", true)
	a := s.action(t)
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
	subject, body := s.last(t)
	h := s.header(0)
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
	s := startServer(t, "127.0.0.1:0", true)
	a := s.action(t)
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
	subject, body := s.last(t)
	if !strings.Contains(subject, "10000 notifications: rule 0 and 2 other rules") {
		t.Errorf("subject %q", subject)
	}
	for _, want := range []string{"And 9950 more:", "  3316  alert  rule 0", "203.0.0.2"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in %s", want, body[max(0, len(body)-500):])
		}
	}
	if s.count() != 2 || len(body) > 40<<10 {
		t.Errorf("%d mails, the last of %d bytes", s.count(), len(body))
	}
	if d := a.Report(t.Context()).Delivery; d.Delivered != 10_001 || d.Dropped != 0 {
		t.Errorf("%+v", d)
	}
}

// TestNoTLS gives a server without STARTTLS neither a mail nor a password.
func TestNoTLS(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1:0", false)
	s.AllowInsecureAuth = true
	a := s.action(t)
	apply(t, a, alert(1, "r"))
	attempt(t, a, time.Now().Add(gather))
	if !strings.Contains(problem(a), "STARTTLS") || s.tried() != 0 || s.count() != 0 {
		t.Errorf("%q, %d logins, %d mails", problem(a), s.tried(), s.count())
	}
}

// TestUnknownAuthority trusts no certificate but those of its authority.
func TestUnknownAuthority(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1:0", true)
	_, s.ca = certificate(t)
	a := s.action(t)
	apply(t, a, alert(1, "r"))
	attempt(t, a, time.Now().Add(gather))
	if !strings.Contains(problem(a), "certificate") || s.tried() != 0 {
		t.Errorf("%q, %d logins", problem(a), s.tried())
	}
}

// TestWrongPassword retries, and shows the password nowhere: the server says it again.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1:0", true)
	a := s.action(t)
	a.config.password = "wrong-wrong"
	apply(t, a, alert(1, "r"))
	attempt(t, a, time.Now().Add(gather))
	if text := problem(a); !strings.Contains(text, "535") || strings.Contains(text, "wrong-wrong") {
		t.Errorf("the problem is %q", text)
	}
	a.config.password = password
	if !attempt(t, a, time.Now().Add(gather+firstRetry)) || s.count() != 1 {
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
	s := &server{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.action(t)
	apply(t, a, alert(1, "r"))
	now := time.Now().Add(gather)
	for i := range 5 {
		if !attempt(t, a, now) || attempt(t, a, now) {
			t.Fatalf("attempt %d: no pause, or no attempt", i)
		}
		now = now.Add(longestRetry)
	}
	id := a.sending.msg.GetMessageID()
	back := startServer(t, s.addr, true)
	a.config.ca = back.ca
	apply(t, a, alert(2, "meanwhile"))
	attempt(t, a, now)
	if back.count() != 1 || back.header(0).Get("Message-ID") != id || problem(a) != "" {
		t.Errorf("%d mails, %q", back.count(), problem(a))
	}
	attempt(t, a, now.Add(a.config.digest))
	if _, body := back.last(t); back.count() != 2 || !strings.Contains(body, "meanwhile") {
		t.Errorf("%d mails: %s", back.count(), body)
	}
}

// TestGiveUp drops a mail that is too old, and tells it.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1:0", true)
	s.reply(&smtp.SMTPError{Code: 451, Message: "try later"})
	a := s.action(t)
	apply(t, a, alert(1, "r"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	if !strings.Contains(problem(a), "451") {
		t.Errorf("the problem is %q", problem(a))
	}
	s.reply(nil)
	apply(t, a, alert(2, "second"))
	attempt(t, a, now.Add(a.config.giveUp))
	if _, body := s.last(t); !strings.Contains(body, "second") || !strings.Contains(body, "1 notifications before these were not delivered") {
		t.Errorf("the body is %s", body)
	}
	if d := a.Report(t.Context()).Delivery; d.Dropped != 1 || d.Delivered != 1 || d.Failed != 1 {
		t.Errorf("%+v", d)
	}
}

// TestRefused drops a mail that the server never takes, and goes on with the next.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1:0", true)
	s.reply(&smtp.SMTPError{Code: 554, Message: "looks like spam"})
	a := s.action(t)
	apply(t, a, alert(1, "r"), alert(2, "r"))
	now := time.Now().Add(gather)
	attempt(t, a, now)
	if d := a.Report(t.Context()).Delivery; d.Dropped != 2 || d.Waiting != 0 || !strings.Contains(d.Error, "spam") {
		t.Errorf("%+v", d)
	}
	s.reply(nil)
	apply(t, a, alert(3, "third"))
	attempt(t, a, now.Add(a.config.digest+gather))
	if _, body := s.last(t); !strings.Contains(body, "third") || !strings.Contains(body, "2 notifications before these") {
		t.Errorf("the body is %s", body)
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
	a := (&server{addr: l.Addr().String()}).action(t)
	a.config.timeout = 200 * time.Millisecond
	apply(t, a, alert(1, "r"))
	m, _ := a.next(time.Now().Add(gather))
	failed := make(chan error)
	go func() { failed <- a.config.send(t.Context(), m.msg) }()
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
	s := startServer(t, "127.0.0.1:0", true)
	a := s.action(t)
	apply(t, a, alert(1, "the last"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Serve(ctx)
	if _, body := s.last(t); !strings.Contains(body, "the last") {
		t.Errorf("the body is %s", body)
	}
}

// TestEndWithSeveral delivers or counts each change that waits at the end: those of a mail that was being
// retried, and those behind it.
func TestEndWithSeveral(t *testing.T) {
	t.Parallel()
	s := startServer(t, "127.0.0.1:0", true)
	for _, failing := range []bool{false, true} {
		a := s.action(t)
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
	a := (&server{addr: l.Addr().String()}).action(t)
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
