package feed

import (
	"context"
	"maps"
	"net/http"
)

// page is a list that one request returns.
type page struct {
	*client
	seen, held http.Header // conditions: of the latest answer, and of the list that was accepted
}

// validators tell one version of a list from another. Each has its condition in a
// request.
var validators = map[string]string{"Etag": "If-None-Match", "Last-Modified": "If-Modified-Since"}

// maxValidator bounds a validator, which is sent with each request.
const maxValidator = 512

func (p *page) fetch(ctx context.Context) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return answer{}, p.Error(err)
	}
	statuses := []int{http.StatusOK}
	if len(p.held) > 0 {
		statuses = append(statuses, http.StatusNotModified)
		maps.Copy(req.Header, p.held)
	}
	resp, body, err := p.ask(req, statuses...)
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode == http.StatusNotModified {
		p.seen = p.held
		return answer{kind: same}, nil
	}
	p.seen = http.Header{}
	for validator, condition := range validators {
		if value := resp.Header.Get(validator); value != "" && len(value) <= maxValidator {
			p.seen.Set(condition, value)
		}
	}
	return p.whole(body)
}

func (p *page) accepted() { p.held = p.seen }
