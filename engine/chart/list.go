package chart

import (
	"html/template"
	"strconv"
)

// A List is a table of the largest counts, each with a bar. The caller has sorted it.
type List struct {
	Title string
	Of    string // what is listed: "network"
	Count string // what is counted: "failures"
	Empty string // shown if there is no item
	Items []Item // at most maxItems are shown
}

// An Item is a row of a [List].
type Item struct {
	Name   string
	Detail string // a remark, in small; "": none
	Link   string // where the name leads; "": nowhere. Its scheme is checked by html/template
	Value  uint64
}

// maxItems bounds the rows of a list.
const maxItems = 100

// HTML returns the list.
func (l List) HTML() template.HTML {
	var largest uint64
	l.Items = l.Items[:min(len(l.Items), maxItems)]
	for _, item := range l.Items {
		largest = max(largest, item.Value)
	}
	type row struct {
		Item
		Share string // of the largest, in percent
	}
	rows := make([]row, 0, len(l.Items))
	for _, item := range l.Items {
		rows = append(rows, row{item, decimal(100 * float64(item.Value) / float64(max(largest, 1)))})
	}
	return draw("list", struct {
		List
		Rows []row
	}{l, rows})
}

// decimal formats a coordinate with at most two decimals.
func decimal(x float64) string {
	return strconv.FormatFloat(float64(int64(x*100+0.5))/100, 'f', -1, 64)
}
