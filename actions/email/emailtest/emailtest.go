// Package emailtest is a mail server for tests: SMTP on the loopback, with STARTTLS and a login. What it takes are
// real messages.
package emailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The login of the server.
const (
	User     = "guard"
	Password = "hunter2-hunter2"
)

// A Mail is a message that the server took.
type Mail struct {
	Header  mail.Header
	To      []string // as the transaction named them
	Subject string
	Text    string
	Files   map[string]string // attachments by name
}

// A Server is a mail server on the loopback.
type Server struct {
	*smtp.Server
	Address string // "127.0.0.1:40123"
	CA      string // PEM

	mu      sync.Mutex
	answer  error // to the content of a mail; nil: it is taken
	refused map[string]error
	taken   []Mail
	logins  int
}

// Start listens at an address, with STARTTLS if it is secure.
func Start(t testing.TB, address string, secure bool) *Server {
	t.Helper()
	s := &Server{refused: map[string]error{}}
	s.Server = smtp.NewServer(s)
	s.Domain, s.ErrorLog = "localhost", quiet{}
	if secure {
		var pair tls.Certificate
		pair, s.CA = Certificate(t)
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.Address = l.Addr().String()
	go s.Serve(l)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// Certificate makes one for 127.0.0.1, and its PEM.
func Certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Reply sets the answer to the mails that follow; nil: they are taken.
func (s *Server) Reply(answer error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Refuse sets the answer to a recipient.
func (s *Server) Refuse(recipient string, answer error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[recipient] = answer
}

// Taken returns the mails that the server took.
func (s *Server) Taken() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// Last returns the latest mail.
func (s *Server) Last(t testing.TB) Mail {
	t.Helper()
	all := s.Taken()
	if len(all) == 0 {
		t.Fatal("no mail arrived")
	}
	return all[len(all)-1]
}

// Logins returns how many there were, refused ones as well.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// NewSession implements [smtp.Backend].
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	return &session{server: s, secure: secure}, nil
}

type session struct {
	server        *Server
	secure, login bool
	to            []string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.server.logins++
		if user != User || pass != Password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such login: " + pass}
		}
		s.login = true
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.secure || !s.login {
		return &smtp.SMTPError{Code: 530, Message: "log in first"}
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if err := s.server.refused[to]; err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

func (s *session) Data(r io.Reader) error {
	m, err := read(r)
	if err != nil {
		return err
	}
	m.To = s.to
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.answer == nil {
		s.server.taken = append(s.server.taken, m)
	}
	return s.server.answer
}

// read reads a message of one text, and of attachments beside it.
func read(r io.Reader) (m Mail, err error) {
	raw, err := mail.ReadMessage(r)
	if err != nil {
		return m, err
	}
	m.Header = raw.Header
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(raw.Header.Get("Subject")); err != nil {
		return m, err
	}
	kind, params, err := mime.ParseMediaType(raw.Header.Get("Content-Type"))
	if err != nil {
		return m, err
	}
	if kind != "multipart/mixed" {
		m.Text, err = text(quotedprintable.NewReader(raw.Body))
		return m, err
	}
	m.Files = map[string]string{}
	for parts := multipart.NewReader(raw.Body, params["boundary"]); ; {
		part, err := parts.NextPart() // decodes quoted-printable
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		if name := part.FileName(); name != "" {
			if m.Files[name], err = text(base64.NewDecoder(base64.StdEncoding, part)); err != nil {
				return m, err
			}
		} else if m.Text, err = text(part); err != nil {
			return m, err
		}
	}
}

func text(r io.Reader) (string, error) {
	all, err := io.ReadAll(r)
	return strings.ReplaceAll(string(all), "\r\n", "\n"), err
}
