package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// A handler answers a request, unless it returns an error.
type handler = func(http.ResponseWriter, *http.Request) error

// A list is bans or trust, as callers add to it. T is the order that the engine takes.
type list[T any] struct {
	name    string // of what is added
	most    int    // items of a batch
	order   func(*addRequest, *caller, time.Time) (T, error)
	enter   func(context.Context, []T) ([]engine.Outcome, error)
	audit   func(*T) auditEntry
	done    func(*T, *engine.Outcome) (status.Done, error) // without Message; an error: the order was refused
	message func(*T, *engine.Outcome) string               // of Done
}

func (s *Server) bans() list[ban.Order] {
	return list[ban.Order]{"ban", s.limits.banItems, (*addRequest).ban, s.Engine.Ban, auditBan, banned, bannedMessage}
}

func (s *Server) trusts() list[ban.Trusted] {
	return list[ban.Trusted]{"trust", s.limits.trustItems, (*addRequest).trust, s.Engine.Trust, auditTrust, trusted, trustedMessage}
}

// add answers POST to a list.
func add[T any](s *Server, l list[T]) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var q addRequest
		if err := decode(r, &q); err != nil {
			return err
		}
		done, err := addOne(s, r, l, &q)
		if err == nil {
			answer(w, http.StatusOK, done)
		}
		return err
	}
}

// addOne has the engine carry out one request.
func addOne[T any](s *Server, r *http.Request, l list[T], q *addRequest) (status.Done, error) {
	who := s.callerOf(r)
	order, err := l.order(q, &who, time.Now())
	if err != nil {
		return status.Done{}, &fault{http.StatusBadRequest, err.Error()}
	}
	result := enter(s, r.Context(), l, &who, []T{order}, &tally{})[0]
	if result.err == nil {
		result.Message = l.message(&order, result.outcome)
	}
	return result.Done, result.err
}

// An entered order was carried out, or refused with an error.
type entered struct {
	status.Done
	outcome *engine.Outcome // nil: the engine could carry out none
	err     error
}

// enter has the engine carry out orders, and logs them as far as the tally allows. Results are by index.
func enter[T any](s *Server, ctx context.Context, l list[T], who *caller, orders []T, t *tally) []entered {
	var outcomes []engine.Outcome
	err := s.change(ctx, func(ctx context.Context) (err error) {
		outcomes, err = l.enter(ctx, orders)
		return err
	})
	all := make([]entered, len(orders))
	for i := range orders {
		e := &all[i]
		if e.err = err; err == nil {
			e.outcome = &outcomes[i]
			e.Done, e.err = l.done(&orders[i], e.outcome)
			e.Status, e.Applied, e.Why = success, e.outcome.Applied, e.outcome.Why
		}
		if t.add(e.err) {
			s.audit(who, l.audit(&orders[i]), e.err)
		}
	}
	return all
}

// itemsAtOnce is how many items of a batch are one change of the engine: one write to
// the disk and one batch for the kernel.
const itemsAtOnce = 10_000

// An item is one decoded entry of a batch.
type item[T any] struct {
	order T
	text  string // its target as it was written
	err   error  // what is wrong with it
}

// addAll answers POST to the batch of a list. A body that is no array of at most most items is
// refused before anything is done. A wrong item has its own result. The number of batches at once is
// limited: they take memory.
func addAll[T any](s *Server, l list[T]) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := isJSON(r); err != nil {
			return err
		}
		batches := s.shareOf(r.Context()).batches
		select {
		case batches <- struct{}{}:
			defer func() { <-batches }()
		default:
			return faultf(http.StatusServiceUnavailable, "too many batches: the limit is %d at once", cap(batches))
		}
		s.allowBatch(w)
		who := s.callerOf(r)
		digest, err := digestOf(r)
		if err != nil {
			return err
		}
		items, err := readItems(r, l, &who)
		if err != nil {
			return err
		}
		var t tally
		defer func() { s.auditBatch(&who, l.name, len(items), &t, digest) }()
		jsonHeader(w)
		out := s.stream(w)
		out.limit += s.limits.change
		separator := `{"results":[`
		for part := range slices.Chunk(items, itemsAtOnce) {
			results := enterItems(s, r.Context(), l, &who, part, &t)
			out.allow()
			for i := range results {
				out.text(separator)
				separator = ","
				out.value(results[i])
			}
			out.send()
			if out.err != nil {
				break
			}
		}
		if len(items) == 0 {
			out.text(separator)
		}
		out.text("]}\n")
		return nil
	}
}

