package feed

import (
	"context"
	"net/http"
)

// page is a list that one request returns.
type page struct {
	*client
	seen, held validators // of the latest answer, and of the list that was accepted
}

// validators tell one version of a list from another.
type validators struct{ etag, modified string }

func (p *page) fetch(ctx context.Context) (answer, error) {
	req, err := newRequest(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return answer{}, err
	}
	statuses := []int{http.StatusOK}
	if p.held != (validators{}) {
		statuses = append(statuses, http.StatusNotModified)
		setUnlessEmpty(req.Header, "If-None-Match", p.held.etag)
		setUnlessEmpty(req.Header, "If-Modified-Since", p.held.modified)
	}
	resp, body, err := p.ask(req, statuses...)
	switch {
	case err != nil:
		return answer{}, err
	case resp.StatusCode == http.StatusNotModified:
		p.seen = p.held
		return answer{kind: same}, nil
	}
	p.seen = validators{bounded(resp.Header.Get("Etag")), bounded(resp.Header.Get("Last-Modified"))}
	return p.whole(body)
}

func (p *page) accepted() { p.held = p.seen }

// bounded drops a validator that is too long to be sent with each request.
func bounded(validator string) string {
	if len(validator) > 512 {
		return ""
	}
	return validator
}

func setUnlessEmpty(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}
