package esltest

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	goodbye    = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
	maxContent = 10 << 20 // bytes; the limit of mod_event_socket for a command
)

// conn is one connection to the switch.
type conn struct {
	sw       *Switch
	net      net.Conn
	accepted []string // commands; guarded by the switch's mutex

	write sync.Mutex // guards rand and muted; one frame is sent at a time
	rand  *rand.Rand // sizes of pieces
	muted bool

	mu     sync.Mutex // guards the subscription below
	format string     // "plain", "json"
	events map[string]bool
	custom map[string]bool
	level  int // of log records; -1: none
}

func newConn(s *Switch, accepted net.Conn) *conn {
	return &conn{
		sw: s, net: accepted, rand: rand.New(rand.NewPCG(s.options.Shred, 0)),
		format: "plain", events: map[string]bool{}, custom: map[string]bool{}, level: -1,
	}
}

// serve carries on the dialogue to its end.
func (c *conn) serve() {
	defer c.sw.forget(c)
	defer c.net.Close()
	defer func() { c.send(frame("text/disconnect-notice", goodbye)) }()
	c.reach(Connect)
	if c.sw.options.RefuseACL {
		c.send(frame("text/rude-rejection", "Access Denied, go away.\n"))
		return
	}
	c.send("Content-Type: auth/request\n\n")
	c.reach(Auth)
	lines := bufio.NewReader(c.net)
	for more, authed := true, false; more; {
		command, ok := readCommand(lines)
		if !ok {
			return
		}
		var reply string
		reply, more = c.answer(command, &authed)
		c.sw.note(c, command, strings.Contains(reply, "+OK"))
		c.send(reply)
		if authed {
			c.reach(Ready)
		}
	}
}

// reach mutes the connection if that is its stage for it.
func (c *conn) reach(stage Stage) {
	if c.sw.options.Mute == stage {
		c.mute()
	}
}

func (c *conn) mute() {
	c.write.Lock()
	defer c.write.Unlock()
	c.muted = true
}

// readCommand reads header lines up to an empty one, and the body that they announce.
// It returns the first line.
func readCommand(r *bufio.Reader) (command string, ok bool) {
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", false
		}
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "" && command == "":
		case line == "":
			_, err := io.CopyN(io.Discard, r, int64(length))
			return command, err == nil
		case command == "":
			command = line
		case strings.EqualFold(name, "Content-Length"):
			length, _ = strconv.Atoi(strings.TrimSpace(value))
			if length < 0 || length > maxContent {
				return "", false
			}
		}
	}
}

// answer carries out a command. Without more, the connection ends after the answer.
func (c *conn) answer(command string, authed *bool) (reply string, more bool) {
	verb, rest, _ := strings.Cut(command, " ")
	switch verb = strings.ToLower(verb); {
	case verb == "exit":
		return commandReply("+OK bye"), false
	case verb == "auth" && !*authed:
		*authed = rest == c.sw.options.Password
		if !*authed {
			return commandReply("-ERR invalid"), false
		}
		return commandReply("+OK accepted"), true
	case *authed && verb == "api" && rest != "":
		return c.api(rest), true
	case *authed:
		return commandReply(c.subscribe(verb, rest)), true
	}
	return commandReply("-ERR command not found"), true
}

func (c *conn) api(command string) string {
	name, _, _ := strings.Cut(command, " ")
	answer := fmt.Sprintf("-ERR %s Command not found!\n", name)
	if own, known := c.sw.setLevel(command); known {
		answer = own
	} else if c.sw.options.API != nil {
		answer = c.sw.options.API(command)
	}
	return frame("api/response", cmp.Or(answer, "-ERR no reply\n"))
}

// subscribe carries out a command that changes what the connection gets.
func (c *conn) subscribe(verb, rest string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch verb {
	case "event":
		if !c.addEvents(rest) {
			return "-ERR no keywords supplied"
		}
		return "+OK event listener enabled " + c.format
	case "noevents":
		clear(c.events)
		clear(c.custom)
		return "+OK no longer listening for events"
	case "log":
		level, err := strconv.Atoi(rest)
		if err != nil || level < 0 || level > 7 {
			return "-ERR invalid log level"
		}
		c.level = level
		return fmt.Sprintf("+OK log level %s [%d]", rest, level)
	case "nolog":
		c.level = -1
		return "+OK no longer logging"
	}
	return "-ERR command not found"
}

// addEvents reads `[format] NAME… [CUSTOM subclass…]`. Like FreeSWITCH, it ignores
// unknown names, and reports whether there was a known one.
func (c *conn) addEvents(list string) (known bool) {
	custom := false
	for i, word := range strings.Split(list, " ") {
		name := strings.ToUpper(word)
		switch {
		case i == 0 && (name == "PLAIN" || name == "JSON"):
			c.format = strings.ToLower(word)
		case custom:
			c.custom[word] = true
		case slices.Contains(eventNames, name):
			c.events[name] = true
			known, custom = true, name == "CUSTOM"
		}
	}
	return known
}

// wants reports whether the connection has subscribed to a report.
func (c *conn) wants(r *report) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.kind == "log/data":
		return r.level <= c.level
	case r.kind != "text/event-"+c.format:
		return false
	case c.events["ALL"]:
		return true
	case r.event == "CUSTOM":
		return c.events["CUSTOM"] && c.custom[r.subclass]
	}
	return c.events[r.event]
}

// send writes text, in pieces if the options say so. An error shows at the next read.
func (c *conn) send(text string) {
	c.write.Lock()
	defer c.write.Unlock()
	if c.muted {
		return
	}
	for c.sw.options.Shred != 0 && len(text) > 0 {
		n := min(len(text), 1+c.rand.IntN(1<<c.rand.IntN(12)))
		if _, err := io.WriteString(c.net, text[:n]); err != nil {
			return
		}
		text = text[n:]
		if c.rand.IntN(50) == 0 {
			time.Sleep(time.Microsecond) // else the pieces meet again in the buffers
		}
	}
	_, _ = io.WriteString(c.net, text)
}

func commandReply(text string) string {
	return "Content-Type: command/reply\nReply-Text: " + text + "\n\n"
}

// frame builds a frame with a body.
func frame(contentType, body string) string {
	return fmt.Sprintf("Content-Type: %s\nContent-Length: %d\n\n%s", contentType, len(body), body)
}
