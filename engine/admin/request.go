package admin

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"
)

// maxReason bounds a reason and a comment, in bytes.
const maxReason = 500

// clean bounds a text and replaces what cannot be printed, such as line breaks and
// escape sequences, by blanks.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if len(s) <= maxReason {
		return strings.TrimSpace(s)
	}
	end := maxReason
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimSpace(s[:end])
}

// A ttl is the term in a request: seconds, a duration or "permanent".
type ttl struct {
	term ban.Term // 0: not given
}

func (t *ttl) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if text[0] != '"' {
		seconds, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return errors.New("ttl: write a number of seconds or a duration such as \"10m\"")
		}
		t.term, err = termOf(seconds)
		return err
	}
	words := string(text[1 : len(text)-1])
	var err error
	if strings.ContainsFunc(words, func(r rune) bool { return r == '\\' || r < ' ' || r > '~' }) {
		err = json.Unmarshal(text, &words)
	}
	if err != nil {
		return err
	}
	t.term, err = parseTTL(words)
	return err
}

// parseTTL reads "600", "10m", "permanent".
func parseTTL(words string) (ban.Term, error) {
	if strings.Trim(words, "0123456789") == "" { // the error of a number takes memory
		if seconds, err := strconv.ParseUint(words, 10, 64); err == nil {
			return termOf(float64(seconds))
		}
	}
	if len(words) > 64 {
		return 0, errors.New("ttl: the text is too long for a duration")
	}
	term, err := ban.ParseTerm(words)
	if err != nil {
		return 0, fmt.Errorf("ttl: %w", err)
	}
	if term < ban.Term(time.Second) {
		return 0, fmt.Errorf("ttl: %q is shorter than a second", words)
	}
	return term, nil
}

func termOf(seconds float64) (ban.Term, error) {
	switch {
	case math.IsNaN(seconds) || seconds < 1:
		return 0, errors.New("ttl: the minimum is one second")
	case seconds > ban.MaxDuration.Seconds():
		return 0, fmt.Errorf("ttl: the maximum is %s, or write \"permanent\"", ban.FormatDuration(ban.MaxDuration))
	}
	return ban.Term(seconds * float64(time.Second)), nil
}

// lasting returns the term that ttl and permanent give; 0 if they give none.
func lasting(t ttl, permanent bool) (ban.Term, error) {
	switch {
	case !permanent:
		return t.term, nil
	case t.term != 0 && t.term != ban.Permanent:
		return 0, errors.New("permanent and ttl contradict each other: set one of them")
	}
	return ban.Permanent, nil
}

// An addRequest is the body of a request to ban or to trust.
type addRequest struct {
	IP        string `json:"ip"`
	Reason    string `json:"reason"`
	Comment   string `json:"comment"` // another name of the reason
	Permanent bool   `json:"permanent"`
	TTL       ttl    `json:"ttl"`
	Here      bool   `json:"here"` // at this node of a fleet alone
}

// The prefix lengths of the widest networks that a request may ban, trust or give a
// grace: a wider one is a mistake. fc00::/7 is all private IPv6 networks.
const (
	widest4    = 8
	widestBan6 = 16
	widest6    = 7
)

// why returns the reason, cleaned.
func (q *addRequest) why() (string, error) {
	reason, comment := clean(q.Reason), clean(q.Comment)
	if reason != "" && comment != "" && reason != comment {
		return "", errors.New("comment and reason mean the same: set one of them")
	}
	return cmp.Or(reason, comment), nil
}

// ban returns the order to ban that a request asks for.
func (q *addRequest) ban(c *caller, now time.Time) (o ban.Order, err error) {
	if o.Target, err = parseTarget(q.IP); err != nil {
		return o, err
	}
	network := o.Target.Prefix()
	if o.Target.Kind() == ban.TargetAddress {
		o.Address = network.Addr() // a network has none: it is never narrowed
	}
	o.ByHand, o.Author, o.At = true, c.orders(q.Here), now
	term, err := lasting(q.TTL, q.Permanent)
	if term != 0 {
		o.Terms = []ban.Term{term}
	}
	reason, unclear := q.why()
	o.Reason = reason
	return o, cmp.Or(tooWide(network, widestBan6), unclear, err)
}

