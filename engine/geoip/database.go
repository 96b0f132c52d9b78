package geoip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"

	"github.com/oschwald/maxminddb-golang/v2"
)

// A layout is where the records of a maker have what is looked up.
type layout struct{ country, number, name []any }

// layouts are those of the makers. Of each value the first counts that a record has.
var layouts = []layout{
	{country: []any{"country", "iso_code"}, number: []any{"autonomous_system_number"}, name: []any{"autonomous_system_organization"}}, // MaxMind, DB-IP
	{country: []any{"country_code"}, number: []any{"asn"}, name: []any{"as_name"}},                                                    // IPinfo Lite
	{country: []any{"country"}, name: []any{"name"}},                                                                                  // IPinfo's others
}

// maxSampled is how many records are looked at to find the layout: the first networks of a file may lack a value.
const maxSampled = 1000

// keptPlaces is the number of records that are kept decoded, at least. There are some 250 countries, and
// 80,000 networks with a number, of which few attack.
const keptPlaces = 8192

// A database is one file in memory.
type database struct {
	reader *maxminddb.Reader
	layout layout // nil: records have no such value

	mu      sync.Mutex // guards decoded
	decoded dedup.Cache[uintptr, event.Place]
}

func newDatabase(content []byte) (*database, error) {
	reader, err := maxminddb.OpenBytes(content)
	if err != nil {
		return nil, errors.New("it is not a whole database in MaxMind's format (.mmdb)")
	}
	db := &database{reader: reader, decoded: dedup.Cache[uintptr, event.Place]{Half: keptPlaces}}
	sampled := 0
	for record := range reader.Networks() {
		db.layout.add(record)
		if sampled++; sampled == maxSampled || db.layout.whole() {
			break
		}
	}
	if db.layout.country == nil && db.layout.number == nil {
		return nil, fmt.Errorf("it has neither countries nor numbers of networks: its type is %q", event.Printable(reader.Metadata.DatabaseType))
	}
	return db, nil
}

// add adds the values that a record has.
func (l *layout) add(record maxminddb.Result) {
	for _, known := range layouts {
		if l.country == nil && textAt(record, known.country) != "" {
			l.country = known.country
		}
		if l.number == nil && numberAt(record, known.number) != "" {
			l.number = known.number
		}
		if l.name == nil && textAt(record, known.name) != "" {
			l.name = known.name
		}
	}
}

func (l *layout) whole() bool { return l.country != nil && l.number != nil && l.name != nil }

// lacks says what of the attributes the database cannot answer; "" if it can all.
func (db *database) lacks(attributes []string) string {
	switch {
	case db.layout.country == nil && slices.Contains(attributes, "country"):
		return "it has no countries"
	case db.layout.number == nil && slices.Contains(attributes, "asn"):
		return "it has no numbers of networks"
	}
	return ""
}

// lookup returns what the record of an address says.
func (db *database) lookup(addr netip.Addr) event.Place {
	record := db.reader.Lookup(addr)
	if !record.Found() {
		return event.Place{}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	o, ok := db.decoded.Get(record.Offset())
	if !ok {
		o = event.Place{
			Country: textAt(record, db.layout.country),
			ASN:     numberAt(record, db.layout.number),
			ASName:  textAt(record, db.layout.name),
		}
		db.decoded.Put(record.Offset(), o)
	}
	return o
}

// textAt returns a text of a record; "" if it has none. It is bounded and printable: rules, logs and people read it.
func textAt(record maxminddb.Result, path []any) (text string) {
	if path == nil || record.DecodePath(&text, path...) != nil {
		return ""
	}
	return event.Printable(text)
}

// numberAt returns the number of a network as rules write it: AS64500. MaxMind has a number, IPinfo a text.
func numberAt(record maxminddb.Result, path []any) string {
	var number uint32
	if path == nil {
		return ""
	}
	if err := record.DecodePath(&number, path...); err != nil {
		text := strings.TrimPrefix(textAt(record, path), "AS")
		n, _ := strconv.ParseUint(text, 10, 32)
		number = uint32(n)
	}
	if number == 0 {
		return ""
	}
	return "AS" + strconv.FormatUint(uint64(number), 10)
}
