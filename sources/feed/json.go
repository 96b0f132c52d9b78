package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"freeswitch-security/engine/plugin"
)

// listMembers are the members of an object that hold the list itself. CrowdSec's
// stream has "new" beside "deleted", which must not be taken for one.
var listMembers = []string{"ipaddress", "ips", "bans", "blacklist", "decisions", "entries", "items", "list", "data", "results", "new"}

// pageMembers say, where they hold something, that the list goes on elsewhere.
var pageMembers = []string{"next", "nextCursor", "next_cursor"}

var errNoList = errors.New("an object that holds no list")

var errPaged = errors.New("the answer is one page of several; the feed needs an address that gives the whole list")

// readJSON reads a list in one of three shapes: an array of entries, an object
// that is keyed by address, or an object that holds such a list under one of the
// usual names. An entry is an address, or an object with one.
func (l *list) readJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	number := 0
	if err := l.readValue(d, mostNested, &number); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something behind the list's end")
	}
	return nil
}

// mostNested is how many objects may stand around a list. Each of them holds a copy
// of all that is in it.
const mostNested = 4

var errNested = errors.New("the list is in too many objects")

// readValue reads a list that may stand in so many objects.
func (l *list) readValue(d *json.Decoder, nested int, number *int) error {
	open, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	switch open {
	case json.Delim('['):
		err = l.readArray(d, number)
	case json.Delim('{'):
		if nested == 0 {
			return errNested
		}
		err = l.readObject(d, nested-1, number)
	default:
		return errors.New("neither an array nor an object")
	}
	if err != nil {
		return err
	}
	_, err = d.Token()
	return notJSON(err)
}

func (l *list) readArray(d *json.Decoder, number *int) error {
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return notJSON(err)
		}
		if err := l.element("", raw, number); err != nil {
			return err
		}
	}
	return nil
}

func (l *list) readObject(d *json.Decoder, nested int, number *int) error {
	members, known := 0, 0
	for d.More() {
		members++
		name, raw, err := member(d)
		if err != nil {
			return err
		}
		if slices.Contains(pageMembers, name) && goesOn(raw) {
			return errPaged
		}
		if slices.Contains(listMembers, name) {
			known++
			err = l.readMember(raw, nested, number)
		} else if _, no := parseTarget(name); no == nil {
			known++
			err = l.element(name, raw, number)
		}
		if err != nil {
			return err
		}
	}
	if members > 0 && known == 0 {
		return errNoList
	}
	return nil
}

// member reads the next member of an object.
func member(d *json.Decoder) (name string, raw json.RawMessage, err error) {
	key, err := d.Token()
	if err != nil {
		return "", nil, notJSON(err)
	}
	err = d.Decode(&raw)
	return key.(string), raw, notJSON(err)
}

// readMember reads the list that a member of an object holds; null is an empty one.
func (l *list) readMember(raw json.RawMessage, nested int, number *int) error {
	if raw[0] != '[' && raw[0] != '{' {
		return nil
	}
	return l.readValue(json.NewDecoder(bytes.NewReader(raw)), nested, number)
}

// goesOn reports whether a member that names the next page names one.
func goesOn(raw json.RawMessage) bool {
	return !slices.Contains([]string{"null", `""`, "false", "0"}, string(raw))
}

// notJSON words an error of the decoder's without what it quotes of the answer.
func notJSON(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON from byte %d on", syntax.Offset)
	}
	return errors.New("not JSON, or not all of it")
}

// element takes one entry of a list; key is the address that it stands under.
func (l *list) element(key string, raw json.RawMessage, number *int) error {
	*number++
	e, listed, ok := decodeEntry(key, raw)
	switch {
	case !ok:
		l.skip(*number)
		return nil
	case !listed:
		l.lines++
		return nil
	}
	return l.add(e)
}

// A jsonEntry is an entry that is an object. The names are those of the program's
// own interface, of CrowdSec's decisions, and what else is usual.
type jsonEntry struct {
	IP         string          `json:"ip"`
	IPAddress  string          `json:"ipaddress"`
	Address    string          `json:"address"`
	Target     string          `json:"target"`
	Network    string          `json:"network"`
	Value      string          `json:"value"`
	TTL        json.RawMessage `json:"ttl"`
	Duration   json.RawMessage `json:"duration"`
	Expires    json.RawMessage `json:"expires"`
	ExpiresAt  json.RawMessage `json:"expiresAt"`
	ExpiresAt2 json.RawMessage `json:"expires_at"`
	Until      json.RawMessage `json:"until"`
	Permanent  bool            `json:"permanent"`
	Reason     string          `json:"reason"`
	Scenario   string          `json:"scenario"`
	Comment    string          `json:"comment"`
	Author     string          `json:"author"`
	Type       string          `json:"type"`      // CrowdSec: "ban", "captcha", …
	Simulated  bool            `json:"simulated"` // CrowdSec: nobody is to be banned
}

// decodeEntry reads one entry; listed is false where it asks for no ban.
//
// What another guard has from a feed of its own is not taken over: two guards that
// read each other's lists would keep each other's bans alive, also those that an
// operator has ended.
func decodeEntry(key string, raw json.RawMessage) (e entry, listed, ok bool) {
	var j jsonEntry
	switch raw[0] {
	case '{':
		if json.Unmarshal(raw, &j) != nil {
			return entry{}, false, false
		}
	case '"':
		// Under an address, a lone text is the reason; else it is the address.
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return entry{}, false, false
		}
		if key == "" {
			j.IP = text
		} else {
			j.Reason = text
		}
	default:
		if key == "" {
			return entry{}, false, false
		}
	}
	target, err := parseTarget(firstOf(key, j.IP, j.IPAddress, j.Address, j.Target, j.Network, j.Value))
	if err != nil {
		return entry{}, false, false
	}
	e = entry{target: target, reason: printable(firstOf(j.Reason, j.Scenario, j.Comment))}
	term := firstOf(scalar(j.ExpiresAt), scalar(j.ExpiresAt2), scalar(j.Expires), scalar(j.Until), scalar(j.TTL), scalar(j.Duration))
	if j.Permanent {
		term = "permanent"
	}
	if e.setTerm(term) != nil {
		return entry{}, false, false
	}
	ban := j.Type == "" || strings.EqualFold(j.Type, "ban")
	return e, ban && !j.Simulated && !strings.HasPrefix(j.Author, plugin.FeedAuthor), true
}

// scalar is the text of a string or a number; "" for null and for nothing.
func scalar(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] != '"' {
		return string(raw)
	}
	var text string
	_ = json.Unmarshal(raw, &text) // it has been read as a value before
	return text
}

// firstOf is the first text that is not empty.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
