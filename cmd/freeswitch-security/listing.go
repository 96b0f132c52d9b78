package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

const (
	// maxListing bounds a file of addresses, in bytes, and maxListed how many
	// entries it may have.
	maxListing = 256 << 20
	maxListed  = 1_000_000
)

// A listed is one entry of a file of addresses.
type listed struct {
	place  string // where it stands: "line 7", "entry 7"
	text   string // the address as it stands there
	target netip.Prefix
	reason string
	term   ban.Term  // 0: it does not say how long
	ends   time.Time // zero: it does not say when
	err    error     // why it cannot be used
}

// saysWhen reports whether an entry says when it ends, or that it never does.
func (e *listed) saysWhen() bool { return e.term == ban.Permanent || !e.ends.IsZero() }

// set takes the texts of an entry that say how long it lasts. An empty one says
// nothing; where it ends is told by its end before its length.
func (e *listed) set(address, term, ends string) {
	e.text = address
	var wrong [2]error
	e.target, wrong[0] = ban.ParseTarget(strings.TrimSpace(address))
	term, ends = strings.TrimSpace(term), strings.TrimSpace(ends)
	switch {
	case ends == "permanent":
		e.term = ban.Permanent
	case ends != "":
		if e.ends, wrong[1] = time.Parse(time.RFC3339, ends); wrong[1] != nil {
			wrong[1] = fmt.Errorf("%q is not a time such as 2026-05-04T10:00:00Z", ends)
		}
	case term != "":
		e.term, wrong[1] = parseTerm(term)
	}
	for _, err := range wrong {
		if err != nil {
			e.err = err
			return
		}
	}
}

// parseTerm reads a duration, "permanent", or a number of seconds.
func parseTerm(s string) (ban.Term, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return ban.ParseTerm(s)
	}
	if !(seconds >= 1 && seconds <= ban.MaxDuration.Seconds()) { // so that NaN is none
		return 0, fmt.Errorf("%q is not between a second and 100 years", s)
	}
	return ban.Term(seconds * float64(time.Second)), nil
}

// readBounded reads all of a file of addresses.
func readBounded(name string, r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxListing+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxListing {
		return "", fmt.Errorf("%s is longer than %d MB: split it", name, maxListing>>20)
	}
	return string(text), nil
}

// readListing reads a file of addresses. The format "" is found out from its
// name and how it begins.
func readListing(name, format, text string) (entries []listed, err error) {
	text = strings.TrimPrefix(text, "\ufeff") // which editors of Windows write
	if format == "" {
		format = formatOf(name, text)
	}
	switch format {
	case "plain":
		entries = readPlain(text)
	case "csv":
		entries, err = readCSV(text)
	case "json":
		entries, err = readJSON(text)
	default:
		return nil, fmt.Errorf("--format is plain, csv or json, not %q", format)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(entries) > maxListed:
		return nil, fmt.Errorf("%s has more than %d entries: split it", name, maxListed)
	}
	return entries, nil
}

func formatOf(name, text string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return "csv"
	case ".json", ".jsonl":
		return "json"
	}
	begin := strings.TrimSpace(text[:min(len(text), 4096)])
	if strings.HasPrefix(begin, "[") || strings.HasPrefix(begin, "{") {
		return "json"
	}
	if first, _, _ := strings.Cut(begin, "\n"); strings.Contains(first, ",") {
		if _, err := columnsOf(strings.Split(first, ",")); err == nil {
			return "csv"
		}
	}
	return "plain"
}

