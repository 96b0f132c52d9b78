package admin

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A collector makes metrics of the snapshots that the API shows.
type collector struct {
	server   *Server
	up       *prometheus.Desc
	build    *prometheus.Desc
	families []metricFamily
}

// A metricFamily is one metric, and where its numbers come from.
type metricFamily struct {
	desc *prometheus.Desc
	emit func(*prometheus.Desc, *gathered, chan<- prometheus.Metric)
}

// gathered is what one scrape is made of.
type gathered struct {
	Status
	kernel *kernelTable // nil: it could not be read
}

// whole tells whether the numbers of the kernel are those of all that stands there. In
// a dry run nobody looks.
func (g *gathered) whole() bool { return g.kernel != nil && !g.kernel.unread && !g.DryRun }

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.up
	out <- c.build
	for _, f := range c.families {
		out <- f.desc
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), c.server.limits.look)
	defer cancel()
	out <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, c.server.Version)
	status, err := c.server.snapshot(ctx)
	if err != nil {
		out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 0)
		return
	}
	from := gathered{Status: status}
	if kernel, err := c.server.standing(ctx, recently); err == nil {
		from.kernel = kernel
	}
	out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 1)
	for _, f := range c.families {
		f.emit(f.desc, &from, out)
	}
}

// put hands on one number with the values of its labels.
type put func(value float64, labels ...string)

func (c *collector) describe(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// number adds a metric of plain numbers.
func (c *collector) number(kind prometheus.ValueType, name, help string, labels []string, each func(*gathered, put)) {
	c.families = append(c.families, metricFamily{
		desc: c.describe(name, help, labels),
		emit: func(desc *prometheus.Desc, from *gathered, out chan<- prometheus.Metric) {
			each(from, func(value float64, labels ...string) {
				out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
			})
		},
	})
}

func (c *collector) counter(name, help string, labels []string, each func(*gathered, put)) {
	c.number(prometheus.CounterValue, name, help, labels, each)
}

func (c *collector) gauge(name, help string, labels []string, each func(*gathered, put)) {
	c.number(prometheus.GaugeValue, name, help, labels, each)
}

// histogram adds a metric of distributions, one for each action.
func (c *collector) histogram(name, help string, of func(*ActionStatus) Histogram) {
	c.families = append(c.families, metricFamily{
		desc: c.describe(name, help, []string{"action"}),
		emit: func(desc *prometheus.Desc, from *gathered, out chan<- prometheus.Metric) {
			for i := range from.Actions {
				h := of(&from.Actions[i])
				out <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, h.Buckets, from.Actions[i].Name)
			}
		},
	})
}

// seconds is a moment as Prometheus counts it; 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// number01 is how Prometheus writes a truth.
func number01(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// eachSource, eachRule, eachAction and eachTally make a metric with one number
// for each of them.

func eachSource(value func(*SourceStatus) float64) func(*gathered, put) {
	return func(g *gathered, put put) {
		for i := range g.Sources {
			put(value(&g.Sources[i]), g.Sources[i].Name)
		}
	}
}

func eachRule(value func(*RuleStatus) float64) func(*gathered, put) {
	return func(g *gathered, put put) {
		for i := range g.Rules {
			put(value(&g.Rules[i]), g.Rules[i].Name)
		}
	}
}

func eachAction(value func(*ActionStatus) float64) func(*gathered, put) {
	return func(g *gathered, put put) {
		for i := range g.Actions {
			put(value(&g.Actions[i]), g.Actions[i].Name)
		}
	}
}

// eachDelivery leaves out the actions that tell nobody.
func eachDelivery(value func(*Delivery) float64) func(*gathered, put) {
	return func(g *gathered, put put) {
		for i := range g.Actions {
			if d := g.Actions[i].Delivery; d != nil {
				put(value(d), g.Actions[i].Name)
			}
		}
	}
}

// eachView leaves out the views of a kernel that could not be read.
func eachView(emit func(*KernelView, put)) func(*gathered, put) {
	return func(g *gathered, put put) {
		if g.kernel == nil {
			return
		}
		for i := range g.kernel.views {
			emit(&g.kernel.views[i], put)
		}
	}
}

// ofWhole makes a metric of a number that is known only where all of the kernel
// could be read: elsewhere there is none, which is not the same as 0.
func ofWhole(value func(*kernelTable) float64) func(*gathered, put) {
	return func(g *gathered, put put) {
		if g.whole() {
			put(value(g.kernel))
		}
	}
}

// eachTally leaves out a second tally of the same rule and source: two numbers
// with the same labels would make the whole scrape fail.
func eachTally(value func(*Tally) uint64) func(*gathered, put) {
	return func(g *gathered, put put) {
		for i := range g.Tallies {
			t := &g.Tallies[i]
			same := func(o Tally) bool { return o.Rule == t.Rule && o.Source == t.Source }
			if slices.IndexFunc(g.Tallies, same) == i {
				put(float64(value(t)), t.Rule, t.Source)
			}
		}
	}
}

func one(value func(*gathered) float64) func(*gathered, put) {
	return func(g *gathered, put put) { put(value(g)) }
}
