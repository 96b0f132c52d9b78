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
	// headerIdempotency is the message's id: the same on each attempt, so that a
	// receiver can skip a message that it has.
	headerIdempotency = "Idempotency-Key"
	// headerTimestamp is the time of the attempt in Unix seconds, and headerSignature
	// "sha256=" and the HMAC-SHA256 in hex of the timestamp, a dot and the body. A
	// receiver should refuse an old timestamp: it is a replay.
	headerTimestamp = "X-Signature-Timestamp"
	headerSignature = "X-Signature-256"
)

// An endpoint is where messages are sent.
type endpoint struct {
	config *config
	client webclient.Client
	shown  string // the URL without secrets
}

func newEndpoint(c *config) *endpoint {
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
		// Without a proxy, which would resolve the name again.
		dialer.Control = onlyPublic
	}
	e := &endpoint{config: c, shown: webclient.Place(c.url)}
	e.client.Headers = c.headers
	e.client.Secrets = webclient.NewSecrets(c.url, c.headers, slices.AppendSeq([]string{c.secret}, maps.Values(c.vars))...)
	e.client.Client = http.Client{
		Transport: transport, Timeout: c.timeout,
		// A redirect would send headers and body to another host.
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

// shared is the address space between carriers and their customers.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// onlyPublic refuses connections to addresses that are not public. It gets the address
// to which the name was resolved.
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

// An outcome says what became of an attempt.
type outcome int

const (
	delivered outcome = iota
	failed            // retry: the endpoint did not get the message, or has no time for it
	answered          // retry: it got the message and failed, perhaps because of it
	refused           // it will never take the message
)

// A result is what one attempt led to.
type result struct {
	outcome outcome
	after   time.Duration // how long the endpoint asks to be left alone; 0: it does not
	err     error         // without secrets; nil if delivered
}

// send makes one attempt.
func (e *endpoint) send(ctx context.Context, id string, body []byte, contentType string, now time.Time) result {
	var sent atomic.Bool // the hook runs on another goroutine
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { sent.Store(info.Err == nil) },
	})
	request, err := http.NewRequestWithContext(ctx, e.config.method, e.config.url, bytes.NewReader(body))
	if err != nil {
		return result{outcome: failed, err: e.error(e.client.Error(err))}
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
		r := result{outcome: failed, err: e.error(err)}
		if sent.Load() {
			r.outcome = answered
		}
		return r
	}
	defer response.Body.Close()
	// Reading to the end lets the connection be reused; the beginning is shown.
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
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// judge says what an answer means.
func (e *endpoint) judge(response *http.Response, answer []byte, now time.Time) result {
	code := response.StatusCode
	r := result{outcome: refused, after: webclient.RetryAfter(response.Header, now, maxRetryAfter)}
	quote := strings.TrimSpace(e.show(200, string(answer)))
	r.err = errors.New(strings.TrimRight(fmt.Sprintf("%s answered %d: %s", e.shown, code, quote), ": "))
	switch {
	case code >= 200 && code < 300:
		return result{outcome: delivered}
	case code >= 300 && code < 400:
		// A login page or a moved service: the operator can fix either in time.
		r.outcome = failed
		target := "nowhere"
		if u, err := response.Location(); err == nil {
			target = e.show(200, webclient.Place(u.String()))
		}
		r.err = fmt.Errorf("%s answered %d, a redirect to %s, which is not followed: write the final address as url", e.shown, code, target)
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code == http.StatusServiceUnavailable:
		r.outcome = failed
	case code >= 500:
		r.outcome = answered
	}
	return r
}

// show makes a foreign text safe for a message.
func (e *endpoint) show(n int, text string) string {
	return truncate(n, plain(e.client.Secrets.Redact(text)))
}

// error names the endpoint in an error of its client.
func (e *endpoint) error(err error) error {
	return fmt.Errorf("%s: %s", e.shown, e.show(300, err.Error()))
}
