package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strings"

	"freeswitch-security/engine/event"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// An address is that of a mailbox.
type address = netmail.Address

var (
	// errRefused says that the server will never take a mail.
	errRefused = errors.New("the server refuses it")
	// errPartly says that the server took a mail, but not for all recipients.
	errPartly = errors.New("the other recipients have it")
)

// A failure is what the server said, and what it means: errRefused or errPartly.
type failure struct {
	text  string
	kind  error
	later []string // with errPartly: the recipients that a later attempt may reach
	final bool     // with errPartly: there are others, which none reaches
}

func (f *failure) Error() string { return f.text + ": " + f.kind.Error() }
func (f *failure) Unwrap() error { return f.kind }

// judge returns a failure if the answer of a server says that no later attempt would succeed.
func judge(err error) error {
	if answer, ok := errors.AsType[*textproto.Error](err); ok && answer.Code >= 500 {
		return &failure{text: answer.Error(), kind: errRefused}
	}
	return err
}

// send sends a mail to the recipients that the server accepts, within the time of an attempt: of those in to, or of the mail
// if that is empty. It fails with errPartly if there are others too, and with errRefused if no later attempt would succeed.
// Errors have no secrets.
func (c *config) send(ctx context.Context, m *mail.Msg, to []string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	client, err := mail.NewClient(c.host, c.options(ctx)...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err == nil {
		err = transact(session, m, to)
		_ = client.CloseWithSMTPClient(session) // the server has answered, or never will
	}
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return &failure{c.redact(f.text), f.kind, f.later, f.final}
	}
	return errors.New(c.redact(err.Error()))
}

// transact passes a mail to the server. The library would give it to all recipients or to none.
func transact(s *smtp.Client, m *mail.Msg, to []string) error {
	from, err := m.GetSender(false)
	if err == nil && len(to) == 0 {
		to, err = m.GetRecipients()
	}
	if err != nil {
		return err
	}
	if err := s.Mail(from); err != nil {
		return judge(err)
	}
	var left, later []string // recipients that are not accepted, and why; those that may be later
	for _, one := range to {
		if err := s.Rcpt(one); err != nil {
			left = append(left, one+": "+err.Error())
			if !errors.Is(judge(err), errRefused) {
				later = append(later, one)
			}
		}
	}
	why := strings.Join(left, "; ")
	switch {
	case len(left) < len(to):
	case len(later) > 0:
		return errors.New(why)
	default:
		return &failure{text: why, kind: errRefused}
	}
	w, err := s.Data()
	if err != nil {
		return judge(err)
	}
	if _, err := m.WriteTo(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return judge(err)
	}
	if len(left) > 0 {
		return &failure{why, errPartly, later, len(later) < len(left)}
	}
	return nil
}

// logins are the ways to log in, the best first. All need TLS, which a block with a password has.
var logins = []mail.SMTPAuthType{
	mail.SMTPAuthSCRAMSHA256PLUS, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1PLUS, mail.SMTPAuthSCRAMSHA1,
	mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
}

// options returns what the library needs for an attempt, which ends with the context.
func (c *config) options(attempt context.Context) []mail.Option {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.host}
	if c.ca != "" {
		secure.RootCAs = x509.NewCertPool()
		secure.RootCAs.AppendCertsFromPEM([]byte(c.ca))
	}
	options := []mail.Option{mail.WithPort(c.port), mail.WithTimeout(c.timeout), mail.WithTLSConfig(secure), mail.WithoutNoop()}
	dial := new(net.Dialer).DialContext
	switch c.tls {
	case tlsStart:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case tlsDirect:
		options = append(options, mail.WithSSL())
		dial = (&tls.Dialer{Config: secure}).DialContext
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if c.user != "" {
		options = append(options, mail.WithOpportunisticSMTPAuth(logins...), mail.WithUsername(c.user), mail.WithPassword(c.password))
	}
	// The library leaves connections open after a failed login or a wrong certificate, and gives each command of
	// a slow server the whole time of an attempt. So a connection is closed when its attempt ends.
	return append(options, mail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			context.AfterFunc(attempt, func() { _ = conn.Close() })
		}
		return conn, err
	}))
}

// redact removes the password from what a server or the library says, and bounds it.
func (c *config) redact(text string) string {
	if c.password != "" {
		encode := base64.StdEncoding.EncodeToString
		for _, secret := range []string{encode([]byte("\x00" + c.user + "\x00" + c.password)), encode([]byte(c.password)), c.password} {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return event.Printable(text)
}
