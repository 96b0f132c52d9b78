package admin

import (
	"net/http"
	"strconv"

	"freeswitch-security/engine/ban"
)

// The default and the maximum of the entries of a page.
const (
	pageLimit    = 1000
	maxPageLimit = 10_000
)

// A paging is the part of a list that a request asks for.
type paging struct {
	page  bool // one page; else all entries as a map
	limit int
	after ban.Target // the last target of the previous page; the zero Target for the first page
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
			return p, faultf(http.StatusBadRequest, "cursor: %q is not the next of a page", cut(cursor))
		}
	}
	return p, nil
}

// page writes one page of n entries. n is greater than the limit if there is another
// page.
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
