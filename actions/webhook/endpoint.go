package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"freeswitch-security/engine/webclient"
)

// The headers that the action sets itself.
const (
	// headerIdempotency is the message's id: the same on each attempt, so that who
	// has seen it can leave it at that.
	headerIdempotency = "Idempotency-Key"
	// headerTimestamp is when the attempt was made, in Unix seconds, and
	// headerSignature "sha256=" and the HMAC-SHA256 in hex of the timestamp, a dot
	// and the body. A receiver refuses what is older than some minutes: it is a replay.
	headerTimestamp = "X-Signature-Timestamp"
	headerSignature = "X-Signature-256"
)

// An endpoint is where messages go to.
type endpoint struct {
	config  *config
	client  *http.Client
	shown   string // the URL without what may be secret in it
	secrets webclient.Secrets
}

func newEndpoint(c *config) *endpoint {
	e := &endpoint{config: c, shown: webclient.Place(c.url)}
	e.secrets = webclient.NewSecrets(c.url, c.headers, slices.AppendSeq([]string{c.secret}, maps.Values(c.vars))...)
	dialer := &net.Dialer{Timeout: c.timeout, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       tlsConfig(c),
		TLSHandshakeTimeout:   c.timeout,
		ResponseHeaderTimeout: c.timeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          2,

		MaxResponseHeaderBytes: 64 << 10,
	}
	if c.allowPrivate {
		transport.Proxy = http.ProxyFromEnvironment
	} else {
		// Without a proxy, which would look the name up again by itself.
		dialer.Control = onlyPublic
	}
	e.client = &http.Client{
		Transport: transport,
		// A redirected request would hand headers and body to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e
}

func tlsConfig(c *config) *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ca != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(c.ca))
	}
	if pair, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key)); err == nil {
		t.Certificates = []tls.Certificate{pair}
	}
	return t
}

// shared is the address space between carriers and their customers, which is no
// more public than a private one.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// onlyPublic refuses connections to addresses that are not on the internet. It is
// asked with the address that the name really led to.
func onlyPublic(_, target string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(target)
	if err != nil {
		return err
	}
	a := ap.Addr().Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || shared.Contains(a) {
		return fmt.Errorf("%s is not a public address, and allow_private is false", a)
	}
	return nil
}

// A verdict says what became of an attempt.
type verdict int

const (
	delivered verdict = iota
	failed            // try again: the endpoint did not get the message, or has no time for it
	answered          // try again: it had the message and failed, maybe because of it
	refused           // it will never be taken
)

// An outcome is what one attempt came to.
type outcome struct {
	verdict verdict
	after   time.Duration // the endpoint wants to be left alone so long; 0: it did not say
	err     error         // nil if delivered; it holds no secret
}

// send makes one attempt.
func (e *endpoint) send(ctx context.Context, id string, body []byte, contentType string, now time.Time) outcome {
	ctx, cancel := context.WithTimeout(ctx, e.config.timeout)
	defer cancel()
	var had atomic.Bool // the hook runs on another goroutine
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { had.Store(info.Err == nil) },
	})
	request, err := http.NewRequestWithContext(ctx, e.config.method, e.config.url, bytes.NewReader(body))
	if err != nil {
		return outcome{verdict: failed, err: e.error(err)}
	}
	for name, value := range e.config.headers {
		request.Header.Set(name, value)
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", webclient.UserAgent)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set(headerIdempotency, id)
	if e.config.secret != "" {
		timestamp := strconv.FormatInt(now.Unix(), 10)
		request.Header.Set(headerTimestamp, timestamp)
		request.Header.Set(headerSignature, "sha256="+signature(e.config.secret, timestamp, body))
	}
	response, err := e.client.Do(request)
	if err != nil {
		o := outcome{verdict: failed, err: e.error(err)}
		if had.Load() {
			o.verdict = answered
		}
		return o
	}
	defer response.Body.Close()
	// Read to its end, a connection can be used again; the beginning of it is shown.
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return e.judge(response, answer, now)
}

const (
	maxAnswer     = 16 << 10  // how much of an answer is read, in bytes
	maxRetryAfter = time.Hour // how long an endpoint can ask to be left alone
)

// signature is the HMAC-SHA256 of the timestamp, a dot and the body, in hex.
func signature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// judge says what an answer means.
func (e *endpoint) judge(response *http.Response, answer []byte, now time.Time) outcome {
	code := response.StatusCode
	o := outcome{verdict: refused, after: webclient.RetryAfter(response.Header, now, maxRetryAfter)}
	said := fmt.Errorf("%s answered %d%s", e.shown, code, e.quote(answer))
	switch {
	case code >= 200 && code < 300:
		return outcome{verdict: delivered}
	case code >= 300 && code < 400:
		// A page to log in at, or a service that has moved: the operator can mend
		// either before the message is too old.
		o.verdict = failed
		said = fmt.Errorf("%s answered %d, a redirect to %s, which is not followed: write the final address as url", e.shown, code, e.target(response))
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code == http.StatusServiceUnavailable:
		o.verdict = failed
	case code >= 500:
		o.verdict = answered
	}
	o.err = said
	return o
}

// target is where a redirect leads, without what may be secret in it.
func (e *endpoint) target(response *http.Response) string {
	u, err := response.Location()
	if err != nil {
		return "nowhere"
	}
	return truncate(200, plain(e.secrets.Redact(u.Scheme+"://"+u.Host)))
}

// quote is the beginning of an answer, for people.
func (e *endpoint) quote(answer []byte) string {
	line := strings.TrimSpace(plain(e.secrets.Redact(string(answer))))
	if line == "" {
		return ""
	}
	return ": " + truncate(200, line)
}

// error takes out of an error of package http the URL and whatever else must not
// be shown.
func (e *endpoint) error(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s did not answer within %s", e.shown, e.config.timeout)
	}
	return fmt.Errorf("%s: %s", e.shown, truncate(300, plain(e.secrets.Redact(err.Error()))))
}
