package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// A fault is an answer that is no success: a status, and words for people.
type fault struct {
	status int
	text   string
}

func (f *fault) Error() string { return f.text }

func faultf(status int, format string, args ...any) *fault {
	return &fault{status, fmt.Sprintf(format, args...)}
}

// asFault says how an error is answered. What is neither a fault nor a mistake
// comes from the engine, which cannot do it now.
func asFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var m Mistake
	if errors.As(err, &m) {
		return &fault{http.StatusBadRequest, err.Error()}
	}
	return &fault{http.StatusServiceUnavailable, err.Error()}
}

// A failure is the JSON of a fault.
type failure struct {
	Error string `json:"error"`
}

// refuse answers that it was not done, and why.
func refuse(w http.ResponseWriter, f *fault) {
	switch f.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="freeswitch-security"`)
	}
	answer(w, f.status, failure{f.text})
}

// answer writes one JSON value.
func answer(w http.ResponseWriter, status int, v any) {
	text, err := marshal(v)
	if err != nil {
		panic(err) // our own types can always be written
	}
	text = append(text, '\n')
	jsonHeader(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error: the caller is gone
}

func jsonHeader(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }

// marshal writes v as JSON that is safe to show: in a page (as encoding/json
// sees to) and on a terminal.
func marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return escapeUnseen(text), nil
}

// escapeUnseen escapes what encoding/json writes as it is but cannot be seen: DEL,
// the control characters behind ASCII, marks that turn the text around. Outside
// of strings JSON has no such characters.
func escapeUnseen(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		if strconv.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// A stream writes an answer piece by piece. Each has the time of one write, so
// that a long answer may take long, and a caller who stopped reading may not.
type stream struct {
	w     io.Writer
	flush *http.ResponseController
	limit time.Duration
	err   error // of a write; the caller is gone
}

func (s *Server) stream(w http.ResponseWriter) *stream {
	return &stream{w: w, flush: http.NewResponseController(w), limit: s.limits.write}
}

// text writes a piece as it is.
func (s *stream) text(piece string) { s.bytes([]byte(piece)) }

func (s *stream) bytes(piece []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(piece)
	}
}

// value writes a value in JSON.
func (s *stream) value(v any) {
	text, err := marshal(v)
	if err != nil {
		panic(err) // our own types can always be written
	}
	s.bytes(text)
}

// allow gives the caller time to take what is written next.
func (s *stream) allow() {
	if err := s.flush.SetWriteDeadline(time.Now().Add(s.limit)); err != nil && !errors.Is(err, http.ErrNotSupported) && s.err == nil {
		s.err = err
	}
}

// send has what was written sent.
func (s *stream) send() {
	if s.err == nil {
		s.err = s.flush.Flush()
	}
}

// moment is a time in JSON: RFC 3339 in UTC, null for the zero time and for what
// RFC 3339 cannot write.
type moment time.Time

func (m moment) MarshalJSON() ([]byte, error) {
	t := time.Time(m).UTC()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return []byte("null"), nil
	}
	return t.Truncate(time.Microsecond).MarshalJSON()
}

// list is a slice that is never null in JSON.
type list[T any] []T

func (l list[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}
