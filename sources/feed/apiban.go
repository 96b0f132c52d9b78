package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"freeswitch-security/engine/banlist"
)

// apiban asks APIBAN, which gives its list in pages of 250 addresses, oldest
// first. Each page names the cursor of the next one, and an answer of 400 with the
// cursor "none" says that there is nothing behind it.
//
// The whole list is asked for once a day; in between, only what is new. APIBAN
// does not say what it has taken off, so bans are lifted by the daily look alone.
type apiban struct {
	*client
	pace pace

	cursor  string    // where the next page begins; "": at the beginning
	begun   time.Time // when the whole list was last begun
	pulling *list     // the whole list, as far as it has come; nil: only what is new is asked for
	ended   bool      // the last answer went to the last page
	pending bool      // the last answer was not taken yet
}

// The cursors that mean something by themselves.
const (
	firstCursor = "100"  // by custom, for the second interface, which wants one
	noCursor    = "none" // there is nothing behind the cursor that was asked for
)

// mostPages bounds the pages of one fetch: a server that goes on for ever is not
// APIBAN.
const mostPages = 2000

// maxCursor bounds a cursor, in bytes.
const maxCursor = 64

// rateWindow is the time over which APIBAN counts the requests of a key.
const rateWindow = 2 * time.Minute

var (
	errCursor = errors.New("the pages do not come to an end")
	errKey    = errors.New("the key is not accepted")
	errRate   = errors.New("the key has asked too often")
)

func (a *apiban) fetch(ctx context.Context) (answer, error) {
	if a.pending || a.begun.IsZero() || a.pulling == nil && time.Since(a.begun) >= a.pace.whole {
		a.cursor, a.begun, a.pulling = "", time.Now(), newList(a.bounds)
	}
	l := a.pulling
	if l == nil {
		l = newList(a.bounds)
	}
	size, err := a.follow(ctx, l)
	a.ended = err == nil
	found := answer{list: l, size: size}
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

// taken has the next fetch go on where this one ended.
func (a *apiban) taken() {
	a.pending = false
	if a.ended {
		a.pulling = nil
	}
}

// follow reads pages into l until the last one, slowly enough for APIBAN's limit.
// It gives their size in bytes.
func (a *apiban) follow(ctx context.Context, l *list) (size int64, err error) {
	for n := range mostPages {
		if n > 0 && !sleep(ctx, a.pace.page) {
			return size, context.Cause(ctx)
		}
		next, length, err := a.page(ctx, l)
		size += int64(length)
		switch {
		case err != nil:
			return size, err
		case next == noCursor:
			return size, nil
		case next == a.cursor:
			return size, errCursor
		}
		a.cursor = next
	}
	return size, errCursor
}

// page reads the addresses of one page into l, and gives the cursor of the next
// one and the size of this one.
func (a *apiban) page(ctx context.Context, l *list) (next string, size int, err error) {
	req, err := a.request(ctx)
	if err != nil {
		return "", 0, err
	}
	var body []byte
	status := 0
	err = a.ask(req, []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusTooManyRequests}, func(resp *http.Response) (err error) {
		status = resp.StatusCode
		switch status {
		case http.StatusForbidden:
			return errKey
		case http.StatusTooManyRequests:
			return laterError{errRate, rateWindow}
		}
		body, err = a.body(resp)
		return err
	})
	if err != nil {
		return "", len(body), err
	}
	next, err = readPage(status, body, l)
	return next, len(body), err
}

// request asks for the page at the cursor.
func (a *apiban) request(ctx context.Context) (*http.Request, error) {
	base := strings.TrimSuffix(a.url, "/") + "/"
	if a.format == formatAPIBANv1 {
		address := base + a.key + "/banned"
		if a.cursor != "" {
			address += "/" + a.cursor
		}
		return newRequest(ctx, http.MethodGet, address, nil)
	}
	cursor := a.cursor
	if cursor == "" {
		cursor = firstCursor
	}
	// Of letters, digits and the like only; see keyLetters and isCursor.
	body := []byte(`{"set":"` + a.set + `","id":"` + cursor + `"}`)
	req, err := newRequest(ctx, http.MethodPost, base+"get", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// readPage reads one page's addresses into l and gives the cursor of the next.
func readPage(status int, body []byte, l *list) (next string, err error) {
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
	case !isCursor(p.ID):
		return "", errors.New("a page without a cursor for the next one")
	}
	if err := banlist.Read(p.Addresses, banlist.JSON, l.add); err != nil {
		return "", fmt.Errorf("a page without addresses: %w", err)
	}
	return p.ID, l.checkReadable()
}

// isCursor reports whether s may go into a path and a request as it is.
func isCursor(s string) bool {
	return s != "" && len(s) <= maxCursor && strings.Trim(s, keyLetters) == ""
}
