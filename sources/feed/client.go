package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"freeswitch-security/engine/webclient"
)

// A client asks over the web. Its errors hold no secrets.
type client struct {
	*config
	http    http.Client
	secrets webclient.Secrets
}

// maxRedirects is how many redirects are followed.
const maxRedirects = 3

// maxRetryAfter is how long a server can ask to be left alone.
const maxRetryAfter = 24 * time.Hour

func (s *source) client() *client {
	c := &client{config: &s.config, secrets: webclient.NewSecrets(s.url, s.headers, s.key)}
	c.http = http.Client{Transport: s.transport, Timeout: s.pace.patience, CheckRedirect: c.redirect}
	return c
}

var errRedirect = errors.New("too many redirects, or one that is not safe to follow")

// redirect follows within the host. To another host it follows only over https, and
// without the headers that are for the first host.
func (c *client) redirect(req *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	sameHost := req.URL.Host == first.Host
	secure := req.URL.Scheme == "https"
	if len(via) > maxRedirects || !secure && (!sameHost || last.Scheme == "https" || req.URL.Scheme != "http") {
		return errRedirect
	}
	req.Header.Del("Referer") // it would send our query to the other host
	if !sameHost {
		req.Header.Del("Authorization")
		for name := range c.headers {
			req.Header.Del(name)
		}
	}
	return nil
}

// newRequest makes a request. Its error does not hold the address.
func newRequest(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	return req, nil
}

// ask sends a request. It returns the body of an answer with one of the given
// statuses; any other is an error, without the text that the server wrote.
func (c *client) ask(req *http.Request, statuses ...int) (*http.Response, []byte, error) {
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", webclient.UserAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.failure(err)
	}
	defer resp.Body.Close()
	if !slices.Contains(statuses, resp.StatusCode) {
		err := fmt.Errorf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
		if after := webclient.RetryAfter(resp.Header, time.Now(), maxRetryAfter); after > 0 {
			return nil, nil, laterError{err, after}
		}
		return nil, nil, err
	}
	if resp.ContentLength > int64(c.maxBytes) {
		return nil, nil, tooLong(c.maxBytes)
	}
	body, err := readBounded(resp.Body, c.maxBytes)
	if err != nil {
		return nil, nil, c.failure(err)
	}
	return resp, body, nil
}

// failure rewords an error of package http, without the address and the secrets.
func (c *client) failure(err error) error {
	whole := "whole "
	if about, ok := errors.AsType[*url.Error](err); ok {
		whole, err = "", about.Err
	}
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("no %sanswer within %s", whole, c.http.Timeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the answer ends too early")
	case errors.Is(err, errRedirect):
		return errRedirect
	}
	return errors.New(c.secrets.Redact(err.Error()))
}
