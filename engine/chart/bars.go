package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// Bars are counts over time, stacked by series.
type Bars struct {
	ID     string // of the chart in its document: letters, digits and hyphens
	Title  string
	Count  string        // what is counted: "events"
	Start  time.Time     // of the first bar; times are shown in its zone
	Step   time.Duration // of a bar
	Series []Series      // all with as many values; the smallest beyond maxSeries become "other"
}

// A Series is a name with a count for each bar.
type Series struct {
	Name   string
	Values []uint64
}

const (
	maxSeries = 7   // the classes series-1 to series-7; what is left is series-other
	maxBars   = 400 // further bars are not shown
	height    = 160 // of the plot, in pixels
)

// HTML returns the chart, with a legend and its table.
func (b Bars) HTML() template.HTML {
	d := drawing{Bars: b}
	d.stack()
	d.scale()
	d.ticks()
	return draw("bars", &d)
}

// A drawing is a chart with its coordinates.
type drawing struct {
	Bars
	Legend  []legend
	Columns []column
	Lines   []line // of the grid
	Ticks   []tick
	Total   uint64
	Peak    *column // nil: all is zero
	top     uint64  // the value at the upper end
}

type legend struct {
	Class, Name string
	Total       uint64
}

type column struct {
	X      int
	When   string // "2026-05-04 10:00"
	Total  uint64
	Values []uint64 // by legend
	Rects  []rect
	Text   string // for a pointer
}

type rect struct{ Class, X, Y, Height string }

type line struct {
	Y     string
	Label uint64
}

type tick struct {
	X, Label, Anchor string
	Minor            bool // hidden where there is little room
}

// Height is that of the plot.
func (d *drawing) Height() int { return height }

// PlotHeight is that of the plot with the times below it.
func (d *drawing) PlotHeight() int { return height + 22 }

// Width is that of the plot: a bar is 1 wide.
func (d *drawing) Width() int { return max(1, len(d.Columns)) }

// End is when the last bar ends.
func (d *drawing) End() string { return d.when(len(d.Columns)) }

// From is when the first bar begins.
func (d *drawing) From() string { return d.when(0) }

// Zone is the name of the zone in which times are shown.
func (d *drawing) Zone() string { name, _ := d.Start.Zone(); return name }

func (d *drawing) when(bar int) string {
	layout := "2006-01-02 15:04"
	if d.Step < time.Minute {
		layout += ":05"
	}
	return d.Start.Add(time.Duration(bar) * d.Step).Format(layout)
}

// stack orders the series, the largest at the bottom, and sums up what they count in each bar.
func (d *drawing) stack() {
	type summed struct {
		Series
		total uint64
	}
	var series []summed
	bars := 0
	for _, s := range d.Series {
		s.Values = s.Values[:min(maxBars, len(s.Values))]
		bars = max(bars, len(s.Values))
		var total uint64
		for _, v := range s.Values {
			total += v
		}
		if total > 0 {
			series = append(series, summed{s, total})
		}
	}
	slices.SortStableFunc(series, func(a, b summed) int { return cmp.Compare(b.total, a.total) })
	d.Columns = make([]column, bars)
	for i := range d.Columns {
		d.Columns[i] = column{X: i, When: d.when(i), Values: make([]uint64, min(len(series), maxSeries+1))}
	}
	for i, s := range series {
		l := min(i, maxSeries)
		if l == len(d.Legend) {
			d.Legend = append(d.Legend, legend{Class: fmt.Sprint("series-", l+1), Name: label(s.Name)})
			if l == maxSeries {
				d.Legend[l] = legend{Class: "series-other", Name: fmt.Sprintf("%d others", len(series)-maxSeries)}
			}
		}
		for bar, v := range s.Values {
			c := &d.Columns[bar]
			c.Values[l], c.Total = c.Values[l]+v, c.Total+v
			d.Legend[l].Total, d.Total = d.Legend[l].Total+v, d.Total+v
		}
	}
	for i := range d.Columns {
		if c := &d.Columns[i]; c.Total > 0 && (d.Peak == nil || c.Total > d.Peak.Total) {
			d.Peak = c
		}
	}
}

// scale computes the bars and the grid.
func (d *drawing) scale() {
	step := uint64(1)
	if d.Peak != nil {
		step = niceStep(d.Peak.Total)
		d.top = (d.Peak.Total + step - 1) / step * step
	}
	y := func(value uint64) float64 { return height * (1 - float64(value)/float64(max(d.top, 1))) }
	for v := step; v <= d.top; v += step {
		d.Lines = append(d.Lines, line{decimal(y(v)), v})
	}
	for i := range d.Columns {
		c := &d.Columns[i]
		var below uint64
		var parts []string
		for l, v := range c.Values {
			if v == 0 {
				continue
			}
			c.Rects = append(c.Rects, rect{d.Legend[l].Class, decimal(float64(i) + 0.1), decimal(y(below + v)), decimal(y(below) - y(below+v))})
			below += v
			parts = append(parts, fmt.Sprintf("%s %d", d.Legend[l].Name, v))
		}
		c.Text = fmt.Sprintf("%s: %d %s", c.When, c.Total, d.Count)
		if len(parts) > 1 {
			c.Text += ": " + strings.Join(parts, ", ")
		} else if len(parts) == 1 {
			c.Text += ": " + d.Legend[slices.IndexFunc(c.Values, func(v uint64) bool { return v > 0 })].Name
		}
	}
}

// niceStep returns the distance of lines of a grid: 1, 2 or 5 times a power of ten, so that at most
// four lines reach the largest value.
func niceStep(largest uint64) uint64 {
	rough := float64(largest) / 4
	power := math.Pow(10, math.Floor(math.Log10(max(rough, 1))))
	for _, f := range []float64{1, 2, 5, 10} {
		if f*power >= rough {
			return uint64(f * power)
		}
	}
	return uint64(10 * power)
}

// tickSteps are the distances of labelled times.
var tickSteps = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	day, 2 * day, 7 * day, 14 * day, 28 * day, 91 * day, 364 * day,
}

const day = 24 * time.Hour

// ticks labels round times, at most nine.
func (d *drawing) ticks() {
	span := time.Duration(len(d.Columns)) * d.Step
	if span <= 0 {
		return
	}
	every := tickSteps[len(tickSteps)-1]
	for _, step := range tickSteps {
		if span/step <= 8 {
			every = step
			break
		}
	}
	layout := "15:04"
	if every >= day {
		layout = "2 Jan"
	}
	_, offset := d.Start.Zone()
	zone := time.Duration(offset) * time.Second
	first := d.Start.Add(zone).Truncate(every).Add(-zone)
	for at, i := first, 0; at.Before(d.Start.Add(span)); at = at.Add(every) {
		share := float64(at.Sub(d.Start)) / float64(span)
		if share < 0 {
			continue
		}
		t := tick{X: decimal(100 * share), Label: at.Format(layout), Anchor: "middle", Minor: i%2 == 1}
		if every < day && at.Hour() == 0 && at.Minute() == 0 {
			t.Label = at.Format("2 Jan")
		}
		switch {
		case share < 0.04:
			t.Anchor = "start"
		case share > 0.96:
			t.Anchor = "end"
		}
		d.Ticks = append(d.Ticks, t)
		i++
	}
}