// trust returns the entry to trust that a request asks for.
func (q *addRequest) trust(c *caller, now time.Time) (t ban.Trusted, err error) {
	if t.Target, err = parseTarget(q.IP); err != nil {
		return t, err
	}
	if t.Target.Kind() == ban.TargetEndpoint {
		return t, fmt.Errorf("ip: %s is an endpoint: trust its address", t.Target)
	}
	t.Name, t.Author, t.Since = "whitelist", c.orders(q.Here), now
	term, err := lasting(q.TTL, q.Permanent)
	t.Until = cmp.Or(term, trustFor).End(now)
	comment, unclear := q.why()
	t.Comment = comment
	return t, cmp.Or(tooWide(t.Target.Prefix(), widest6), unclear, err)
}

// parseTarget reads a target of any kind.
func parseTarget(text string) (ban.Target, error) {
	if text == "" {
		return ban.Target{}, errors.New("ip is missing: write an address, a network, an endpoint such as 203.0.113.7:5060/udp, or an account such as 1000@pbx.example")
	}
	target, err := ban.ParseWritten(text)
	if err != nil {
		return ban.Target{}, fmt.Errorf("ip: %q is neither an address nor a network such as 203.0.113.0/24, nor an endpoint such as 203.0.113.7:5060/udp, nor an account such as 1000@pbx.example", cut(text))
	}
	return target, nil
}

// tooWide refuses a network that is wider than the given prefix lengths.
func tooWide(target netip.Prefix, widestIPv6 int) error {
	if !target.IsValid() {
		return nil // an account
	}
	widest := widest4
	if target.Addr().Is6() {
		widest = widestIPv6
	}
	if target.Bits() < widest {
		return fmt.Errorf("ip: %s is too wide: the limit is /%d", target, widest)
	}
	return nil
}

// cut bounds a wrong text for an error message.
func cut(text string) string {
	const most = 64
	if text = clean(text); len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// targetOf reads the target in a request's path. It may be as wide as
// what rules and feeds ban.
func targetOf(r *http.Request) (ban.Target, error) {
	target, err := parseTarget(r.PathValue("ip"))
	if err != nil {
		return target, &fault{http.StatusBadRequest, err.Error()}
	}
	return target, nil
}

// flag reads true or false from the query of a request; false if it is not given.
func flag(r *http.Request, name string) (bool, error) {
	switch text := r.URL.Query().Get(name); text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, faultf(http.StatusBadRequest, "%s: write true or false, not %q", name, cut(text))
	}
}

// reasonOf reads the reason of a request without a body.
func reasonOf(r *http.Request) string { return clean(r.URL.Query().Get("reason")) }

// digestOf reads the digest of the list that the items of a batch are from; "": not given.
func digestOf(r *http.Request) (string, error) {
	text := r.URL.Query().Get("list")
	if sum, err := hex.DecodeString(text); err != nil || len(sum) != 0 && len(sum) != sha256.Size {
		return "", faultf(http.StatusBadRequest, "list: write the SHA-256 of the list in hexadecimal digits")
	}
	return text, nil
}

// decode decodes the body of a request, which must be one JSON value.
func decode(r *http.Request, v any) error {
	if err := isJSON(r); err != nil {
		return err
	}
	d := json.NewDecoder(r.Body)
	var raw json.RawMessage
	err := d.Decode(&raw)
	if err == nil {
		err = strict(raw, v)
	}
	if err != nil {
		return bodyFault(err)
	}
	return atEnd(d)
}

// strict decodes valid JSON, an object, into a struct. A name must be written as the API has it, and once:
// encoding/json takes IP for ip, and the last of two, so what a proxy has checked could be another
// value than the one that counts.
func strict(text []byte, v any) error {
	_, wrong := checkNames(text, namesOf(reflect.TypeOf(v).Elem()))
	return cmp.Or(wrong, json.Unmarshal(text, v)) // a wrong item is named by its target
}

