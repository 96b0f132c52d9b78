package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"freeswitch-security/engine"
)

// A fault is an answer that is no success: an HTTP status and a text.
type fault struct {
	status int
	text   string
}

func (f *fault) Error() string { return f.text }

// Status implements [page.Fault].
func (f *fault) Status() int { return f.status }

func faultf(status int, format string, args ...any) *fault {
	return &fault{status, fmt.Sprintf(format, args...)}
}

// asFault returns the answer to an error. An error that is neither a fault nor a
// mistake comes from the engine, and means that it cannot do it now.
func asFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var m engine.Mistake
	if errors.As(err, &m) {
		return &fault{http.StatusBadRequest, err.Error()}
	}
	return &fault{http.StatusServiceUnavailable, err.Error()}
}

// A failure is the JSON of a fault.
type failure struct {
	Error string `json:"error"`
}

// refuse writes a fault.
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
		panic(err) // our own types can always be encoded
	}
	text = append(text, '\n')
	jsonHeader(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // after an error the caller is gone
}

func jsonHeader(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }

// marshal encodes v as JSON that is safe to show on a terminal, and in a page, which
// encoding/json takes care of.
func marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return escapeUnseen(text), nil
}

// escapeUnseen escapes the invisible characters that encoding/json does not: DEL, the
// control characters behind ASCII, and marks of text direction. Outside of strings JSON
// has no such characters.
func escapeUnseen(text []byte) []byte {
	if !slices.ContainsFunc(text, func(b byte) bool { return b < ' ' || b > '~' }) {
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

// A stream writes an answer in pieces. Each piece has the time of one write, so that a
// long answer may take long, and a caller that stopped reading may not.
type stream struct {
	w     io.Writer
	flush *http.ResponseController
	limit time.Duration
	piece []byte // the latest text, for its memory
	err   error  // of a write: the caller is gone
}

func (s *Server) stream(w http.ResponseWriter) *stream {
	return &stream{w: w, flush: http.NewResponseController(w), limit: s.limits.write}
}

// text writes a piece of JSON.
func (s *stream) text(piece string) {
	s.piece = append(s.piece[:0], piece...)
	s.bytes(s.piece)
}

func (s *stream) bytes(piece []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(piece)
	}
}

// value encodes a value.
func (s *stream) value(v any) {
	text, err := marshal(v)
	if err != nil {
		panic(err) // our own types can always be encoded
	}
	s.bytes(text)
}

// allow renews the time for the next write.
func (s *stream) allow() {
	if err := s.flush.SetWriteDeadline(time.Now().Add(s.limit)); err != nil && !errors.Is(err, http.ErrNotSupported) && s.err == nil {
		s.err = err
	}
}

// send flushes what is written.
func (s *stream) send() {
	if s.err == nil {
		s.err = s.flush.Flush()
	}
}

// success is the status of a change that was made.
const success = "success"
