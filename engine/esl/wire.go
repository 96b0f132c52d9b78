package esl

import (
	"errors"
	"time"
)

// A wire stands between the socket and goesl.
//
// goesl reads as if nobody ever sent anything but what it expects. A negative or
// huge Content-Length and a short -ERR panic in its goroutine, where nobody can
// recover; -ERR anywhere in an answer, log records and unknown content types end
// the connection; plain events lose their headers; nothing has a deadline; and
// what arrives together with the reply to the password is lost. So it does not
// read from the socket. The wire does, with our own frame reader, and hands goesl
// one frame at a time that it cannot choke on: the two of the greeting, and then
// nothing but events that are flat JSON objects of strings. What kind of frame
// that was, it tells with names that FreeSWITCH, whose strings end at a NUL, has
// no way to send.
type wire struct {
	*link
	owed  int       // replies to come before the switch has only to report
	until time.Time // by when it must have made its next step
	out   []byte    // what goesl has not read yet of the frame at hand
	frame []byte    // the memory of out
	end   error     // why nothing more comes
}

// Names of headers by which the wire tells what is no event.
const (
	replyName      = "\x00reply"
	recordName     = "\x00record"
	unreadableName = "\x00unreadable"
)

var errOver = errors.New("the connection is over")

func newWire(l *link, owed int) *wire {
	return &wire{link: l, owed: owed, until: time.Now().Add(l.limits.step)}
}

// Read hands on the frames of the connection as goesl can take them. At its end
// it returns errOver, and why is in end.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.out) == 0 {
		if w.end != nil {
			return 0, errOver
		}
		w.end = w.fill()
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

// fill reads a frame and translates it; there may be nothing of it to hand on.
func (w *wire) fill() error {
	if w.phase == open && w.owed == 0 {
		w.until = time.Now().Add(w.limits.silence)
	}
	before := w.phase
	f, err := w.next(w.until)
	if err != nil {
		return err
	}
	if w.phase != before {
		w.until = time.Now().Add(w.limits.step)
	}
	switch {
	case before == greeting && w.phase == proving:
		w.out = []byte("Content-Type: auth/request\n\n")
	case before == proving && w.phase == open:
		w.out = []byte("Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
	case w.phase == open:
		w.out = w.translate(&f)
	}
	return nil
}

// translate returns what goesl is given for a frame: an event in JSON, or nothing.
func (w *wire) translate(f *frame) []byte {
	w.begin()
	switch f.kind {
	case kindReply:
		w.owed = max(w.owed-1, 0)
		w.put([]byte(replyName), []byte(w.frames.quote(f.field("Reply-Text"))))
	case kindJSON, kindPlain, kindRecord:
		if !f.each(w.put) {
			w.begin()
			w.put([]byte(unreadableName), nil)
			break
		}
		if f.kind == kindRecord {
			w.put([]byte(recordName), nil)
		}
	case kindOther:
		w.put([]byte(unreadableName), nil)
	default:
		return nil
	}
	return w.finish()
}

// The head of a frame for goesl. The length is filled in at the end, in as many
// digits as the longest body can need.
const (
	goeslLength = "Content-Length: "
	goeslDigits = "000000000"
	goeslHead   = goeslLength + goeslDigits + "\nContent-Type: text/event-json\n\n"
)

// begin starts a frame for goesl anew.
func (w *wire) begin() {
	const kept = 1 << 20 // bytes
	if cap(w.frame) > kept {
		w.frame = nil
	}
	w.frame = append(append(w.frame[:0], goeslHead...), '{')
}

// put adds a header to it.
func (w *wire) put(name, value []byte) {
	if len(w.frame) > len(goeslHead)+1 {
		w.frame = append(w.frame, ',')
	}
	w.frame = appendQuoted(w.frame, name)
	w.frame = append(w.frame, ':')
	w.frame = appendQuoted(w.frame, value)
}

func (w *wire) finish() []byte {
	w.frame = append(w.frame, '}')
	digits := w.frame[len(goeslLength):][:len(goeslDigits)]
	for n, i := len(w.frame)-len(goeslHead), len(digits)-1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return w.frame
}

// appendQuoted appends b as a string in JSON. What is not UTF-8 is left to the
// decoder, which makes U+FFFD of it.
func appendQuoted(out, b []byte) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	done := 0 // so far b has been appended
	for i, c := range b {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, b[done:i]...)
		done = i + 1
		if c < ' ' {
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		} else {
			out = append(out, '\\', c)
		}
	}
	return append(append(out, b[done:]...), '"')
}
