package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"

	"freeswitch-security/engine/event"

	"github.com/wneessen/go-mail"
)

// An address is that of a mailbox.
type address = netmail.Address

// errRefused says that the server will never take a mail.
var errRefused = errors.New("the server refuses it")

// send sends a mail, within the time of an attempt. Errors have no secrets.
func (c *config) send(ctx context.Context, m *mail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	client, err := mail.NewClient(c.host, c.options(ctx)...)
	if err == nil {
		err = client.DialAndSendWithContext(ctx, m)
	}
	if err == nil || m.IsDelivered() { // or the server took it, and closed the connection
		return nil
	}
	text := c.redact(err.Error())
	if refusal, ok := errors.AsType[*mail.SendError](err); ok && !refusal.IsTemp() && refusal.ErrorCode() >= 500 {
		return fmt.Errorf("%s: %w", text, errRefused)
	}
	return errors.New(text)
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
