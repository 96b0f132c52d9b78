package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
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
	outcomes, err := enter(s, r.Context(), l, []T{order})
	done, err := became(s, l, &who, &order, &outcomes[0], err, &tally{})
	if err == nil {
		done.Message = l.message(&order, &outcomes[0])
	}
	return done, err
}

// enter has the engine carry out orders. Outcomes are by index; after an error all are zero.
func enter[T any](s *Server, ctx context.Context, l list[T], orders []T) (outcomes []engine.Outcome, err error) {
	err = s.change(ctx, func(ctx context.Context) (err error) {
		outcomes, err = l.enter(ctx, orders)
		return err
	})
	if err != nil {
		outcomes = make([]engine.Outcome, len(orders))
	}
	return outcomes, err
}

// became returns what became of an order, and logs it as far as the tally allows. An error is that of enter.
func became[T any](s *Server, l list[T], who *caller, order *T, o *engine.Outcome, err error, t *tally) (d status.Done, _ error) {
	if err == nil {
		d, err = l.done(order, o)
		d.Status, d.Applied, d.Why = success, o.Applied, o.Why
	}
	if t.add(err) {
		s.audit(who, l.audit(order), err)
	}
	return d, err
}

// itemsAtOnce is how many items of a batch are one change of the engine: one write to
// the disk and one batch for the kernel.
const itemsAtOnce = 10_000

// A batch is the items of a request.
type batch[T any] struct {
	orders []T
	wrong  []wrongItem
}

// A wrongItem is no order.
type wrongItem struct {
	number int // of the item, from 0
	result status.Result
}

// size returns the number of items.
func (b *batch[T]) size() int { return len(b.orders) + len(b.wrong) }

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
		brief, err := flag(r, "brief")
		if err != nil {
			return err
		}
		items, err := readItems(r, l, &who)
		if err != nil {
			return err
		}
		var t tally
		defer func() { s.auditBatch(&who, l.name, items.size(), &t, digest) }()
		jsonHeader(w)
		out := results{stream: s.stream(w), wrong: items.wrong, brief: brief}
		out.limit += s.limits.change
		out.text(`{"results":[`)
		for part := range slices.Chunk(items.orders, itemsAtOnce) {
			outcomes, failed := enter(s, r.Context(), l, part)
			out.allow()
			for i := range part {
				order := &part[i]
				d, err := became(s, l, &who, order, &outcomes[i], failed, &t)
				out.order(l.audit(order).target, &d, err)
			}
			out.send()
			if out.err != nil {
				break
			}
		}
		out.mistakes()
		out.end()
		return nil
	}
}

// results writes those of a batch, in the order of its items. If they are brief, those of items that are
// in force are counted instead: they are nearly all, and take as long to write and to read as the items.
type results struct {
	*stream
	wrong   []wrongItem // not yet written
	n       int         // results so far
	brief   bool
	applied int // of a brief answer: results that are not written
}

// order writes what became of the next order, behind the wrong items in front of it.
func (r *results) order(target ban.Target, d *status.Done, err error) {
	r.mistakes()
	if r.brief && err == nil && d.Applied {
		r.n++
		r.applied++
		return
	}
	if err != nil {
		r.result(&status.Result{Target: target.String(), Error: err.Error()})
		return
	}
	r.result(&status.Result{
		Target: d.Target.String(), Status: d.Status, Applied: d.Applied, Why: d.Why, Until: d.Until, Unbanned: d.Unbanned,
	})
}

// mistakes writes the results of wrong items up to the next order.
func (r *results) mistakes() {
	for len(r.wrong) > 0 && r.wrong[0].number == r.n {
		r.result(&r.wrong[0].result)
		r.wrong = r.wrong[1:]
	}
}

func (r *results) result(one *status.Result) {
	if r.n > r.applied {
		r.text(",")
	}
	if r.n++; r.brief {
		one.Item = r.n
	}
	r.value(one)
}

func (r *results) end() {
	r.text("]")
	if r.brief {
		r.text(`,"applied":` + strconv.Itoa(r.applied))
	}
	r.text("}\n")
}

// usualItem is how long an item of a batch is, in bytes, for the room of a list. A longer list grows.
const usualItem = 32

// readItems decodes an array.
func readItems[T any](r *http.Request, l list[T], who *caller) (b batch[T], err error) {
	now := time.Now()
	b.orders = make([]T, 0, min(int64(l.most), max(r.ContentLength, 0)/usualItem))
	var raw json.RawMessage // and its room are used again
	var q addRequest
	d := json.NewDecoder(r.Body)
	switch t, err := d.Token(); {
	case err != nil:
		return b, bodyFault(err)
	case t != json.Delim('['):
		return b, faultf(http.StatusBadRequest, "body: it must be an array")
	}
	for d.More() {
		if b.size() == l.most {
			return b, faultf(http.StatusRequestEntityTooLarge, "body: more than %d items", l.most)
		}
		var order T
		err := d.Decode(&raw)
		if q = (addRequest{}); err == nil {
			err = strict(raw, &q)
		}
		switch {
		case err == nil:
			order, err = l.order(&q, who, now)
		case errors.Is(err, io.EOF):
			return b, bodyFault(io.ErrUnexpectedEOF) // the rest of the body is missing
		case breaks(err):
			return b, bodyFault(err)
		default:
			err = errors.New(itemFault(err))
		}
		if err == nil {
			b.orders = append(b.orders, order)
			continue
		}
		result, wrong := status.Result{Target: cut(q.IP), Error: err.Error()}, order // a copy: order stays on the stack
		if target := l.audit(&wrong).target; target.IsValid() {
			result.Target = target.String()
		}
		b.wrong = append(b.wrong, wrongItem{b.size(), result})
	}
	switch _, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return b, bodyFault(io.ErrUnexpectedEOF)
	case err != nil:
		return b, bodyFault(err)
	}
	return b, atEnd(d)
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
