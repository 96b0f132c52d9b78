package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"freeswitch-security/engine/config"
)

// Options say where the daemon is and how to authenticate.
type Options struct {
	Admin string // a URL, "address:port", or the path of a unix socket; "": the default of the daemon
	Token string // sent over TCP; "": none. A socket needs none

	// PEM files for https: the authority of the daemon's certificate ("": those of the
	// host), and the client certificate.
	CAFile, CertFile, KeyFile string
}

// maxConns bounds the requests under way.
const maxConns = 4

// New makes a client. It connects with the first request.
func New(o Options) (*Client, error) {
	c := &Client{token: o.Token, name: o.Admin}
	if c.name == "" {
		c.name = config.DefaultSocket
	}
	// No proxy: it would see the token.
	transport := &http.Transport{MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxConns, IdleConnTimeout: 10 * time.Second}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport.DialContext = dialer.DialContext
	if path, ok := socketPath(c.name); ok {
		c.name, c.local, c.token = path, true, ""
		c.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
	} else {
		var err error
		if c.base, err = baseURL(c.name); err != nil {
			return nil, err
		}
		c.name = c.base
		if transport.TLSClientConfig, err = o.tls(); err != nil {
			return nil, err
		}
	}
	if strings.ContainsFunc(c.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("a token is printable ASCII without blanks")
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect leads to another host than the one that was given.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// socketPath returns the path of a socket; ok is false for a URL.
func socketPath(admin string) (path string, ok bool) {
	if path, ok = strings.CutPrefix(admin, "unix:"); ok {
		return strings.TrimPrefix(path, "//"), true
	}
	return admin, strings.Contains(admin, "/") && !strings.Contains(admin, "://")
}

// baseURL reads "http://address:port", "https://…" or "address:port".
func baseURL(admin string) (string, error) {
	if !strings.Contains(admin, "://") {
		if _, _, err := net.SplitHostPort(admin); err != nil {
			return "", fmt.Errorf("%q is neither a URL such as http://127.0.0.1:8080 nor the path of a socket", admin)
		}
		admin = "http://" + admin
	}
	u, err := url.Parse(admin)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080", admin)
	case u.User != nil:
		return "", errors.New("the URL holds a password: the daemon takes only a token")
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q has a query or a fragment: give only the address of the daemon", admin)
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"), nil
}

func (o *Options) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		authorities, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("there is no certificate in %s", o.CAFile)
		}
	}
	if o.CertFile != "" || o.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// ReadToken reads a token from a file of one line.
func ReadToken(path string) (string, error) {
	const longest = 4096
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longest+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > longest {
		return "", fmt.Errorf("%s holds no token: write one line", path)
	}
	return token, nil
}

// Unreachable says that the daemon does not answer.
type Unreachable struct{ what string }

func (u *Unreachable) Error() string { return u.what }

func unreachable(format string, args ...any) error {
	return &Unreachable{fmt.Sprintf(format, args...)}
}

// explain returns an error of the connection in the words of an operator.
func (c *Client) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without method and URL
	}
	var timeout net.Error
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.local:
		return unreachable("there is no socket %s: the daemon is not running, or its admin block names another one: "+
			"set --admin or FREESWITCH_SECURITY_ADMIN", c.name)
	case errors.Is(err, fs.ErrPermission) && c.local:
		return fmt.Errorf("no permission to open %s: use sudo, or a user in the group of the socket", c.name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("nothing listens at %s: the daemon is not running", c.name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return unreachable("%s does not answer in time", c.name)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return unreachable("%s closed the connection: the daemon is stopping, or too busy", c.name)
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

// unauthorized says what to do about a refused token.
func (c *Client) unauthorized(said string) string {
	if c.token != "" {
		return c.name + " refuses this token: " + said
	}
	return c.name + " needs a token: set FREESWITCH_SECURITY_TOKEN or --token-file"
}
