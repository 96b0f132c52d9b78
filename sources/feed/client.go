package feed

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"freeswitch-security/engine/webclient"
)

// A client asks over the web.
type client struct {
	*config
	webclient.Client
}

// maxRedirects is how many redirects are followed.
const maxRedirects = 3

// maxRetryAfter is how long a server can ask to be left alone.
const maxRetryAfter = 24 * time.Hour

func (s *source) client() *client {
	c := &client{&s.config, webclient.Client{Headers: s.headers, Secrets: webclient.NewSecrets(s.url, s.headers, s.key)}}
	c.Client.Client = http.Client{Transport: s.transport, Timeout: s.pace.patience, CheckRedirect: c.redirect}
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

// ask sends a request. It returns the body of an answer with one of the given
// statuses; any other is an error, without the text that the server wrote.
func (c *client) ask(req *http.Request, statuses ...int) (*http.Response, []byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
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
		return nil, nil, c.Error(err)
	}
	return resp, body, nil
}
