package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/settings"

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

// loadSample loads a sample beside the shipped rules, as one of their files. It demands that check has no
// warning: what a sample leaves out may be told of, but there is nothing to do.
func loadSample(t *testing.T, path, as string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(shippedRules)); err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(dir, "00-site.hcl")
	text := readGuide(t, site)
	if strings.HasPrefix(path, "ha/") {
		text = strings.Replace(text, "\nadmin {}\n", "\n", 1) // as the guide says
	}
	for _, file := range [][2]string{{site, text}, {filepath.Join(dir, as), readGuide(t, filepath.Join(samples, path))}} {
		if err := os.WriteFile(file[0], []byte(file[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, diags, _ := config.Load(dir, kinds, func(name string) (string, bool) {
		return strings.Repeat("x", 64), !strings.HasPrefix(name, "SECURITY_")
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, d := range append(diags, config.Lint(cfg)...) {
		if d.Severity != settings.Notice {
			t.Error(d)
		}
	}
	return cfg
}

// TestSamples loads each sample beside the shipped rules.
func TestSamples(t *testing.T) {
	if cfg := loadSample(t, "demo/00-site.hcl", "00-site.hcl"); len(cfg.Sources) != 1 {
		t.Errorf("the demo has %d sources", len(cfg.Sources))
	}
	if cfg := loadSample(t, "email/email.hcl", "01-email.hcl"); !slices.ContainsFunc(cfg.Actions, func(a config.Action) bool { return a.Ref == "email.noc" }) {
		t.Error("no action that sends mails")
	}
	cfg := loadSample(t, "ha/cluster.hcl", "05-cluster.hcl")
	if cfg.Admin.Listen != "192.0.2.1:9443" || cfg.Admin.Token == "" {
		t.Errorf("listener %q", cfg.Admin.Listen)
	}
	if !slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == "feed.pbx2" }) {
		t.Error("no feed of the other node")
	}
	for _, node := range []string{"sbc1", "sbc2", "sbc3"} {
		f := loadSample(t, "fleet/"+node+".hcl", "05-fleet.hcl").Fleet
		if f.Node != node || f.User != node || f.Password == "" || !strings.HasPrefix(f.Servers[0], "tls://") {
			t.Errorf("%+v", f)
		}
	}
}
