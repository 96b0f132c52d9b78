package feed

import (
	"context"
	"net/http"
)

// page is a list that one request brings.
type page struct {
	*client
	seen, held validators // of the last answer, and of the list that was taken
}

// validators tell one version of a list from another.
type validators struct{ etag, modified string }

func (p *page) fetch(ctx context.Context) (answer, error) {
	req, err := newRequest(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return answer{}, err
	}
	setUnlessEmpty(req.Header, "If-None-Match", p.held.etag)
	setUnlessEmpty(req.Header, "If-Modified-Since", p.held.modified)
	understood := []int{http.StatusOK}
	if p.held != (validators{}) {
		understood = append(understood, http.StatusNotModified)
	}
	var a answer
	err = p.ask(req, understood, func(resp *http.Response) error {
		if resp.StatusCode == http.StatusNotModified {
			p.seen = p.held
			a = answer{kind: same}
			return nil
		}
		p.seen = validators{bounded(resp.Header.Get("Etag")), bounded(resp.Header.Get("Last-Modified"))}
		body, err := p.body(resp)
		if err != nil {
			return err
		}
		l, err := read(body, p.format, p.bounds)
		if err != nil {
			return err
		}
		a = answer{kind: whole, list: l, size: int64(len(body))}
		return nil
	})
	return a, err
}

func (p *page) taken() { p.held = p.seen }

// bounded drops a validator that is too long to be sent back each time.
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
