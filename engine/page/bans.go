package page

import (
	"bytes"
	"cmp"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
)

// A row is a ban in force, as far as it is searched and sorted.
type row struct {
	target       ban.Target
	words        int32 // index of its texts
	offence      int32
	start, until int64 // seconds since 1970; until 0: permanent
}

// texts are those of a ban. Many bans have the same.
type texts struct{ rule, author, reason string }

// An index holds all bans in force, to search and sort: the latest snapshot of the ledger.
type index struct {
	mu      sync.Mutex // guards what follows
	latest  *snapshot  // nil: none that may be shown
	reading bool       // another one is being read
}

// A snapshot is the bans in force at a time.
type snapshot struct {
	rows  []row // in the order of the ledger
	words []texts
	seq   uint64 // of the ledger
	at    time.Time
	took  time.Duration

	mu     sync.Mutex         // guards what follows
	orders map[string][]int32 // indices of rows by what they are sorted by, ascending
}

// outdate makes later pages show what has changed until now.
func (x *index) outdate() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.latest = nil
}

// tooOld is the age of a snapshot that is not shown any more: no page was open.
const tooOld = 10 * time.Second

// look returns a snapshot. Once the ledger has changed, another one is read, meanwhile if this one is not too old: a
// second after it, or after twenty times what reading it took.
func (x *index) look(l *ban.Ledger) *snapshot {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.latest
	if s == nil || l.Seq() != s.seq && time.Since(s.at) >= max(tooOld, 40*s.took) {
		x.latest = read(l, s)
		return x.latest
	}
	if !x.reading && l.Seq() != s.seq && time.Since(s.at) >= max(time.Second, 20*s.took) {
		x.reading = true
		go func() {
			next := read(l, s)
			x.mu.Lock()
			defer x.mu.Unlock()
			if x.reading = false; x.latest == s { // else a later one was read
				x.latest = next
			}
		}()
	}
	return s
}

// ledgerPage is how many bans are copied from the ledger at once: it is locked meanwhile.
const ledgerPage = 1000

// read reads the ledger, and sorts as the snapshot before it was sorted.
func read(l *ban.Ledger, before *snapshot) *snapshot {
	s := &snapshot{rows: make([]row, 0, l.Size()), seq: l.Seq(), at: time.Now(), orders: map[string][]int32{}}
	known := map[texts]int32{}
	var after ban.Target
	for {
		page := l.After(after, ledgerPage)
		for i := range page {
			b := &page[i]
			w := texts{b.Rule, b.Author, b.Reason}
			at, seen := known[w]
			if !seen {
				at = int32(len(s.words))
				s.words, known[w] = append(s.words, w), at
			}
			r := row{target: b.Target, words: at, start: b.Start.Unix(), offence: int32(b.Offence)}
			if !b.Until.IsZero() {
				r.until = b.Until.Unix()
			}
			s.rows = append(s.rows, r)
		}
		if len(page) < ledgerPage {
			break
		}
		after = page[len(page)-1].Target
	}
	if before != nil {
		before.mu.Lock()
		used := slices.Collect(maps.Keys(before.orders))
		before.mu.Unlock()
		for _, by := range used {
			s.order(by)
		}
	}
	s.took = time.Since(s.at)
	return s
}

// orders compare two rows. Rows that are equal stay in the order of their targets.
var orders = map[string]func(s *snapshot, a, b *row) int{
	"target": nil, // the order of the ledger
	"since":  func(_ *snapshot, a, b *row) int { return cmp.Compare(a.start, b.start) },
	"until":  func(_ *snapshot, a, b *row) int { return cmp.Compare(uint64(a.until)-1, uint64(b.until)-1) }, // permanent comes last
	"rule": func(s *snapshot, a, b *row) int {
		v, w := &s.words[a.words], &s.words[b.words]
		return strings.Compare(cmp.Or(v.rule, v.author), cmp.Or(w.rule, w.author))
	},
	"offence": func(_ *snapshot, a, b *row) int { return cmp.Compare(a.offence, b.offence) },
}

