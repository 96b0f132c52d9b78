package banlist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// listMembers are the members of an object that hold the list itself. CrowdSec's
// stream has "new" beside "deleted", which is not a list of bans.
var listMembers = []string{"ipaddress", "ips", "bans", "blacklist", "decisions", "entries", "items", "list", "data", "results", "new"}

// pageMembers say, where they hold something, that the list goes on elsewhere.
var pageMembers = []string{"next", "nextCursor", "next_cursor"}

// metadata is the type of the line about a list of Spamhaus that stands in it, behind the networks.
const metadata = "metadata"

const (
	maxNested  = 4    // objects around a list
	maxUnknown = 1000 // members of an object that are reported as bad entries
)

var (
	errNoList   = errors.New("the object holds no list")
	errNested   = errors.New("the list is in too many objects")
	errPaged    = errors.New("this is one page of several; read an address or a file that holds the whole list")
	errTrailing = errors.New("there is something behind the list's end")
	errNotList  = errors.New("it is neither an array nor an object")
	errNotEntry = errors.New("it is neither an address nor an object with one")
)

// readJSON reads an array of entries, an object keyed by address, an object that holds
// either under one of the usual names, or objects that are entries one after the other.
func readJSON(text string, add func(Entry) error) error {
	r := jsonReader{Decoder: json.NewDecoder(strings.NewReader(text)), add: add}
	for number := 1; ; number++ {
		start := r.InputOffset()
		open := r.next()
		if r.err == io.EOF && number > 1 {
			return nil
		}
		if r.list(open, maxNested); r.err != errNoList {
			break
		}
		e := element(number, "", json.RawMessage(strings.TrimSpace(text[start:r.InputOffset()])))
		if e.Text == "" && e.Err != ErrNoBan && number == 1 {
			return errNoList
		}
		if r.err = add(e); r.err != nil {
			return r.err
		}
	}
	if _, err := r.Token(); r.err == nil && err != io.EOF {
		return errTrailing
	}
	// The errors of the decoder quote the list.
	if syntax, ok := errors.AsType[*json.SyntaxError](r.err); ok {
		return fmt.Errorf("not JSON from byte %d on", syntax.Offset)
	}
	if r.err == io.EOF || r.err == io.ErrUnexpectedEOF {
		return errors.New("not JSON, or not all of it")
	}
	return r.err
}

// A jsonReader reads lists from one stream of tokens. After its first error it reads
// and adds nothing.
type jsonReader struct {
	*json.Decoder
	add func(Entry) error
	err error
}

// next reads a token; nil after an error.
func (r *jsonReader) next() (token json.Token) {
	if r.err == nil {
		token, r.err = r.Token()
	}
	return token
}

// raw reads a value; null after an error.
func (r *jsonReader) raw() json.RawMessage {
	raw := json.RawMessage("null")
	if r.err == nil {
		r.err = r.Decode(&raw)
	}
	return raw
}

func (r *jsonReader) give(e Entry) {
	if r.err == nil {
		r.err = r.add(e)
	}
}

func (r *jsonReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// more reports whether the array or object goes on. It reads the end.
func (r *jsonReader) more() bool {
	if r.err == nil && r.More() {
		return true
	}
	r.next()
	return false
}

// list reads the list that begins with the token open and may stand in so many objects.
func (r *jsonReader) list(open json.Token, nested int) {
	switch {
	case open == json.Delim('['):
		for number := 1; r.more(); number++ {
			raw := r.raw()
			decisions, alert := decisionsOf(raw)
			if !alert {
				r.give(element(number, "", raw))
			}
			for _, decision := range decisions {
				r.give(element(number, "", decision))
			}
		}
	case open != json.Delim('{'):
		r.fail(errNotList)
	case nested == 0:
		r.fail(errNested)
	default:
		r.object(nested - 1)
	}
}

// object reads an object that holds lists or is keyed by address. In one that is
// keyed by address, a member that is none is a bad entry; in any other, it is passed over.
func (r *jsonReader) object(nested int) {
	number, lists, keyed := 0, false, false
	var unknown []Entry
	for ; r.more(); number++ {
		name, _ := r.next().(string)
		if slices.Contains(listMembers, name) {
			lists = true
			if open, ok := r.next().(json.Delim); ok { // null and other scalars are empty lists
				r.list(open, nested)
			}
			continue
		}
		raw := r.raw()
		switch e := element(number+1, name, raw); {
		case slices.Contains(pageMembers, name):
			if goesOn := !slices.Contains([]string{"null", `""`, "false", "0"}, string(raw)); goesOn {
				r.fail(errPaged)
			}
		case e.Target.IsValid():
			keyed = true
			r.give(e)
		case len(unknown) < maxUnknown:
			unknown = append(unknown, e)
		}
	}
	switch {
	case keyed:
		for _, e := range unknown {
			r.give(e)
		}
	case !lists && number > 0:
		r.fail(errNoList)
	}
}

// decisionsOf returns the decisions of an alert of CrowdSec: cscli lists alerts, each with what was decided.
func decisionsOf(raw json.RawMessage) (decisions []json.RawMessage, alert bool) {
	if raw[0] != '{' || !bytes.Contains(raw, []byte(`"decisions"`)) {
		return nil, false
	}
	var members struct {
		Decisions json.RawMessage `json:"decisions"`
	}
	if json.Unmarshal(raw, &members) != nil || members.Decisions == nil {
		return nil, false
	}
	return decisions, json.Unmarshal(members.Decisions, &decisions) == nil
}

// element reads one entry: an address or an object. Under a key, which is the
// address, a lone text is the reason.
func element(number int, key string, raw json.RawMessage) Entry {
	texts := map[string]string{}
	switch {
	case raw[0] == '{':
		var members map[string]json.RawMessage
		_ = json.Unmarshal(raw, &members) // raw is an object
		for name, value := range members {
			texts[fieldName(name)] = scalar(value)
		}
	case raw[0] == '"' && key == "":
		texts[targetNames[0]] = scalar(raw)
	case raw[0] == '"':
		texts[reasonNames[0]] = scalar(raw)
	case key == "":
		return Entry{Unit: "entry", Number: number, Err: errNotEntry}
	}
	if key != "" {
		texts[targetNames[0]] = key
	}
	if texts["permanent"] == "true" {
		texts[endNames[0]] = "permanent"
	}
	e := newEntry("entry", number, func(name string) string { return texts[name] })
	e.Author = texts["author"]
	kind := texts["type"]
	if e.Err == nil && (texts["simulated"] == "true" || kind != "" && !strings.EqualFold(kind, "ban")) || e.Text == "" && kind == metadata {
		e.Err = ErrNoBan
	}
	return e
}

// scalar is the text of a string or a number; "" for null. Of anything else it is the
// JSON, which is no address and no time.
func scalar(raw json.RawMessage) string {
	text := ""
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	return text
}
