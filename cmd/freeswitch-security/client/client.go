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
)

const (
	// answerTime and changeTime are how long an answer may take. The daemon gives
	// the kernel five seconds for a change, and a large batch takes time to send.
	answerTime = 15 * time.Second
	changeTime = time.Minute

	// maxAnswer is the largest answer that is read, in bytes: a page of 10,000
	// bans with all their evidence is below it.
	maxAnswer = 256 << 20

	// When the daemon is asked too often it says when to come again: so often
	// that is done, and so long is waited at the most.
	maxTries = 5
	maxPause = 5 * time.Second
)

// A Client asks one daemon. It is safe for use by several goroutines.
type Client struct {
	http  *http.Client
	base  string // "https://pbx.example:8080"
	name  string // for people: the URL, or the path of the socket
	local bool   // it is a socket
	token string // "": none
}

// A Refusal is an answer of the daemon that is no success.
type Refusal struct {
	Status int    // of HTTP
	Text   string // in the daemon's words
}

func (r *Refusal) Error() string { return r.Text }

// ask has the daemon answer a question into answer.
func (c *Client) ask(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.exchange(ctx, http.MethodGet, path, nil, answer)
}

// change has the daemon do something. Nil is no body.
func (c *Client) change(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
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

// exchange sends a request until it is not one too many.
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

// pause is how long the daemon wants to be left alone.
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

// read takes an answer apart: into answer if it is a success, else into a Refusal.
func (c *Client) read(resp *http.Response, answer any) error {
	limited := &io.LimitedReader{R: resp.Body, N: maxAnswer}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return c.stranger(resp, limited)
	}
	if resp.StatusCode != http.StatusOK {
		return c.refusal(resp, limited)
	}
	err := json.NewDecoder(limited).Decode(answer)
	switch {
	case err == nil:
		return nil
	case limited.N == 0:
		return fmt.Errorf("its answer is longer than %d MB", maxAnswer>>20)
	}
	return fmt.Errorf("its answer cannot be read: %w", err)
}

// maxRefusal bounds, in bytes, what is read of an answer that is no success.
const maxRefusal = 64 << 10

// refusal reads an answer that is no success.
func (c *Client) refusal(resp *http.Response, body io.Reader) error {
	var said struct {
		Error string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxRefusal)).Decode(&said); err != nil || said.Error == "" {
		said.Error = "it answers " + resp.Status + ", and not why"
	}
	if resp.StatusCode == http.StatusUnauthorized {
		said.Error = c.unauthorized(said.Error)
	}
	return &Refusal{Status: resp.StatusCode, Text: said.Error}
}

// stranger words an answer that no daemon of ours gives.
func (c *Client) stranger(resp *http.Response, body io.Reader) error {
	begin := make([]byte, 100)
	n, _ := io.ReadFull(body, begin) // what has come will do
	return fmt.Errorf("this is no admin listener of freeswitch-security: it answers %q, and then %q", resp.Status, begin[:n])
}
