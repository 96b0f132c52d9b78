package feed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/plugin"
)

// apiban reads APIBAN, which returns its list in pages of 250 addresses, oldest first.
// Each page names the cursor of the next, and status 400 with the cursor "none" marks the
// end.
//
// The whole list is read once a day, and only new entries in between. APIBAN does not
// report removals, so only the daily read ends bans.
type apiban struct {
	*client

	cursor  string    // of the next page; "": the first
	begun   time.Time // when the latest read of the whole list began
	pulling *list     // the whole list, as far as it was read; nil: only new entries are read
	ended   bool      // the last answer reached the last page
	pending bool      // the last answer was not accepted yet
}

const (
	firstCursor = "100"  // the second interface wants one for the first page
	noCursor    = "none" // there are no more pages

	maxPages  = 2000 // of one fetch
	maxCursor = 64   // bytes
)

const (
	wholeEvery = 24 * time.Hour // between two reads of the whole list

	// APIBAN answers eleven requests of a key in two minutes. It was five once, so that
	// its answer "too many" is handled, too.
	pageEvery  = 12 * time.Second
	rateWindow = 2 * time.Minute
)

var (
	errCursor = errors.New("the pages do not come to an end")
	errKey    = errors.New("the key is not accepted")
	errRate   = errors.New("the key was used too often")
)

func (a *apiban) fetch(ctx context.Context) (answer, error) {
	if a.pending || a.begun.IsZero() || a.pulling == nil && time.Since(a.begun) >= wholeEvery {
		a.cursor, a.begun, a.pulling = "", time.Now(), newList(a.bounds)
	}
	l := cmp.Or(a.pulling, newList(a.bounds))
	size, err := a.readPages(ctx, l)
	a.ended = err == nil
	found := answer{list: *l, size: size}
	switch {
	case a.ended && a.pulling != nil:
		found.kind = whole
	case a.ended && l.lines > 0:
		found.kind = more
	case a.ended:
		found.kind = same
	case l.lines > 0:
		found.kind = part
	}
	a.pending = found.kind != nothing
	return found, err
}

// accepted has the next fetch continue where the last one ended.
func (a *apiban) accepted() {
	a.pending = false
	if a.ended {
		a.pulling = nil
	}
}

// readPages reads pages into l until the last one, within APIBAN's rate limit. It
// returns their size in bytes.
func (a *apiban) readPages(ctx context.Context, l *list) (size int, err error) {
	for n := range maxPages {
		if n > 0 && !plugin.Rest(ctx, pageEvery, nil) {
			return size, context.Cause(ctx)
		}
		req, err := a.request(ctx)
		if err != nil {
			return size, a.Error(err)
		}
		resp, body, err := a.ask(req, http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusTooManyRequests)
		if err != nil {
			return size, err
		}
		size += len(body)
		switch next, err := readPage(resp.StatusCode, body, l); {
		case err != nil:
			return size, err
		case next == noCursor:
			return size, nil
		case next == a.cursor:
			return size, errCursor
		default:
			a.cursor = next
		}
	}
	return size, errCursor
}

// request asks for the page at the cursor.
func (a *apiban) request(ctx context.Context) (*http.Request, error) {
	base := strings.TrimSuffix(a.url, "/") + "/"
	if a.format == formatAPIBANv1 {
		address := base + a.key + "/banned"
		if a.cursor != "" {
			address += "/" + a.cursor
		}
		return http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	}
	cursor := cmp.Or(a.cursor, firstCursor)
	// All three are tokens.
	body := []byte(`{"set":"` + a.set + `","id":"` + cursor + `"}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"get", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// readPage reads the addresses of one page into l and returns the cursor of the next.
func readPage(status int, body []byte, l *list) (next string, err error) {
	switch status {
	case http.StatusForbidden:
		return "", errKey
	case http.StatusTooManyRequests:
		return "", laterError{errRate, rateWindow}
	}
	var p struct {
		Addresses json.RawMessage `json:"ipaddress"` // an array; a text where there is none
		ID        string          `json:"ID"`
	}
	switch err := json.Unmarshal(body, &p); {
	case err != nil:
		return "", errors.New("the answer is no page of APIBAN's")
	case status == http.StatusBadRequest && p.ID == noCursor:
		return noCursor, nil
	case status == http.StatusBadRequest:
		return "", errors.New("answered 400 before the list's end")
	case !isToken(p.ID) || len(p.ID) > maxCursor:
		return "", errors.New("a page without a cursor for the next one")
	}
	if err := banlist.Read(p.Addresses, banlist.JSON, l.add); err != nil {
		return "", fmt.Errorf("a page without addresses: %w", err)
	}
	return p.ID, l.checkReadable()
}
