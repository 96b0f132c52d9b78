package admin

import (
	"net/http"
	"strconv"

	"freeswitch-security/engine/ban"
)

// How many entries a page has if nothing is said, and at the most.
const (
	pageLimit    = 1000
	maxPageLimit = 10_000
)

// A paging is what of a list is asked for.
type paging struct {
	page  bool // one page; else all of it, as a map
	limit int
	after ban.Target // where the page before ended; none: this is the first
}

func pagingOf(r *http.Request) (paging, error) {
	q := r.URL.Query()
	var p paging
	switch format := q.Get("format"); format {
	case "", "map":
	case "list":
		p.page = true
	default:
		return p, faultf(http.StatusBadRequest, "format: %q is neither map nor list", cut(format))
	}
	var err error
	if p.limit, err = whole(q, "limit", pageLimit, maxPageLimit); err != nil {
		return p, err
	}
	if cursor := q.Get("cursor"); cursor != "" {
		if p.after, err = ban.ParseTarget(cursor); err != nil {
			return p, faultf(http.StatusBadRequest, "cursor: %q is not the next of a page before", cut(cursor))
		}
	}
	return p, nil
}

// page writes one page of the first n entries behind the cursor, of which there
// is one more than the page holds if it is not the last.
func (s *Server) page(w http.ResponseWriter, p paging, name string, n int, entry func(int) (ban.Target, any)) error {
	jsonHeader(w)
	out := s.stream(w)
	out.text(`{"` + name + `":[`)
	next := "null"
	for i := range min(n, p.limit) {
		if i > 0 {
			out.text(",")
		}
		if i%pageLimit == 0 {
			out.allow()
		}
		target, shape := entry(i)
		out.value(shape)
		if i == p.limit-1 && n > p.limit {
			next = strconv.Quote(target.String())
		}
	}
	out.text(`],"next":` + next + "}\n")
	return nil
}
