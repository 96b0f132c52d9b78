package esl

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxCommand bounds a command, in bytes.
const maxCommand = 4 << 10

// Console connects for commands. Its errors are those of Listen.
func (s Switch) Console(ctx context.Context) (*Console, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	return &Console{at: s, conn: conn}, nil
}

// A Console is a connection that carries out commands, one after another. It is not
// safe for concurrent use. After any error but a *Refusal or invalid arguments it is
// closed: a late answer could be taken for that of the next command.
type Console struct {
	at   Switch
	conn *conn
	end  error // why it is closed
}

// API carries out `api command args…` and returns the answer, at most 64 MB, without
// the line break at its end. It waits until ctx ends, or 10 s where ctx has no
// deadline. An answer that begins with "-ERR" or "-USAGE" is a *Refusal.
//
// A word that holds a line break, a control character or, except in the last, a
// blank is an error, and nothing is sent.
func (c *Console) API(ctx context.Context, command string, args ...string) (string, error) {
	line, err := commandLine(command, args)
	if err != nil {
		return "", err
	}
	return c.run(ctx, line)
}

// run carries out a command, see [Console.API].
func (c *Console) run(ctx context.Context, line string) (string, error) {
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if c.end != nil {
		return "", fmt.Errorf("%s: the connection is closed: %w", c.at, c.end)
	}
	answer, err := c.exchange(ctx, line)
	if err != nil {
		_ = c.conn.Close()
		c.end = c.at.explain(ctx, err)
		return "", c.end
	}
	if strings.HasPrefix(answer, "-ERR") || strings.HasPrefix(answer, "-USAGE") {
		return "", &Refusal{Text: c.conn.frames.quote([]byte(answer))}
	}
	return strings.TrimRight(answer, "\r\n"), nil
}

// quoteUUID writes the name of a channel for commands that read quotes and backslashes. A caller may have
// chosen it: a UUID of FreeSWITCH stays as it is.
//
// Trap: a word that begins with ^^ sets the separator, except in quotes.
func quoteUUID(uuid string) string {
	if quoted := escapes.Replace(uuid); quoted != uuid || uuid == "" || strings.HasPrefix(uuid, "^^") {
		return "'" + quoted + "'"
	}
	return uuid
}

var escapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`, " ", `\s`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", "")

// maxUUID bounds the name of a channel, in bytes: FreeSWITCH cuts it there.
const maxUUID = 256

// onChannel carries out a command on a channel: before, its name, after.
//
// Trap: the switch cuts the name that a browser has chosen within a character, and messages have U+FFFD in
// place of what is no UTF-8. The list of channels has the bytes. The command is carried out on each channel
// that is read as uuid.
func (c *Console) onChannel(ctx context.Context, before, uuid, after string) (answer string, err error) {
	names := []string{uuid[:min(len(uuid), maxUUID)]}
	if strings.ContainsRune(uuid, utf8.RuneError) {
		if names, err = c.namesOf(ctx, uuid); err != nil {
			return "", err
		}
	}
	err, done := error(&Refusal{Text: "-ERR No such channel!"}), false
	for _, name := range names {
		if one, failure := c.run(ctx, before+quoteUUID(name)+after); failure == nil {
			answer, err, done = one, nil, true
		} else if !done {
			err = failure
		}
	}
	return answer, err
}

// namesOf returns the names of listed channels that are read as uuid, as the switch has them.
func (c *Console) namesOf(ctx context.Context, uuid string) (names []string, err error) {
	rows, err := show[struct {
		UUID json.RawMessage `json:"uuid"`
	}](ctx, c, "channels")
	for i := range rows {
		if name := unquoteBytes(rows[i].UUID); string([]rune(name)) == uuid {
			names = append(names, name)
		}
	}
	return names, err
}

// unquoteBytes unquotes a string of JSON and keeps its bytes, of which FreeSWITCH escapes only ASCII.
func unquoteBytes(token []byte) string {
	wide := make([]rune, len(token))
	for i, b := range token {
		wide[i] = rune(b)
	}
	var text string
	_ = json.Unmarshal([]byte(string(wide)), &text) // of what is no string nothing is read
	name := make([]byte, 0, len(token))
	for _, r := range text {
		name = append(name, byte(r))
	}
	return string(name)
}

// Channel returns the headers of a channel, as its events have them, whatever its name. Its end is a *Refusal.
func (c *Console) Channel(ctx context.Context, uuid string) (map[string]string, error) {
	answer, err := c.onChannel(ctx, "api uuid_dump ", uuid, " json")
	headers := map[string]string{}
	if err == nil && !eachJSON([]byte(answer), nil, func(name string, value []byte) { headers[name] = string(value) }) {
		err = fmt.Errorf("%w: it is no JSON", ErrProtocol)
	}
	if err != nil {
		return nil, fmt.Errorf("read channel %s: %w", Printable(uuid), err)
	}
	return headers, nil
}

// Hangup ends a channel at once, whatever its name. If it has ended already, that is a *Refusal.
//
// uuid_kill ends its argument at the first blank, and a browser of mod_verto chooses the name of its call:
// "<the call of another> x" would end that. With no seconds, sched_hangup does not wait.
func (c *Console) Hangup(ctx context.Context, uuid, cause string) error {
	_, err := c.onChannel(ctx, "api sched_hangup +0 ", uuid, " "+cause)
	return err
}

// exchange sends a command and waits for its answer.
func (c *Console) exchange(ctx context.Context, line string) (string, error) {
	defer context.AfterFunc(ctx, func() { _ = c.conn.Close() })()
	until := time.Now().Add(c.conn.limits.step)
	if deadline, ok := ctx.Deadline(); ok {
		until = deadline.Add(c.conn.limits.step) // ctx ends it before
	}
	if err := c.conn.client.Send(line); err != nil {
		return "", err
	}
	for {
		f, err := c.conn.next(until)
		switch {
		case err != nil:
			return "", err
		case f.kind == kindAnswer:
			return string(f.body), nil
		case f.kind == kindReply: // in place of an answer: "-ERR permission denied"
			return string(f.field("Reply-Text")), nil
		}
	}
}

// Close ends the connection.
func (c *Console) Close() error {
	if c.end != nil {
		return nil
	}
	c.end = net.ErrClosed
	return c.conn.Close()
}

// commandLine builds `api command args…`, in which every argument is only itself.
func commandLine(command string, args []string) (string, error) {
	words := append([]string{command}, args...)
	for i, word := range words {
		last := i > 0 && i == len(words)-1
		switch {
		case !last && !isWord(word):
			return "", fmt.Errorf("%q is not one word of a command", Printable(word))
		case strings.ContainsFunc(word, unicode.IsControl):
			return "", fmt.Errorf("%q holds a line break or another control character", Printable(word))
		}
	}
	line := "api " + strings.Join(words, " ")
	if len(line) > maxCommand {
		return "", fmt.Errorf("a command of %d bytes: at most %d can be sent", len(line), maxCommand)
	}
	return line, nil
}

// isWord reports whether text is exactly one word of a command.
func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == unicode.ReplacementChar
	})
}

// A Refusal is the answer of a switch that did not carry out a command.
type Refusal struct {
	Text string // as [Printable]: "-ERR No such channel!"
}

func (r *Refusal) Error() string { return "refused: " + r.Text }

// Printable returns text as one printable line of about 200 bytes at most.
func Printable(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text[:min(len(text), 4*most)]), " ")
	text = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return unicode.ReplacementChar
	}, text)
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