// enterItems makes the changes of the valid items, and returns the results of all.
func enterItems[T any](s *Server, ctx context.Context, l list[T], who *caller, items []item[T], t *tally) []status.Result {
	orders := make([]T, 0, len(items))
	for i := range items {
		if items[i].err == nil {
			orders = append(orders, items[i].order)
		}
	}
	var all []entered
	if len(orders) > 0 {
		all = enter(s, ctx, l, who, orders, t)
	}
	results := make([]status.Result, len(items))
	for i := range items {
		it, result := &items[i], &results[i]
		err := it.err
		if err == nil {
			d := &all[0].Done
			*result = status.Result{
				Target: d.Target.String(), Status: d.Status, Applied: d.Applied, Why: d.Why, Until: d.Until, Unbanned: d.Unbanned,
			}
			err, all = all[0].err, all[1:]
		}
		if err != nil {
			*result = status.Result{Target: it.text, Error: err.Error()}
			if target := l.audit(&it.order).target; target.IsValid() {
				result.Target = target.String()
			}
		}
	}
	return results
}

// usualItem is how long an item of a batch is, in bytes, for the room of a list. A longer list grows.
const usualItem = 32

// readItems decodes an array.
func readItems[T any](r *http.Request, l list[T], who *caller) ([]item[T], error) {
	now := time.Now()
	items := make([]item[T], 0, min(int64(l.most), max(r.ContentLength, 0)/usualItem))
	var raw json.RawMessage // and its room are used again
	var q addRequest
	d := json.NewDecoder(r.Body)
	switch t, err := d.Token(); {
	case err != nil:
		return nil, bodyFault(err)
	case t != json.Delim('['):
		return nil, faultf(http.StatusBadRequest, "body: it must be an array")
	}
	for d.More() {
		if len(items) == l.most {
			return nil, faultf(http.StatusRequestEntityTooLarge, "body: more than %d items", l.most)
		}
		var it item[T]
		err := d.Decode(&raw)
		if q = (addRequest{}); err == nil {
			err = strict(raw, &q)
		}
		switch {
		case err == nil:
			it.order, it.err = l.order(&q, who, now)
		case errors.Is(err, io.EOF):
			return nil, bodyFault(io.ErrUnexpectedEOF) // the rest of the body is missing
		case breaks(err):
			return nil, bodyFault(err)
		default:
			it.err = errors.New(itemFault(err))
		}
		it.text = cut(q.IP)
		items = append(items, it)
	}
	switch _, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return nil, bodyFault(io.ErrUnexpectedEOF)
	case err != nil:
		return nil, bodyFault(err)
	}
	return items, atEnd(d)
}

// breaks reports whether nothing more can be decoded after an error.
func breaks(err error) bool {
	var syntax *json.SyntaxError
	var large *http.MaxBytesError
	var network interface{ Timeout() bool }
	return errors.As(err, &syntax) || errors.As(err, &large) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// allowBatch sets the deadlines of a batch.
func (s *Server) allowBatch(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	now := time.Now()
	// Without support for deadlines, those of the whole server hold.
	_ = control.SetReadDeadline(now.Add(s.limits.batch))
	_ = control.SetWriteDeadline(now.Add(s.limits.batch + s.limits.change + s.limits.write))
}
