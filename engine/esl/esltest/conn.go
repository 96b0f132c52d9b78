package esltest

import (
	"bufio"
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
	maxContent = 10 << 20 // bytes; what mod_event_socket takes in a command
)

// conn is one connection to the switch.
type conn struct {
	sw       *Switch
	net      net.Conn
	accepted []string // commands; guarded by the switch's mutex

	write sync.Mutex // one frame goes out at a time; guards the two below
	rand  *rand.Rand // sizes of pieces; nil: whole
	muted bool

	mu     sync.Mutex // guards the subscription, which follows
	format string     // "plain", "json"
	events map[string]bool
	custom map[string]bool
	level  int // of log records; -1: none
}

func newConn(s *Switch, accepted net.Conn) *conn {
	c := &conn{sw: s, net: accepted, format: "plain", events: map[string]bool{}, custom: map[string]bool{}, level: -1}
	if s.options.Shred != 0 {
		c.rand = rand.New(rand.NewPCG(s.options.Shred, 0))
	}
	c.muted = s.options.Mute == Connect
	return c
}

// serve carries on the dialogue up to its end.
func (c *conn) serve() {
	defer c.net.Close()
	if c.sw.options.RefuseACL {
		c.send(notice("text/rude-rejection", "Access Denied, go away.\n"))
		c.bye()
		return
	}
	c.send("Content-Type: auth/request\n\n")
	c.mute(Auth)
	lines := bufio.NewReader(c.net)
	authed := false
	for {
		command, ok := readCommand(lines)
		if !ok {
			c.bye()
			return
		}
		reply, more := c.answer(command, &authed)
		// Told first: who waits for a command to be accepted must not have the
		// answer before that.
		c.sw.note(c, command, strings.Contains(reply, "+OK"))
		c.send(reply)
		if !more {
			c.bye()
			return
		}
		if authed {
			c.mute(Ready)
		}
	}
}

func (c *conn) bye() { c.send(notice("text/disconnect-notice", goodbye)) }

// mute makes the connection say nothing more, if that is its stage for it.
func (c *conn) mute(stage Stage) {
	if c.sw.options.Mute == stage {
		c.write.Lock()
		c.muted = true
		c.write.Unlock()
	}
}

// readCommand reads header lines up to an empty one, and the body that they
// announce. It returns the first line.
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

// answer carries out a command. The connection ends after the answer if more is
// false.
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
	case !*authed:
	case verb == "api" && rest != "":
		return c.api(rest), true
	case verb == "event":
		return commandReply(c.subscribe(rest)), true
	case verb == "noevents":
		c.mu.Lock()
		defer c.mu.Unlock()
		clear(c.events)
		clear(c.custom)
		return commandReply("+OK no longer listening for events"), true
	case verb == "log":
		return commandReply(c.logLevel(rest)), true
	case verb == "nolog":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.level = -1
		return commandReply("+OK no longer logging"), true
	}
	return commandReply("-ERR command not found"), true
}

func (c *conn) api(command string) string {
	name, _, _ := strings.Cut(command, " ")
	answer := fmt.Sprintf("-ERR %s Command not found!\n", name)
	if c.sw.options.API != nil {
		answer = c.sw.options.API(command)
	}
	if answer == "" {
		answer = "-ERR no reply\n"
	}
	return notice("api/response", answer)
}

// subscribe reads `event [format] NAME… [CUSTOM subclass…]` as FreeSWITCH does,
// which passes over names that it does not know.
func (c *conn) subscribe(list string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	custom, known := false, false
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
	if !known {
		return "-ERR no keywords supplied"
	}
	return "+OK event listener enabled " + c.format
}

func (c *conn) logLevel(text string) string {
	level, err := strconv.Atoi(text)
	if err != nil || level < 0 || level > 7 {
		return "-ERR invalid log level"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.level = level
	return fmt.Sprintf("+OK log level %s [%d]", text, level)
}

// wants reports whether the connection has subscribed to a frame.
func (c *conn) wants(f *frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.kind == "log/data":
		return f.level <= c.level
	case f.kind != "text/event-"+c.format:
		return false
	case c.events["ALL"]:
		return true
	case f.event == "CUSTOM":
		return c.events["CUSTOM"] && c.custom[f.subclass]
	}
	return c.events[f.event]
}

// send writes text, in pieces if so asked. An error shows when the next command is
// read.
func (c *conn) send(text string) {
	c.write.Lock()
	defer c.write.Unlock()
	if c.muted {
		return
	}
	for c.rand != nil && len(text) > 0 {
		n := min(len(text), 1+c.rand.IntN(1<<c.rand.IntN(12)))
		if _, err := io.WriteString(c.net, text[:n]); err != nil {
			return
		}
		text = text[n:]
		if c.rand.IntN(50) == 0 {
			time.Sleep(time.Microsecond) // else the pieces lie together in the buffers
		}
	}
	_, _ = io.WriteString(c.net, text)
}

func commandReply(text string) string {
	return "Content-Type: command/reply\nReply-Text: " + text + "\n\n"
}

// notice builds a frame with a body.
func notice(contentType, body string) string {
	return fmt.Sprintf("Content-Type: %s\nContent-Length: %d\n\n%s", contentType, len(body), body)
}
