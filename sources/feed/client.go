package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A client asks over the web. It never says in an error what it was given to
// keep: keys, passwords, paths and queries.
type client struct {
	*settings
	http http.Client
}

// maxRedirects is how often a list may say that it is elsewhere.
const maxRedirects = 3

func (s *source) client() *client {
	c := &client{settings: &s.settings}
	c.http = http.Client{Transport: s.transport, Timeout: s.pace.patience, CheckRedirect: c.redirect}
	return c
}

var errRedirect = errors.New("redirected too often, or to where it is not safe to follow")

// redirect follows within the host, and elsewhere only over https and without what
// was meant for the first host alone.
func (c *client) redirect(req *http.Request, via []*http.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	sameHost := req.URL.Host == first.Host
	secure := req.URL.Scheme == "https"
	if len(via) > maxRedirects || !secure && (!sameHost || last.Scheme == "https" || req.URL.Scheme != "http") {
		return errRedirect
	}
	req.Header.Del("Referer") // it would tell the other host our query
	if !sameHost {
		req.Header.Del("Authorization")
		for name := range c.headers {
			req.Header.Del(name)
		}
	}
	return nil
}

// newRequest makes a request. An error does not name the address.
func newRequest(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, errors.New("not an address on the web")
	}
	return req, nil
}

// ask sends a request and hands the answer to read, if it has one of the statuses
// that are understood.
func (c *client) ask(req *http.Request, understood []int, read func(*http.Response) error) error {
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", "freeswitch-security")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failure(err)
	}
	defer resp.Body.Close()
	for _, status := range understood {
		if resp.StatusCode == status {
			return c.failure(read(resp))
		}
	}
	return refused(resp)
}

// body reads an answer's body, within the limit.
func (c *client) body(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > c.maxBytes {
		return nil, tooLong(c.maxBytes)
	}
	return readBounded(resp.Body, c.maxBytes)
}

// refused words an answer that is not what was asked for, without its text: that
// was written by somebody else.
func refused(resp *http.Response) error {
	err := fmt.Errorf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if after := retryAfter(resp.Header.Get("Retry-After"), time.Now()); after > 0 {
		return laterError{err, after}
	}
	return err
}

// retryAfter reads how long we are asked to wait, in seconds or as a date; 0 where
// we are not.
func retryAfter(s string, now time.Time) time.Duration {
	const most = 24 * 60 * 60
	if seconds, err := strconv.Atoi(s); err == nil {
		return time.Duration(max(0, min(seconds, most))) * time.Second
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), most*time.Second))
}

// failure words an error of the client's without the address that it was about.
func (c *client) failure(err error) error {
	if err == nil {
		return nil
	}
	var about *url.Error
	if errors.As(err, &about) {
		if about.Timeout() {
			return fmt.Errorf("no answer within %s", c.http.Timeout)
		}
		err = about.Err
	}
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("no whole answer within %s", c.http.Timeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the answer ends too early")
	}
	return c.redact(err)
}

// redact takes secrets out of an error. None should be in it: this is for the
// libraries that we did not write, which may quote an answer that quotes us.
func (c *client) redact(err error) error {
	text := err.Error()
	for _, secret := range c.secrets() {
		if len(secret) >= 4 && strings.Contains(text, secret) {
			return errors.New("an error that would show a secret of the feed's")
		}
	}
	return err
}
