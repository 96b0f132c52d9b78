package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"freeswitch-security/engine/ban"
)

// itemsAtOnce is how many items of a batch are one change of the engine: one write
// to the disk, and one batch of the kernel.
const itemsAtOnce = 10_000

// An item is one entry of a batch, read.
type item[T any] struct {
	target ban.Target
	wish   T
	text   string // as it came, where it is malformed
	fault  string // what is wrong with it; "" if nothing
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
	writeBatch(s, w, items, func(orders []ban.Order) []result {
		outcomes, err := s.block(r.Context(), orders)
		results := make([]result, len(orders))
		for i := range orders {
			results[i] = banResult(&orders[i], outcomes, i, err)
		}
		return results
	}, func(o *ban.Order, err error) { s.audit(&who, banning(o), err) })
	return nil
}

func banResult(o *ban.Order, outcomes []Outcome, i int, err error) result {
	if err == nil {
		err = outcomes[i].refused()
	}
	if err != nil {
		return result{Target: o.Target.String(), Error: err.Error()}
	}
	outcome := &outcomes[i]
	return result{Target: outcome.target().String(), Status: success, Applied: outcome.Applied, Why: outcome.why()}
}

// addTrusts answers POST /security/whitelist/batch.
func (s *Server) addTrusts(w http.ResponseWriter, r *http.Request) error {
	who := s.callerOf(r)
	now := time.Now()
	items, free, err := readBatch(s, w, r, s.limits.trustItems, func(d *json.Decoder) (item[Trusted], error) {
		var q trustRequest
		if err := d.Decode(&q); err != nil {
			return item[Trusted]{text: cut(q.IP)}, err
		}
		t, err := q.entry(&who, now)
		return newItem(ban.Network(t.Network), t, q.IP, err), nil
	})
	if err != nil {
		return err
	}
	defer free()
	writeBatch(s, w, items, func(entries []Trusted) []result {
		outcomes, err := s.trustAll(r.Context(), entries)
		results := make([]result, len(entries))
		for i := range entries {
			results[i] = trustResult(&entries[i], outcomes, i, err)
		}
		return results
	}, func(t *Trusted, err error) { s.audit(&who, trusting(t), err) })
	return nil
}

func trustResult(t *Trusted, outcomes []TrustOutcome, i int, err error) result {
	name := ban.Network(t.Network).String()
	if err == nil {
		err = outcomes[i].refused(t)
	}
	if err != nil {
		return result{Target: name, Error: err.Error()}
	}
	return result{Target: name, Status: success, Applied: outcomes[i].Applied, Why: whyNot(outcomes[i].Applied, outcomes[i].Why)}
}

func newItem[T any](target ban.Target, wish T, text string, err error) item[T] {
	it := item[T]{target: target, wish: wish}
	if err != nil {
		it.text, it.fault = cut(text), err.Error()
	}
	return it
}

// readBatch reads an array, one item after the other, before anything is done: what
// is not an array of at most so many items is refused as a whole. An item that
// is wrong in itself is kept with its fault. free gives back the slot that a
// batch takes, since many of them at once would take all memory.
func readBatch[T any](s *Server, w http.ResponseWriter, r *http.Request, most int, read func(*json.Decoder) (item[T], error)) (items []item[T], free func(), err error) {
	if err := isJSON(r); err != nil {
		return nil, nil, err
	}
	select {
	case s.batches <- struct{}{}:
	default:
		return nil, nil, faultf(http.StatusServiceUnavailable, "other batches are being worked on: %d at once", cap(s.batches))
	}
	free = func() { <-s.batches }
	s.allowBatch(w)
	if items, err = readItems(r, most, read); err != nil {
		free()
		return nil, nil, err
	}
	return items, free, nil
}

// readItems reads the array that a body is.
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
				err = io.ErrUnexpectedEOF // what is missing is the rest of the body
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

// breaks tells whether nothing more can be read after an error.
func breaks(err error) bool {
	var syntax *json.SyntaxError
	var large *http.MaxBytesError
	var network interface{ Timeout() bool }
	return errors.As(err, &syntax) || errors.As(err, &large) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// allowBatch gives the caller the time and the size of a batch.
func (s *Server) allowBatch(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	now := time.Now()
	// Where deadlines are not supported, those of the whole server hold.
	_ = control.SetReadDeadline(now.Add(s.limits.batch))
	_ = control.SetWriteDeadline(now.Add(s.limits.batch + s.limits.change + s.limits.write))
}

// writeBatch has the items done that are right, many at a time, and writes the
// result of each as soon as it is there. The audit hears of every item that was
// tried.
func writeBatch[T any](s *Server, w http.ResponseWriter, items []item[T], do func([]T) []result, audit func(*T, error)) {
	jsonHeader(w)
	out := s.stream(w)
	out.limit += s.limits.change
	out.text(`{"results":[`)
	first := true
	for len(items) > 0 && out.err == nil {
		part := items[:min(len(items), itemsAtOnce)]
		items = items[len(part):]
		var wishes []T
		for i := range part {
			if part[i].fault == "" {
				wishes = append(wishes, part[i].wish)
			}
		}
		var results []result
		if len(wishes) > 0 {
			results = do(wishes)
		}
		out.allow()
		next := results
		for i := range part {
			if !first {
				out.text(",")
			}
			first = false
			if part[i].fault != "" {
				out.value(result{Target: part[i].name(), Error: part[i].fault})
				continue
			}
			out.value(next[0])
			next = next[1:]
		}
		out.send()
		for i := range wishes {
			var err error
			if results[i].Error != "" {
				err = errors.New(results[i].Error)
			}
			audit(&wishes[i], err)
		}
	}
	out.text("]}\n")
}

// name is what a result calls an item that is wrong.
func (it *item[T]) name() string {
	if it.target.IsValid() {
		return it.target.String()
	}
	return it.text
}

// trustAll has the guard trust, within the time of a change.
func (s *Server) trustAll(ctx context.Context, entries []Trusted) (outcomes []TrustOutcome, err error) {
	err = s.change(ctx, func(ctx context.Context) (err error) {
		outcomes, err = s.Guard.Trust(ctx, entries)
		return err
	})
	return outcomes, err
}
