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

// maxNested is how many objects may stand around a list.
const maxNested = 4

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
func readJSON(body []byte, add func(Entry) error) error {
	r := jsonReader{json.NewDecoder(bytes.NewReader(body)), add}
	for number := 1; ; number++ {
		start := r.InputOffset()
		open, err := r.Token()
		if err == io.EOF && number > 1 {
			return nil
		}
		if err == nil {
			err = r.list(open, maxNested)
		}
		switch {
		case errors.Is(err, errNoList):
			e := element(number, "", bytes.TrimSpace(body[start:r.InputOffset()]))
			if e.Text == "" {
				return errNoList
			}
			if err := add(e); err != nil {
				return err
			}
		case err != nil:
			return jsonError(err)
		default:
			if _, err := r.Token(); err != io.EOF {
				return errTrailing
			}
			return nil
		}
	}
}

// jsonError rewords an error of the decoder, which would quote the list.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON from byte %d on", syntax.Offset)
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return errors.New("not JSON, or not all of it")
	}
	return err
}

// A jsonReader reads lists from one stream of tokens.
type jsonReader struct {
	*json.Decoder
	add func(Entry) error
}

// list reads the list that begins with the token open and may stand in so many objects.
func (r *jsonReader) list(open json.Token, nested int) error {
	switch {
	case open == json.Delim('['):
		return r.array()
	case open != json.Delim('{'):
		return errNotList
	case nested == 0:
		return errNested
	}
	return r.object(nested - 1)
}

func (r *jsonReader) array() error {
	for number := 1; r.More(); number++ {
		var raw json.RawMessage
		if err := r.Decode(&raw); err != nil {
			return err
		}
		if err := r.add(element(number, "", raw)); err != nil {
			return err
		}
	}
	_, err := r.Token()
	return err
}

// maxUnknown bounds the members of an object that are reported as bad entries.
const maxUnknown = 1000

// object reads an object that holds lists or is keyed by address. In one that is
// keyed by address, a member that is none is a bad entry; in any other, it is passed over.
func (r *jsonReader) object(nested int) error {
	number, lists, keyed := 0, 0, false
	var unknown []Entry
	for ; r.More(); number++ {
		key, err := r.Token()
		if err != nil {
			return err
		}
		name := key.(string)
		if slices.Contains(listMembers, name) {
			lists++
			if err := r.member(nested); err != nil {
				return err
			}
			continue
		}
		var raw json.RawMessage
		if err := r.Decode(&raw); err != nil {
			return err
		}
		if slices.Contains(pageMembers, name) {
			if goesOn(raw) {
				return errPaged
			}
			continue
		}
		e := element(number+1, name, raw)
		if e.Target.IsValid() {
			keyed = true
			err = r.add(e)
		} else if len(unknown) < maxUnknown {
			unknown = append(unknown, e)
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.Token(); err != nil {
		return err
	}
	if !keyed && lists == 0 && number > 0 {
		return errNoList
	}
	for i := 0; keyed && i < len(unknown); i++ {
		if err := r.add(unknown[i]); err != nil {
			return err
		}
	}
	return nil
}

// member reads a member that holds a list; null and other scalars are empty ones.
func (r *jsonReader) member(nested int) error {
	open, err := r.Token()
	if _, delim := open.(json.Delim); err != nil || !delim {
		return err
	}
	return r.list(open, nested)
}

// goesOn reports whether a member that names the next page names one.
func goesOn(raw json.RawMessage) bool {
	return !slices.Contains([]string{"null", `""`, "false", "0"}, string(raw))
}

// element reads one entry: an address or an object. Under a key, which is the
// address, a lone text is the reason.
func element(number int, key string, raw json.RawMessage) Entry {
	var r record
	switch {
	case raw[0] == '{':
		r = members(raw)
	case raw[0] == '"' && key == "":
		r[address] = scalar(raw)
	case raw[0] == '"':
		r[reason] = scalar(raw)
	case key == "":
		return Entry{Unit: "entry", Number: number, Err: errNotEntry}
	}
	if key != "" {
		r[address] = key
	}
	if r[permanent] == "true" {
		r[expires] = "permanent"
	}
	e := r.entry("entry", number)
	if e.Err == nil && (r[simulated] == "true" || r[kind] != "" && !strings.EqualFold(r[kind], "ban")) {
		e.Err = ErrNoBan
	}
	return e
}

func members(raw json.RawMessage) record {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(raw, &all) // raw is an object
	texts := map[string]string{}
	for name, value := range all {
		texts[fieldName(name)] = scalar(value)
	}
	return pick(func(name string) string { return texts[name] })
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
