package email

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const password = "hunter2-hunter2"

// A server is a mail server on the loopback. What it takes are real messages.
type server struct {
	*smtp.Server
	addr string
	ca   string // PEM

	mu     sync.Mutex
	answer error // to the content of a mail; nil: it is taken
	taken  []*mail.Message
	bodies []string
	logins int
}

func startServer(t *testing.T, addr string, secure bool) *server {
	t.Helper()
	s := &server{}
	s.Server = smtp.NewServer(s)
	s.Domain, s.ErrorLog = "localhost", quiet{}
	if secure {
		var pair tls.Certificate
		pair, s.ca = certificate(t)
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	go s.Serve(l)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for 127.0.0.1, and its PEM.
func certificate(t *testing.T) (tls.Certificate, string) {
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

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	return &session{server: s, secure: secure}, nil
}

type session struct {
	server        *server
	secure, login bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.server.logins++
		if user != "guard" || pass != password {
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
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }

func (s *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.answer != nil {
		return s.server.answer
	}
	s.server.taken = append(s.server.taken, m)
	s.server.bodies = append(s.server.bodies, string(body))
	return nil
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

func (s *server) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

func (s *server) header(i int) mail.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[i].Header
}

// reply sets the answer to the mails that follow.
func (s *server) reply(answer error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// last returns the subject and the body of the latest mail.
func (s *server) last(t *testing.T) (subject, body string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) == 0 {
		t.Fatal("no mail arrived")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(s.taken[len(s.taken)-1].Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return subject, strings.ReplaceAll(s.bodies[len(s.bodies)-1], "\r\n", "\n")
}

// action returns one that sends to the server.
func (s *server) action(t *testing.T) *Action {
	t.Helper()
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	return newAction(config{
		name: "email.noc", host: host, port: n, tls: tlsStart, user: "guard", password: password, ca: s.ca,
		from: &address{Address: "guard@example.org"}, to: []*address{{Address: "noc@example.org"}, {Name: "Night Shift", Address: "night@example.org"}},
		on: []string{"alert"}, digest: 5 * time.Minute, timeout: 5 * time.Second, giveUp: 24 * time.Hour,
	})
}
