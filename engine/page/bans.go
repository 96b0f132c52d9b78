package page

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"
)

// A row is a ban in force, as far as it is searched and sorted.
type row struct {
	target               ban.Target
	rule, author, reason string
	start, until         int64 // seconds since 1970; until 0: permanent
	offence              int
}

// An index holds all bans in force, to search and sort. The ledger is locked for a thousand of them at a time.
type index struct {
	mu     sync.Mutex // guards what follows
	rows   []row
	orders map[string][]int32 // indices of rows by what they are sorted by, ascending
	seq    uint64             // of the ledger
	at     time.Time
	took   time.Duration
}

// ledgerPage is how many bans are copied from the ledger at once: it is locked meanwhile.
const ledgerPage = 1000

func (x *index) outdate() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at = time.Time{}
}

// update reads the ledger if it has changed, a second after it was last read, or after twenty times what that
// took. The mutex is held.
func (x *index) update(l *ban.Ledger) {
	now, seq := time.Now(), l.Seq()
	if !x.at.IsZero() && (seq == x.seq || now.Sub(x.at) < max(time.Second, 20*x.took)) {
		return
	}
	x.rows, x.orders, x.seq, x.at = make([]row, 0, l.Size()), map[string][]int32{}, seq, now
	var after ban.Target
	for {
		page := l.After(after, ledgerPage)
		for i := range page {
			b := &page[i]
			r := row{target: b.Target, rule: b.Rule, author: b.Author, reason: b.Reason, start: b.Start.Unix(), offence: b.Offence}
			if !b.Until.IsZero() {
				r.until = b.Until.Unix()
			}
			x.rows = append(x.rows, r)
		}
		if len(page) < ledgerPage {
			break
		}
		after = page[len(page)-1].Target
	}
	x.took = time.Since(now)
}

// orders compare two rows. Rows that are equal stay in the order of their targets.
var orders = map[string]func(a, b *row) int{
	"target":  nil, // the order of the ledger
	"since":   func(a, b *row) int { return cmp.Compare(a.start, b.start) },
	"until":   func(a, b *row) int { return cmp.Compare(uint64(a.until)-1, uint64(b.until)-1) }, // permanent comes last
	"rule":    func(a, b *row) int { return cmp.Compare(a.rule+a.author, b.rule+b.author) },
	"offence": func(a, b *row) int { return cmp.Compare(a.offence, b.offence) },
}

// order returns the indices of all rows in an order. The mutex is held.
func (x *index) order(by string) []int32 {
	if known := x.orders[by]; known != nil {
		return known
	}
	all := make([]int32, len(x.rows))
	for i := range all {
		all[i] = int32(i)
	}
	if compare := orders[by]; compare != nil {
		slices.SortStableFunc(all, func(a, b int32) int { return compare(&x.rows[a], &x.rows[b]) })
	}
	x.orders[by] = all
	return all
}

// A Query is what of the bans is shown, and in which order.
type Query struct {
	Text string // an address or network, or a part of a target, rule, author or reason
	Sort string // see orders
	Desc bool
	Page int // from 1
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
func (x *index) find(l *ban.Ledger, q *Query) (page []ban.Target, found, all int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.update(l)
	matching := x.order(q.Sort)
	if q.Text != "" {
		matches := matcher(q.Text)
		matching = slices.DeleteFunc(slices.Clone(matching), func(i int32) bool { return !matches(&x.rows[i]) })
	}
	found = len(matching)
	q.Page = max(1, min(q.Page, (found+perPage-1)/perPage))
	from := (q.Page - 1) * perPage
	for i := from; i < min(from+perPage, found); i++ {
		at := i
		if q.Desc {
			at = found - 1 - i
		}
		page = append(page, x.rows[matching[at]].target)
	}
	return page, found, len(x.rows)
}

// matcher returns what a row must be to match a text: with the text in it, or within a network or around it.
func matcher(text string) func(*row) bool {
	var network netip.Prefix
	if t, err := ban.ParseTarget(text); err == nil {
		network = t.Prefix() // that of an account overlaps none
	}
	text = strings.ToLower(text)
	type words struct{ rule, author, reason string }
	known := map[words]bool{} // many bans share them
	return func(r *row) bool {
		if r.target.Prefix().Overlaps(network) || strings.Contains(r.target.String(), text) {
			return true
		}
		w := words{r.rule, r.author, r.reason}
		has, seen := known[w]
		if !seen {
			has = strings.Contains(strings.ToLower(w.rule+"\n"+w.author+"\n"+w.reason), text)
			known[w] = has
		}
		return has
	}
}
