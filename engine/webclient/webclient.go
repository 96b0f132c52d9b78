package webclient

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/settings"

	"golang.org/x/net/http/httpguts"
)

// UserAgent is how requests name this program.
const UserAgent = "freeswitch-security"

// ownHeaders are set by the client, whatever it asks for.
var ownHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Transfer-Encoding",
}

// Headers reads the attribute headers of a block. The names of own and of ownHeaders are
// mistakes, because the client sets those headers itself. Names are canonical.
func Headers(b *settings.Block, own ...string) map[string]string {
	pairs, _ := b.Pairs("headers")
	var headers map[string]string
	for _, p := range pairs {
		name := http.CanonicalHeaderKey(p.Key.Value)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			b.ErrorAt(p.Key.Range, "Invalid header", "The name of a header consists of letters, digits and -.")
		case slices.Contains(ownHeaders, name) || slices.Contains(own, name):
			b.ErrorAt(p.Key.Range, "Reserved header", fmt.Sprintf("%s is set by the program itself. Leave it out.", name))
		case p.Value.Value == "":
			b.ErrorAt(p.Value.Range, "Empty header", fmt.Sprintf("The value of %s is empty: set the environment variable that it comes from, or leave the header out.", name))
		case !httpguts.ValidHeaderFieldValue(p.Value.Value):
			b.ErrorAt(p.Value.Range, "Invalid header", fmt.Sprintf("The value of %s has a line break or another control character in it.", name))
		default:
			if headers == nil {
				headers = map[string]string{}
			}
			headers[name] = p.Value.Value
		}
	}
	return headers
}

// Place is what may be shown of a URL: its scheme and host.
func Place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the server"
	}
	return u.Scheme + "://" + u.Host
}

// Secrets are the texts of one block that no message may contain.
type Secrets struct{ *strings.Replacer }

// minSecret is the length from which a text is redacted, in bytes: anything shorter is
// a word that may stand anywhere, and no secret.
const minSecret = 4

// NewSecrets collects the parts of a URL, the values of headers, and further secrets.
func NewSecrets(raw string, headers map[string]string, secrets ...string) Secrets {
	for _, v := range headers {
		_, token, _ := strings.Cut(v, " ") // "Bearer …"
		secrets = append(secrets, v, token)
	}
	if u, err := url.Parse(raw); err == nil {
		secrets = append(secrets, u.RequestURI(), strings.Trim(u.Path, "/"), u.RawQuery)
		secrets = append(secrets, strings.Split(u.Path, "/")...)
		secrets = append(secrets, strings.Split(u.EscapedPath(), "/")...)
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
		password, _ := u.User.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		secrets = append(secrets, u.User.Username(), password, basic)
	}
	// Of two secrets of which one begins with the other, the longer one comes first.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range secrets {
		if len(s) >= minSecret {
			pairs = append(pairs, s, "***")
		}
	}
	return Secrets{strings.NewReplacer(pairs...)}
}

// Redact hides the secrets in a text.
func (s Secrets) Redact(text string) string { return s.Replace(text) }

// A Client sends the requests of one block. Its errors hold no secrets.
type Client struct {
	http.Client
	Headers map[string]string
	Secrets Secrets
}

// Do sends a request with the headers of the block.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", UserAgent)
	for name, value := range c.Headers {
		req.Header.Set(name, value)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := c.Client.Do(req)
	if err != nil {
		return nil, c.Error(err)
	}
	return resp, nil
}

// Error rewords an error of package http, without the URL and the secrets. It may come
// from reading an answer.
func (c *Client) Error(err error) error {
	if about, ok := errors.AsType[*url.Error](err); ok {
		err = about.Err
	}
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("no complete answer within %s", c.Timeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the answer ends too early")
	}
	return errors.New(c.Secrets.Redact(err.Error()))
}

// RetryAfter reads how long a server asks to be left alone, up to most: a number of
// seconds or a date. It is 0 without either.
func RetryAfter(h http.Header, now time.Time, most time.Duration) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(most/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), most))
}