// order returns the indices of all rows in an order.
func (s *snapshot) order(by string) []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.orders[by]; known != nil {
		return known
	}
	all := make([]int32, len(s.rows))
	for i := range all {
		all[i] = int32(i)
	}
	if compare := orders[by]; compare != nil {
		slices.SortStableFunc(all, func(a, b int32) int { return compare(s, &s.rows[a], &s.rows[b]) })
	}
	s.orders[by] = all
	return all
}

// A Query is what of the bans is shown, and in which order.
type Query struct {
	Text string // an address or network, or a part of a target, rule, author or reason
	Sort string // see orders
	Desc bool
	Page int // from 1

	masked bool // the caller may not learn, by searching, what is masked
}

const (
	perPage  = 50
	maxQuery = 200 // bytes of the text
)

// queryOf reads a query. What it does not know has its default.
func queryOf(v url.Values) Query {
	q := Query{Text: strings.TrimSpace(v.Get("q")), Sort: v.Get("sort"), Desc: v.Get("dir") == "desc", Page: 1}
	q.Text = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, q.Text[:min(len(q.Text), maxQuery)])
	if _, known := orders[q.Sort]; !known {
		q.Sort, q.Desc = "since", true
	}
	if n, err := strconv.Atoi(v.Get("page")); err == nil && n > 1 {
		q.Page = n
	}
	return q
}

// URL returns the address of a query on the front page.
func (q Query) URL() string {
	v := url.Values{}
	if q.Text != "" {
		v.Set("q", q.Text)
	}
	if q.Sort != "since" || !q.Desc {
		v.Set("sort", q.Sort)
		if q.Desc {
			v.Set("dir", "desc")
		}
	}
	if q.Page > 1 {
		v.Set("page", strconv.Itoa(q.Page))
	}
	if len(v) == 0 {
		return "/#bans"
	}
	return "/?" + v.Encode() + "#bans"
}

// find returns the targets of a page, how many rows match, and how many there are. It corrects the page to one that exists.
func (s *snapshot) find(q *Query) (page []ban.Target, found, all int) {
	matching := s.order(q.Sort)
	if q.Text != "" {
		matches := s.matcher(q)
		matching = slices.DeleteFunc(slices.Clone(matching), func(i int32) bool { return !matches(&s.rows[i]) })
	}
	found = len(matching)
	q.Page = max(1, min(q.Page, (found+perPage-1)/perPage))
	from := (q.Page - 1) * perPage
	for i := from; i < min(from+perPage, found); i++ {
		at := i
		if q.Desc {
			at = found - 1 - i
		}
		page = append(page, s.rows[matching[at]].target)
	}
	return page, found, len(s.rows)
}

// matcher returns what a row must be to match a text: with the text in it, or within a network or around it. It makes no
// strings: there may be a hundred thousand rows.
func (s *snapshot) matcher(q *Query) func(*row) bool {
	var network netip.Prefix
	if t, err := ban.ParseTarget(q.Text); err == nil {
		network = t.Prefix() // that of an account overlaps none
	}
	text := strings.ToLower(q.Text)
	targetOf, reasonOf := ban.Target.String, func(reason string) string { return reason }
	if q.masked {
		targetOf, reasonOf = history.MaskTarget, history.MaskReason
	}
	inWords := make([]bool, len(s.words))
	for i := range s.words {
		w := &s.words[i]
		inWords[i] = strings.Contains(strings.ToLower(w.rule+"\n"+w.author+"\n"+reasonOf(w.reason)), text)
	}
	inAddress := network.IsValid() || strings.Trim(text, "0123456789abcdef.:/") == ""
	part, buffer := []byte(text), make([]byte, 0, 64)
	return func(r *row) bool {
		if inWords[r.words] {
			return true
		}
		switch r.target.Kind() {
		case ban.TargetAddress, ban.TargetNetwork:
			if !inAddress {
				return false
			}
			p := r.target.Prefix()
			if buffer = p.Addr().AppendTo(buffer[:0]); !p.IsSingleIP() {
				buffer = p.AppendTo(buffer[:0])
			}
			return p.Overlaps(network) || bytes.Contains(buffer, part)
		default:
			return r.target.Prefix().Overlaps(network) || strings.Contains(targetOf(r.target), text)
		}
	}
}
