package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"freeswitch-security/engine/admin"
)

// target are the labels that Prometheus itself gives to all that it scrapes.
var target = []string{"instance", "job"}

var label = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)

// exported returns the labels of each metric that the guard exports.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	metrics := map[string][]string{}
	for _, m := range admin.Metrics() {
		labels := slices.Concat(target, m.Labels)
		if m.Type == "histogram" {
			metrics[m.Name+"_sum"], metrics[m.Name+"_count"] = labels, labels
			metrics[m.Name+"_bucket"] = append(labels, "le")
			continue
		}
		metrics[m.Name] = labels
	}
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := process.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		metrics[f.GetName()] = target
	}
	return metrics
}

var (
	metric  = regexp.MustCompile(`\b((?:freeswitch|process|go)_[a-z0-9_]+|up)\b(\{[^}]*\})?`)
	grouped = regexp.MustCompile(`\bby \(([^)]*)\)`)
	legend  = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z]+)\s*\}\}`)
)

// checkExpr reports what an expression, and a text about its result, name that
// does not exist.
func checkExpr(t *testing.T, metrics map[string][]string, expr, text string) {
	t.Helper()
	labels := []string{"alertname"}
	found := metric.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s: names no metric", expr)
	}
	for _, m := range found {
		has, ok := metrics[m[1]]
		if !ok && m[1] != "up" { // which Prometheus makes
			t.Errorf("%s: there is no metric %s", expr, m[1])
		}
		has = append(has, target...)
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(has, l[1]) {
				t.Errorf("%s: %s has no label %s", expr, m[1], l[1])
			}
		}
		labels = append(labels, has...)
	}
	for _, by := range grouped.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(by[1], ", ") {
			if !slices.Contains(labels, l) {
				t.Errorf("%s: nothing in it has the label %s", expr, l)
			}
		}
	}
	for _, m := range legend.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(labels, m[1]) {
			t.Errorf("%s: %q names the label %s, which nothing has", expr, text, m[1])
		}
	}
}

func TestDashboard(t *testing.T) {
	metrics := exported(t)
	text, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ Expr, LegendFormat string }
	var dashboard struct {
		UID    string
		Panels []struct {
			ID         int
			Title      string
			GridPos    struct{ X, Y, W, H int }
			Targets    []target
			Datasource struct{ UID string }
		}
		Annotations struct {
			List []struct{ Expr, TitleFormat string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || len(dashboard.Panels) == 0 {
		t.Fatal("there is no dashboard in it")
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if p.Title == "" || ids[p.ID] || p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q: no title, an id twice, or outside of the grid", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q: its data source is fixed", p.Title)
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, q := range p.Targets {
			checkExpr(t, metrics, q.Expr, q.LegendFormat)
		}
	}
	for _, a := range dashboard.Annotations.List {
		checkExpr(t, metrics, a.Expr, a.TitleFormat)
	}
	if vars := string(text); !strings.Contains(vars, "label_values(freeswitch_security_up, instance)") {
		t.Error("the guards to choose from do not come from freeswitch_security_up")
	}
}

var (
	alert   = regexp.MustCompile(`(?m)^ {6}- alert: (\w+)\n((?:^ {8}.*\n)+)`)
	oneExpr = regexp.MustCompile(`(?m)^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)`)
)

func TestAlerts(t *testing.T) {
	metrics := exported(t)
	rules, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := alert.FindAllStringSubmatch(string(rules), -1)
	if want := strings.Count(string(rules), "- alert: "); len(all) != want || want == 0 {
		t.Fatalf("%d alerts could be read, of %d", len(all), want)
	}
	for _, a := range all {
		expr := oneExpr.FindStringSubmatch(a[2])
		if expr == nil {
			t.Errorf("%s has no expression", a[1])
			continue
		}
		checkExpr(t, metrics, strings.TrimSpace(expr[1]+expr[2]), a[2])
		if !strings.Contains(a[2], "severity: critical") && !strings.Contains(a[2], "severity: warning") {
			t.Errorf("%s is neither critical nor a warning", a[1])
		}
		if !strings.Contains(string(tests), a[1]) {
			t.Errorf("%s has no test in alerts_test.yml", a[1])
		}
	}
}

// TestPromtool has Prometheus itself judge the alerts, where it is installed.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: apt-get install prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