// names are the names of the fields of structs, by type.
var names sync.Map

func namesOf(t reflect.Type) []string {
	if known, ok := names.Load(t); ok {
		return known.([]string)
	}
	var all []string
	for _, f := range reflect.VisibleFields(t) {
		all = append(all, f.Tag.Get("json"))
	}
	names.Store(t, all)
	return all
}

// checkNames refuses names of an object that are not known, or stand twice, in the object or in one
// within it. nil as known allows all. The text begins with a valid value; what follows it is the rest.
func checkNames(text []byte, known []string) (rest []byte, err error) {
	text = bytes.TrimLeft(text, blanks)
	switch text[0] {
	case '"':
		return text[stringEnd(text):], nil
	case '{', '[':
	default:
		end := bytes.IndexAny(text, ",]}"+blanks)
		if end < 0 {
			end = len(text)
		}
		return text[end:], nil
	}
	object := text[0] == '{'
	var seen []string
	for text = bytes.TrimLeft(text[1:], blanks); text[0] != '}' && text[0] != ']'; text = bytes.TrimLeft(text, blanks) {
		if text[0] == ',' {
			text = bytes.TrimLeft(text[1:], blanks)
		}
		if object {
			end := stringEnd(text)
			name := nameIn(text[:end], known)
			switch {
			case slices.Contains(seen, name):
				return nil, fmt.Errorf("%q stands twice", cut(name))
			case known != nil && !slices.Contains(known, name):
				return nil, unknownName(name, known)
			}
			if seen = append(seen, name); len(seen) > maxNames {
				return nil, fmt.Errorf("an object has more than %d names", maxNames)
			}
			text = bytes.TrimLeft(text[end:], blanks)[1:] // the colon
		}
		if text, err = checkNames(text, nil); err != nil {
			return nil, err
		}
	}
	return text[1:], nil
}

const (
	blanks   = " \t\r\n" // of JSON
	maxNames = 100       // in an object: no request has as many
)

// stringEnd returns where the string ends with which a text begins.
func stringEnd(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// nameIn decodes a name: one of the known ones without an allocation.
func nameIn(quoted []byte, known []string) (name string) {
	for _, k := range known {
		if string(quoted[1:len(quoted)-1]) == k {
			return k
		}
	}
	_ = json.Unmarshal(quoted, &name) // it is valid
	return name
}

func unknownName(name string, known []string) error {
	if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
		return fmt.Errorf("unknown field %q: write %q", name, known[i])
	}
	return fmt.Errorf("unknown field %q", cut(name))
}

// atEnd refuses anything after the one value of a body.
func atEnd(d *json.Decoder) error {
	switch _, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return bodyFault(err)
	}
	return faultf(http.StatusBadRequest, "body: there is more after the JSON value")
}

// isJSON requires the content type that no web form can send.
func isJSON(r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return faultf(http.StatusUnsupportedMediaType, "the body must be JSON: send \"Content-Type: application/json\"")
	}
	return nil
}

// bodyFault words an error of a body.
func bodyFault(err error) *fault {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return faultf(http.StatusRequestEntityTooLarge, "body: more than %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return faultf(http.StatusRequestTimeout, "body: it was not received in time")
	case errors.Is(err, io.EOF):
		return faultf(http.StatusBadRequest, "body: it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return faultf(http.StatusBadRequest, "body: it is incomplete")
	}
	return &fault{http.StatusBadRequest, "body: " + itemFault(err)}
}

// itemFault words an error of one value in a body.
func itemFault(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		where := "the item"
		if kind.Field != "" {
			where = kind.Field
		}
		return fmt.Sprintf("%s must not be a %s", where, kind.Value)
	}
	return clean(strings.TrimPrefix(err.Error(), "json: "))
}

// whole reads a number from a query.
func whole(q url.Values, name string, standard, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, faultf(http.StatusBadRequest, "%s: write a number from 1 to %d", name, most)
	}
	return n, nil
}
