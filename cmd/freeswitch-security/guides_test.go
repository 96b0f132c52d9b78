package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

const samples = "../../examples"

// guides returns all Markdown files of the repository by their paths.
func guides(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			texts[path] = readGuide(t, path)
		}
		return err
	})
	if err != nil || len(texts) < 15 {
		t.Fatalf("found %d guides: %v", len(texts), err)
	}
	return texts
}

func readGuide(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	guideLink    = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	guideHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	guideMark    = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors are the places in a text that a link can name.
func anchors(text string) []string {
	var all []string
	for _, h := range guideHeading.FindAllStringSubmatch(text, -1) {
		all = append(all, "#"+strings.ReplaceAll(guideMark.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

// TestGuideLinks demands that links have a target.
func TestGuideLinks(t *testing.T) {
	for path, text := range guides(t) {
		for _, l := range guideLink.FindAllStringSubmatch(text, -1) {
			target, place := l[1], l[2]
			there := text
			if target != "" {
				info, err := os.Stat(filepath.Join(filepath.Dir(path), target))
				if err != nil {
					t.Errorf("%s links %s, which does not exist", path, target)
					continue
				}
				if place != "" && !info.IsDir() {
					there = readGuide(t, filepath.Join(filepath.Dir(path), target))
				}
			}
			if place != "" && !slices.Contains(anchors(there), place) {
				t.Errorf("%s links %s%s, which is no heading", path, target, place)
			}
		}
	}
}

var guideBlock = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$")

// TestGuideForm demands that the HCL in guides is formatted. It is not loaded: much of it is a part
// of a file.
func TestGuideForm(t *testing.T) {
	check := func(where, text string) {
		if _, diags := hclsyntax.ParseConfig([]byte(text), where, hcl.InitialPos); diags.HasErrors() {
			t.Errorf("%s: %v", where, diags)
		}
		if formatted := string(hclwrite.Format([]byte(text))); formatted != text {
			t.Errorf("%s is not formatted; want\n%s", where, formatted)
		}
	}
	for path, text := range guides(t) {
		for _, b := range guideBlock.FindAllStringSubmatch(text, -1) {
			check(path, b[1])
		}
	}
	files, err := filepath.Glob(samples + "/*/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, path := range files {
		check(path, readGuide(t, path))
	}
}

// TestClusterSample loads the sample for several nodes beside the shipped rules.
func TestClusterSample(t *testing.T) {
	dir := t.TempDir()
	rules, err := filepath.Glob(shippedRules + "/*.hcl")
	if err != nil || len(rules) == 0 {
		t.Fatalf("no shipped rules: %v", err)
	}
	for _, path := range append(rules, samples+"/ha/cluster.hcl") {
		text := readGuide(t, path)
		if filepath.Base(path) == "00-site.hcl" {
			text = strings.Replace(text, "\nadmin {}\n", "\n", 1) // as the guide says
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, diags, _ := config.Load(dir, kinds, func(name string) (string, bool) {
		value, ok := map[string]string{"CLUSTER_TOKEN": strings.Repeat("x", 64)}[name]
		return value, ok
	})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if cfg.Admin.Listen != "192.0.2.1:9443" || cfg.Admin.Token == "" {
		t.Errorf("listener %q", cfg.Admin.Listen)
	}
	if !slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == "feed.pbx2" }) {
		t.Error("no feed of the other node")
	}
}

// TestFleetSamples loads the sample of each node of a fleet beside the shipped rules.
func TestFleetSamples(t *testing.T) {
	for _, node := range []string{"sbc1", "sbc2", "sbc3"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(shippedRules)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "05-fleet.hcl"), []byte(readGuide(t, samples+"/fleet/"+node+".hcl")), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, diags, _ := config.Load(dir, kinds, func(name string) (string, bool) { return "x", name == "NATS_PASSWORD" })
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		if cfg.Fleet.Node != node || cfg.Fleet.User != node || cfg.Fleet.Password != "x" || !strings.HasPrefix(cfg.Fleet.Servers[0], "tls://") {
			t.Errorf("%+v", cfg.Fleet)
		}
	}
}