// plainAddress is the address on a line of a plain list; "" where there is none.
// What follows a blank, # or ; is a comment.
func plainAddress(line string) string {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

func readPlain(text string) []listed {
	var entries []listed
	number := 0
	for line := range strings.Lines(text) {
		number++
		if address := plainAddress(line); address != "" {
			e := listed{place: fmt.Sprint("line ", number)}
			e.set(address, "", "")
			entries = append(entries, e)
		}
	}
	return entries
}

// columns says at which place of a row what stands; -1: nowhere.
type columns struct{ address, term, ends, reason int }

// columnNames are the words of a header, in small letters.
var columnNames = map[string]func(*columns) *int{
	"ip": (*columns).addressAt, "address": (*columns).addressAt, "target": (*columns).addressAt,
	"ttl": (*columns).termAt, "for": (*columns).termAt,
	"expires": (*columns).endsAt, "expiresat": (*columns).endsAt, "until": (*columns).endsAt,
	"reason": (*columns).reasonAt, "comment": (*columns).reasonAt,
}

func (c *columns) addressAt() *int { return &c.address }
func (c *columns) termAt() *int    { return &c.term }
func (c *columns) endsAt() *int    { return &c.ends }
func (c *columns) reasonAt() *int  { return &c.reason }

// columnsOf reads a header. Columns of other names are passed over.
func columnsOf(header []string) (*columns, error) {
	c := &columns{-1, -1, -1, -1}
	for i, name := range header {
		if at := columnNames[strings.ToLower(strings.TrimSpace(name))]; at != nil && *at(c) < 0 {
			*at(c) = i
		}
	}
	if c.address < 0 {
		return nil, errors.New("the first line has to name the columns, one of them ip; others are ttl, expires and reason")
	}
	return c, nil
}

func readCSV(text string) ([]listed, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comment, r.FieldsPerRecord, r.TrimLeadingSpace = '#', -1, true
	header, err := r.Read()
	if err != nil && err != io.EOF {
		return nil, err
	}
	c, err := columnsOf(header)
	if err != nil {
		return nil, err
	}
	var entries []listed
	for {
		row, err := r.Read()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		cell := func(i int) string {
			if i < 0 || i >= len(row) {
				return ""
			}
			return row[i]
		}
		number, _ := r.FieldPos(0)
		e := listed{place: fmt.Sprint("line ", number), reason: cell(c.reason)}
		e.set(cell(c.address), cell(c.term), cell(c.ends))
		entries = append(entries, e)
	}
}

// readJSON reads addresses and objects, in arrays, in maps by address, under the
// name "bans", or one after the other: what export, list --json and the daemon's
// blacklist write, and what people write.
func readJSON(text string) ([]listed, error) {
	l := &jsonListing{}
	d := json.NewDecoder(strings.NewReader(text))
	for {
		var value json.RawMessage
		switch err := d.Decode(&value); {
		case err == io.EOF:
			return l.entries, nil
		case err != nil:
			return nil, err
		}
		if err := l.value(value); err != nil {
			return nil, err
		}
	}
}

// A jsonListing gathers the entries of JSON values.
type jsonListing struct{ entries []listed }

// value takes an array, an object of objects, or one entry.
func (l *jsonListing) value(raw json.RawMessage) error {
	switch bytes.TrimSpace(raw)[0] {
	case '[':
		return l.array(raw)
	case '{':
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return err
		}
		if bans, ok := members["bans"]; ok {
			if next, ok := members["next"]; ok && string(next) != "null" {
				return errors.New("this is one page of several: use what export writes")
			}
			return l.array(bans)
		}
		if _, ok := members["ip"]; !ok {
			return l.byAddress(raw)
		}
	}
	l.entry("", raw)
	return nil
}

func (l *jsonListing) array(raw json.RawMessage) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	for _, item := range items {
		l.entry("", item)
	}
	return nil
}

// byAddress takes a map, in the order in which it is written.
func (l *jsonListing) byAddress(raw json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil { // the brace
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return err
		}
		address, _ := name.(string) // a key is nothing else
		l.entry(address, item)
	}
	return nil
}

// entry takes one entry: an address, or an object that holds it or stands under
// it. What it cannot be read as is told in the entry.
func (l *jsonListing) entry(address string, raw json.RawMessage) {
	e := listed{place: fmt.Sprint("entry ", len(l.entries)+1), text: address}
	defer func() { l.entries = append(l.entries, e) }()
	var item struct {
		IP        string          `json:"ip"`
		TTL       json.RawMessage `json:"ttl"`
		Expires   string          `json:"expires"`
		ExpiresAt string          `json:"expiresAt"`
		Permanent bool            `json:"permanent"`
		Reason    string          `json:"reason"`
	}
	switch raw = bytes.TrimSpace(raw); raw[0] {
	case '"':
		into := &item.IP
		if address != "" {
			into = &item.Reason
		}
		if e.err = json.Unmarshal(raw, into); e.err != nil {
			return
		}
	case '{':
		if e.err = json.Unmarshal(raw, &item); e.err != nil {
			e.text = cmp.Or(address, item.IP)
			return
		}
	default:
		e.err = errors.New("it is neither an address nor an object with one")
		return
	}
	ends := cmp.Or(item.ExpiresAt, item.Expires)
	if item.Permanent {
		ends = "permanent"
	}
	ttl := strings.Trim(string(item.TTL), `"`)
	if ttl == "null" {
		ttl = ""
	}
	e.reason = item.Reason
	e.set(cmp.Or(address, item.IP), ttl, ends)
}
