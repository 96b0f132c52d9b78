package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"freeswitch-security/engine/status"
)

const (
	// answerTime and changeTime bound the time for an answer. The daemon gives the
	// kernel five seconds for a change, and a large batch takes time to send.
	answerTime = 15 * time.Second
	changeTime = time.Minute
	// reloadTime is likewise for a reload, which the daemon gives a minute.
	reloadTime = 75 * time.Second

	// maxAnswer bounds an answer, in bytes. A page of 10,000 bans with all their
	// evidence is smaller.
	maxAnswer = 256 << 20

	// A request that exceeds the rate limit of the daemon is made at most maxTries
	// times, with pauses of at most maxPause.
	maxTries = 5
	maxPause = 5 * time.Second
)

// A Client asks one daemon. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	base  string // "https://pbx.example:8080"
	name  string // the URL, or the path of the socket, for messages
	local bool   // it is a socket
	token string // "": none
}

// A Refusal is an answer of the daemon that is no success.
type Refusal struct {
	Status int    // of HTTP
	Text   string // of the daemon

	Diagnostics []status.Diagnostic // of rule files that it does not use
}

func (r *Refusal) Error() string { return r.Text }

// ask makes a GET request and decodes the answer.
func (c *Client) ask(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.exchange(ctx, http.MethodGet, path, nil, answer)
}

// change makes a request that changes something, and decodes the answer.
func (c *Client) change(ctx context.Context, method, path string, body, answer any) error {
	return c.changeWithin(ctx, changeTime, method, path, body, answer)
}

func (c *Client) changeWithin(ctx context.Context, within time.Duration, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return c.exchange(ctx, method, path, text, answer)
}

// exchange makes a request, again while the daemon answers that there are too many.
func (c *Client) exchange(ctx context.Context, method, path string, body []byte, answer any) error {
	for try := 1; ; try++ {
		resp, err := c.send(ctx, method, path, body)
		if err != nil {
			return err
		}
		err = c.read(resp, answer)
		resp.Body.Close()
		var r *Refusal
		if try == maxTries || !errors.As(err, &r) || r.Status != http.StatusTooManyRequests {
			return c.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
			return c.explain(ctx, ctx.Err())
		case <-time.After(pause(resp)):
		}
	}
}

// pause is how long to wait before the next try.
func pause(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		seconds = 1
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return resp, nil
}

// read decodes an answer; one that is no success is returned as a Refusal.
func (c *Client) read(resp *http.Response, answer any) error {
	limited := &io.LimitedReader{R: resp.Body, N: maxAnswer}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return c.notDaemon(resp, limited)
	}
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp, limited)
	}
	err := json.NewDecoder(limited).Decode(answer)
	switch {
	case err == nil:
		return nil
	case limited.N == 0:
		return fmt.Errorf("the answer is longer than %d MB", maxAnswer>>20)
	}
	return fmt.Errorf("cannot decode the answer: %w", err)
}

// maxRefusal bounds an answer that is no success, in bytes.
const maxRefusal = 1 << 20

// refusal decodes an answer that is no success.
func (c *Client) refusal(resp *http.Response, body io.Reader) error {
	var said struct {
		Error       string              `json:"error"`
		Diagnostics []status.Diagnostic `json:"diagnostics"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxRefusal)).Decode(&said); err != nil || said.Error == "" {
		said.Error = "the answer is " + resp.Status + ", without a reason"
	}
	if resp.StatusCode == http.StatusUnauthorized {
		said.Error = c.unauthorized(said.Error)
	}
	return &Refusal{Status: resp.StatusCode, Text: said.Error, Diagnostics: said.Diagnostics}
}

// notDaemon returns an error for an answer that is not of a daemon.
func (c *Client) notDaemon(resp *http.Response, body io.Reader) error {
	begin := make([]byte, 100)
	n, _ := io.ReadFull(body, begin) // as much as there is
	return fmt.Errorf("no admin listener of freeswitch-security: it answers %q, then %q", resp.Status, begin[:n])
}
