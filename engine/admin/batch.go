package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// itemsAtOnce is how many items of a batch are one change of the engine: one write to
// the disk and one batch for the kernel.
const itemsAtOnce = 10_000

// An item is one decoded entry of a batch.
type item[T any] struct {
	target ban.Target
	value  T
	text   string // as received, if it is malformed
	fault  string // what is wrong with it; "" if nothing is
}

// addBans answers POST /security/blacklist/batch.
func (s *Server) addBans(w http.ResponseWriter, r *http.Request) error {
	who := s.callerOf(r)
	now := time.Now()
	items, free, err := readBatch(s, w, r, s.limits.banItems, func(d *json.Decoder) (item[ban.Order], error) {
		var q banRequest
		if err := d.Decode(&q); err != nil {
			return item[ban.Order]{text: cut(q.IP)}, err
		}
		o, err := q.order(&who, now)
		return newItem(o.Target, o, q.IP, err), nil
	})
	if err != nil {
		return err
	}
	defer free()
	writeBatch(s, w, items, func(orders []ban.Order) []status.Result {
		outcomes, err := s.ban(r.Context(), orders)
		results := make([]status.Result, len(orders))
		for i := range orders {
			results[i] = banResult(&orders[i], outcomes, i, err)
		}
		return results
	}, func(o *ban.Order, err error) { s.audit(&who, changeOfBan(o), err) })
	return nil
}

func banResult(o *ban.Order, outcomes []engine.Outcome, i int, err error) status.Result {
	if err == nil {
		err = refusal(&outcomes[i])
	}
	if err != nil {
		return status.Result{Target: o.Target.String(), Error: err.Error()}
	}
	outcome := &outcomes[i]
	return status.Result{Target: inForce(&outcome.Changes[0]).Target.String(), Status: success, Applied: outcome.Applied, Why: outcome.Why}
}

// addTrusts answers POST /security/whitelist/batch.
func (s *Server) addTrusts(w http.ResponseWriter, r *http.Request) error {
	who := s.callerOf(r)
	now := time.Now()
	items, free, err := readBatch(s, w, r, s.limits.trustItems, func(d *json.Decoder) (item[ban.Trusted], error) {
		var q trustRequest
		if err := d.Decode(&q); err != nil {
			return item[ban.Trusted]{text: cut(q.IP)}, err
		}
		t, err := q.entry(&who, now)
		return newItem(ban.Network(t.Network), t, q.IP, err), nil
	})
	if err != nil {
		return err
	}
	defer free()
	writeBatch(s, w, items, func(entries []ban.Trusted) []status.Result {
		outcomes, err := s.trustAll(r.Context(), entries)
		results := make([]status.Result, len(entries))
		for i := range entries {
			results[i] = trustResult(&entries[i], outcomes, i, err)
		}
		return results
	}, func(t *ban.Trusted, err error) { s.audit(&who, changeOfTrust(t), err) })
	return nil
}

func trustResult(t *ban.Trusted, outcomes []engine.Outcome, i int, err error) status.Result {
	name := ban.Network(t.Network).String()
	if err != nil {
		return status.Result{Target: name, Error: err.Error()}
	}
	return status.Result{Target: name, Status: success, Applied: outcomes[i].Applied, Why: outcomes[i].Why}
}

func newItem[T any](target ban.Target, value T, text string, err error) item[T] {
	it := item[T]{target: target, value: value}
	if err != nil {
		it.text, it.fault = cut(text), err.Error()
	}
	return it
}

// readBatch decodes the array of a batch before anything is done. A body that is no
// array of at most most items is refused entirely. A wrong item is kept with its fault.
// free frees the slot of the batch: too many batches at once would take all memory.
func readBatch[T any](s *Server, w http.ResponseWriter, r *http.Request, most int, read func(*json.Decoder) (item[T], error)) (items []item[T], free func(), err error) {
	if err := isJSON(r); err != nil {
		return nil, nil, err
	}
	select {
	case s.batches <- struct{}{}:
	default:
		return nil, nil, faultf(http.StatusServiceUnavailable, "too many batches: the limit is %d at once", cap(s.batches))
	}
	free = func() { <-s.batches }
	s.allowBatch(w)
	if items, err = readItems(r, most, read); err != nil {
		free()
		return nil, nil, err
	}
	return items, free, nil
}

// readItems decodes an array.
func readItems[T any](r *http.Request, most int, read func(*json.Decoder) (item[T], error)) ([]item[T], error) {
	var items []item[T]
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	switch t, err := d.Token(); {
	case err != nil:
		return nil, bodyFault(err)
	case t != json.Delim('['):
		return nil, faultf(http.StatusBadRequest, "body: it must be an array")
	}
	for d.More() {
		if len(items) == most {
			return nil, faultf(http.StatusRequestEntityTooLarge, "body: more than %d items", most)
		}
		it, err := read(d)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the rest of the body is missing
			}
			if breaks(err) {
				return nil, bodyFault(err)
			}
			it.fault = itemFault(err)
		}
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

// writeBatch makes the changes of the valid items, many at a time, and writes the
// results. audit is called for every item that was tried.
func writeBatch[T any](s *Server, w http.ResponseWriter, items []item[T], do func([]T) []status.Result, audit func(*T, error)) {
	jsonHeader(w)
	out := s.stream(w)
	out.limit += s.limits.change
	out.text(`{"results":[`)
	first := true
	for len(items) > 0 && out.err == nil {
		part := items[:min(len(items), itemsAtOnce)]
		items = items[len(part):]
		var valid []T
		for i := range part {
			if part[i].fault == "" {
				valid = append(valid, part[i].value)
			}
		}
		var results []status.Result
		if len(valid) > 0 {
			results = do(valid)
		}
		out.allow()
		next := results
		for i := range part {
			if !first {
				out.text(",")
			}
			first = false
			if part[i].fault != "" {
				out.value(status.Result{Target: part[i].name(), Error: part[i].fault})
				continue
			}
			out.value(next[0])
			next = next[1:]
		}
		out.send()
		for i := range valid {
			var err error
			if results[i].Error != "" {
				err = errors.New(results[i].Error)
			}
			audit(&valid[i], err)
		}
	}
	out.text("]}\n")
}

// name is the target of a wrong item in its result.
func (it *item[T]) name() string {
	if it.target.IsValid() {
		return it.target.String()
	}
	return it.text
}

// trustAll trusts networks, within the time of a change.
func (s *Server) trustAll(ctx context.Context, entries []ban.Trusted) (outcomes []engine.Outcome, err error) {
	err = s.change(ctx, func(ctx context.Context) (err error) {
		outcomes, err = s.Engine.Trust(ctx, entries)
		return err
	})
	return outcomes, err
}
