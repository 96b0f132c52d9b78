package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

// Status asks for the status of the daemon.
func (c *Client) Status(ctx context.Context) (s status.Status, err error) {
	return s, c.ask(ctx, "/security/status", &s)
}

// Kernel asks what the kernel enforces.
func (c *Client) Kernel(ctx context.Context) (k status.KernelPage, err error) {
	return k, c.ask(ctx, "/security/iptables", &k)
}

// MaxTrackers is the limit for Trackers.
const MaxTrackers = 1000

// Trackers asks for the keys that are closest to a threshold, the closest first; banned: also those of banned targets.
func (c *Client) Trackers(ctx context.Context, top int, banned bool) ([]status.Tracker, error) {
	var said struct {
		Trackers []status.Tracker `json:"trackers"`
	}
	return said.Trackers, c.ask(ctx, "/security/trackers?top="+strconv.Itoa(top)+"&banned="+strconv.FormatBool(banned), &said)
}

// History asks for what was counted between two times.
func (c *Client) History(ctx context.Context, from, to time.Time) (s history.Span, err error) {
	return s, c.ask(ctx, "/security/history?"+url.Values{"from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)}}.Encode(), &s)
}

// maxIncidents is the limit for Incidents.
const maxIncidents = 1000

// Incidents asks for what attackers did that were active since a time, the latest first.
func (c *Client) Incidents(ctx context.Context, since time.Time) ([]history.Incident, error) {
	var said struct {
		Incidents []history.Incident `json:"incidents"`
	}
	return said.Incidents, c.ask(ctx, "/security/incidents?"+url.Values{"from": {since.UTC().Format(time.RFC3339)}, "limit": {strconv.Itoa(maxIncidents)}}.Encode(), &said)
}

// Reload has the daemon reload its rule files, and returns their diagnostics. If they have mistakes the error is a
// [Refusal] with them.
func (c *Client) Reload(ctx context.Context, reason string) ([]status.Diagnostic, error) {
	var said struct {
		Diagnostics []status.Diagnostic `json:"diagnostics"`
	}
	path := "/security/reload"
	if reason != "" {
		path += "?" + url.Values{"reason": {reason}}.Encode()
	}
	return said.Diagnostics, c.changeWithin(ctx, reloadTime, http.MethodPost, path, nil, &said)
}

// Ban asks for the ban that covers a target; nil if none does, and why says so.
func (c *Client) Ban(ctx context.Context, target ban.Target) (b *status.Ban, why string, err error) {
	return one[status.Ban](ctx, c, blacklist+entry(target))
}

// Trusted asks for the narrowest trust that covers a target; nil if none does.
func (c *Client) Trusted(ctx context.Context, target ban.Target) (*status.Trusted, error) {
	trusted, _, err := one[status.Trusted](ctx, c, whitelist+entry(target))
	return trusted, err
}

const (
	blacklist = "/security/blacklist"
	whitelist = "/security/whitelist"
)

// entry is the path of a target below a list.
func entry(target ban.Target) string {
	return "/" + url.PathEscape(target.String())
}

// one asks for an entry. It is nil where there is none, and why says so.
func one[T any](ctx context.Context, c *Client, path string) (found *T, why string, err error) {
	found = new(T)
	err = c.ask(ctx, path, found)
	if r, ok := errors.AsType[*Refusal](err); ok && r.Status == http.StatusNotFound {
		return nil, r.Text, nil
	}
	if err != nil {
		return nil, "", err
	}
	return found, "", nil
}

// MaxPage is the limit for the page of Bans and AllTrusted.
const MaxPage = 10_000

// A listing is one page of bans or of trusted networks.
type listing struct {
	Bans    []status.Ban     `json:"bans"`
	Trusted []status.Trusted `json:"trusted"`
	Next    string           `json:"next"`
}

// Bans asks for all bans in the order of their targets, page by page. An error ends
// the sequence.
func (c *Client) Bans(ctx context.Context, page int) iter.Seq2[status.Ban, error] {
	return pages(ctx, c, blacklist, "", page, func(l *listing) []status.Ban { return l.Bans })
}

// BansIn asks for the bans of addresses and networks that lie in a network, as Bans does for all.
func (c *Client) BansIn(ctx context.Context, in netip.Prefix, page int) iter.Seq2[status.Ban, error] {
	before := "" // the last target that cannot lie in it
	if addr := in.Masked().Addr().Prev(); addr.IsValid() {
		before = addr.String()
	}
	all := pages(ctx, c, blacklist, before, page, func(l *listing) []status.Ban { return l.Bans })
	return func(yield func(status.Ban, error) bool) {
		for b, err := range all {
			p, network := b.Target.Network()
			if err == nil && (!network || !in.Contains(p.Addr()) && in.Addr().Less(p.Addr())) {
				return // the others lie behind it
			}
			if (err != nil || in.Contains(p.Addr()) && p.Bits() >= in.Bits()) && !yield(b, err) {
				return
			}
		}
	}
}

// AllTrusted asks for all trusted networks, as Bans does for bans.
func (c *Client) AllTrusted(ctx context.Context, page int) iter.Seq2[status.Trusted, error] {
	return pages(ctx, c, whitelist, "", page, func(l *listing) []status.Trusted { return l.Trusted })
}

// pages fetches page after page of a list, from behind a target on. A page that leads to itself is an error.
func pages[T any](ctx context.Context, c *Client, list, behind string, page int, entries func(*listing) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := url.Values{"format": {"list"}, "limit": {strconv.Itoa(page)}}
		if behind != "" {
			query.Set("cursor", behind)
		}
		for {
			var said listing
			err := c.ask(ctx, list+"?"+query.Encode(), &said)
			if err == nil && said.Next != "" && said.Next == query.Get("cursor") {
				err = fmt.Errorf("the page behind %q leads to itself", said.Next)
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, e := range entries(&said) {
				if !yield(e, nil) {
					return
				}
			}
			if said.Next == "" {
				return
			}
			query.Set("cursor", said.Next)
		}
	}
}

// MaxBatch is the limit of a batch. The daemon takes larger batches of bans, and makes
// several changes of them.
const MaxBatch = 10_000

// BanAll bans up to MaxBatch targets; results are by index.
func (c *Client) BanAll(ctx context.Context, items []BanRequest) ([]status.Result, error) {
	return c.batch(ctx, blacklist, "", items, len(items))
}

// BanListed bans up to MaxBatch targets of a list, and returns the results of those whose bans are not in
// force now. digest is the SHA-256 of the list, for the log of the daemon.
func (c *Client) BanListed(ctx context.Context, items []BanRequest, digest string) ([]status.Result, error) {
	results, err := c.batch(ctx, blacklist, "?brief=true&list="+digest, items, len(items))
	for i := range results {
		r := &results[i]
		if r.Item == 0 { // of a daemon that answers all of them
			r.Item = i + 1
		}
		if r.Item < 1 || r.Item > len(items) {
			return nil, fmt.Errorf("%s answers a result of item %d to %d items", c.name, r.Item, len(items))
		}
	}
	return results, err
}

// TrustAll trusts up to MaxBatch targets; results are by index.
func (c *Client) TrustAll(ctx context.Context, items []TrustRequest) ([]status.Result, error) {
	return c.batch(ctx, whitelist, "", items, len(items))
}

func (c *Client) batch(ctx context.Context, list, query string, items any, n int) ([]status.Result, error) {
	var said struct {
		Results []status.Result `json:"results"`
		Applied int             `json:"applied"` // items without a result
	}
	if err := c.change(ctx, http.MethodPost, list+"/batch"+query, items, &said); err != nil {
		return nil, err
	}
	if len(said.Results)+said.Applied != n {
		return nil, fmt.Errorf("%s answers %d results to %d items", c.name, len(said.Results)+said.Applied, n)
	}
	return said.Results, nil
}

// Unban ends the bans that cover a target, at this node of a fleet alone or at all. Rules do not ban it
// within the grace.
func (c *Client) Unban(ctx context.Context, target ban.Target, grace time.Duration, here bool, reason string) (status.Done, error) {
	q := url.Values{}
	if grace > 0 {
		q.Set("grace", ban.FormatDuration(grace))
	}
	return c.remove(ctx, blacklist+entry(target), q, here, reason)
}

// UnbanAll ends all bans, or those of what lies in a network if that is valid, as Unban does.
func (c *Client) UnbanAll(ctx context.Context, in ban.Target, grace time.Duration, here bool, reason string) (d status.Cleared, err error) {
	q := url.Values{"all": {"true"}}
	if in.IsValid() {
		q.Set("in", in.String())
	}
	if grace > 0 {
		q.Set("grace", ban.FormatDuration(grace))
	}
	if here {
		q.Set("here", "true")
	}
	if reason != "" {
		q.Set("reason", reason)
	}
	return d, c.change(ctx, http.MethodDelete, blacklist+"?"+q.Encode(), nil, &d)
}

// Untrust ends the narrowest run-time trust that covers a target, as Unban does for bans.
func (c *Client) Untrust(ctx context.Context, target ban.Target, here bool, reason string) (status.Done, error) {
	return c.remove(ctx, whitelist+entry(target), url.Values{}, here, reason)
}

func (c *Client) remove(ctx context.Context, path string, q url.Values, here bool, reason string) (d status.Done, err error) {
	if here {
		q.Set("here", "true")
	}
	if reason != "" {
		q.Set("reason", reason)
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return d, c.change(ctx, http.MethodDelete, path, nil, &d)
}
