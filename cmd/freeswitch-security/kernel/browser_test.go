//go:build kernel && browser

package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"freeswitch-security/engine/golden"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const pageAt = "http://127.0.0.1:8080"

// withPage serves the page.
const withPage = `
admin {
  socket = %q
}
`

// attack returns the lines of the recorded attack, as of now.
func attack(t testing.TB) string {
	t.Helper()
	var text []byte
	for _, name := range []string{"security.log.2.gz", "security.log.1.gz", "security.log.gz"} {
		text = append(text, golden.Read(t, "../../../examples/recorded-attack/"+name)...)
	}
	const stamp = "2006-01-02 15:04:05.000000"
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if _, err := time.Parse(stamp, line[:min(len(line), len(stamp))]); err == nil {
			line = time.Now().UTC().Format(stamp) + line[len(stamp):]
		}
		out.WriteString(line)
	}
	return out.String()
}

// A browser is a tab of Chromium. What it complains about fails the test at its end.
type browser struct {
	testing.TB
	ctx context.Context
}

func open(t testing.TB) *browser {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatalf("%v: apt-get install chromium", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, most(90*time.Second))
	t.Cleanup(cancel)
	err := chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("an exception in the page: %s: %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeLog { // of this test
				t.Logf("%s", e.Args[0].Value)
			} else {
				t.Errorf("the console of the page: %s %s", e.Type, e.Args[0].Value)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				t.Errorf("the log of the page: %s %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, ctx}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// ask evaluates an expression, a promise perhaps.
func ask[T any](b *browser, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return value
}

// within waits for an expression to be true.
func (b *browser) within(limit time.Duration, what, expression string) {
	b.Helper()
	eventually(b, limit, what, func() bool {
		return ask[bool](b, expression)
	})
}

// has reports whether the page has the text in an element.
func has(selector, text string) string {
	quoted, _ := json.Marshal(text)
	return fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%s))", selector, quoted)
}

// A look is a size and a colour scheme.
type look struct {
	width  int64
	height int64
	scheme string
}

func (b *browser) as(l look) {
	b.Helper()
	b.do(chromedp.EmulateViewport(l.width, l.height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}})
		return err
	}))
}

// looks are those of a phone, a laptop and a large screen.
var looks = []look{{360, 740, "light"}, {360, 740, "dark"}, {1280, 900, "light"}, {1280, 900, "dark"}, {2560, 1440, "light"}, {2560, 1440, "dark"}}

// shoot writes a picture into the directory SCREENSHOTS.
func (b *browser) shoot(name string) {
	b.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, l := range looks {
		b.as(l)
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, l.width, l.scheme)), picture, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.as(looks[2])
}

// accessible fails for what axe-core, in the file AXE, calls serious.
func (b *browser) accessible(name string) {
	b.Helper()
	file := os.Getenv("AXE")
	if file == "" {
		b.Log("axe-core is missing: its checks are skipped")
		return
	}
	source, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	for _, l := range []look{looks[0], looks[2], looks[3]} {
		b.as(l)
		ask[int](b, string(source)+";0")
		found := ask[[]string](b, `axe.run().then((r) => r.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary).join("; ")))`)
		for _, v := range found {
			b.Errorf("%s, %d wide, %s: %s", name, l.width, l.scheme, v)
		}
		if ask[bool](b, "document.documentElement.scrollWidth > innerWidth") {
			b.Errorf("%s, %d wide: it has to be scrolled sideways", name, l.width)
		}
	}
	b.as(looks[2])
}

// steps evaluates a promise of the longest of several steps, in milliseconds, and holds it to a limit.
func (b *browser) steps(what string, limit time.Duration, expression string) {
	b.Helper()
	took := ask[float64](b, expression)
	b.Logf("%s: %.0f ms", what, took)
	if took > float64(most(limit).Milliseconds()) {
		b.Errorf("%s takes %.0f ms, the limit is %s", what, took, limit)
	}
}

// TestBrowser uses the page in Chromium as an operator does, under an attack and with 100,000 bans.
func TestBrowser(t *testing.T) {
	socket := adminSocket(t)
	d := prepare(t, ``, fmt.Sprintf(withPage, socket)).shipped().start()
	b, a := open(t), askingAt(t, socket)

	d.write(attack(t))
	hostile(a, d)
	eventually(t, 20*time.Second, "the attackers are banned", func() bool { return len(banned(a)) > 20 })
	b.do(chromedp.Navigate(pageAt + "/"))
	b.within(5*time.Second, "the feed is connected", has("#live-state", "connected"))
	d.write(failure("198.18.9.9"))
	b.text()
	changes(b, a, d)
	b.do(chromedp.Navigate(pageAt + "/"))
	b.within(5*time.Second, "the feed is connected", has("#live-state", "connected"))
	a.does("POST", "/security/blacklist", `{"ip":"203.0.113.99","ttl":"1h","reason":"seen at the border"}`, &change{})
	b.within(5*time.Second, "a ban is in the feed", has("#live-feed", "203.0.113.99"))
	b.accessible("the page")
	b.shoot("front")
	b.do(chromedp.Navigate(pageAt + "/ban/" + convicted(a)))
	b.accessible("the page of an address")
	b.shoot("address")
	b.do(chromedp.Navigate(pageAt + "/login"))
	b.accessible("the login")
	b.shoot("login")

	d.many(a, 100_000)
	b.fluid()
}

// banned are the targets of the bans that rules made.
func banned(a *api) (targets []string) {
	var all map[string]struct{ Rule string }
	a.does("GET", "/security/blacklist", "", &all)
	for target, ban := range all {
		if ban.Rule != "" {
			targets = append(targets, target)
		}
	}
	return targets
}

// convicted is one with evidence of several events.
func convicted(a *api) string {
	for _, target := range banned(a) {
		var ban struct{ Evidence []struct{ Event string } }
		a.does("GET", "/security/blacklist/"+target, "", &ban)
		if len(ban.Evidence) > 4 {
			return target
		}
	}
	a.Fatal("no ban has evidence")
	return ""
}

// script is what an attacker would like to have run.
const script = `<script>window.run=1</script><img src=x onerror="window.run=1">`

// hostile has an attacker and a careless user write what a page could stumble over.
func hostile(a *api, d *daemon) {
	for range 6 {
		d.write(strings.Replace(failure("198.18.66.66"), "1000@10.77.0.10", script+"@10.77.0.10", 1))
	}
	for i, reason := range []string{script, "\u202egnp.exe\u2066 turned", strings.Repeat("A long agent/1.0 ", 500)} {
		body, _ := json.Marshal(map[string]string{"ip": fmt.Sprintf("203.0.113.%d", 50+i), "reason": reason, "ttl": "2h"})
		a.does("POST", "/security/blacklist", string(body), &change{})
	}
}

// text checks that the page has run nothing, and shows what was written as text.
func (b *browser) text() {
	b.Helper()
	for _, path := range []string{"/", "/?q=198.18.66.66", "/ban/198.18.66.66", "/ban/203.0.113.50", "/ban/203.0.113.51", "/ban/203.0.113.52"} {
		b.do(chromedp.Navigate(pageAt + path))
		wrong := ask[string](b, `window.run ? "a script ran" : document.images.length ? "an image" : document.scripts.length > 1 ? "a script" : /[\u202a-\u202e\u2066-\u2069]/.test(document.body.textContent) ? "the direction is changed" : ""`)
		if wrong != "" {
			b.Errorf("%s: %s", path, wrong)
		}
	}
	b.do(chromedp.Navigate(pageAt + "/ban/203.0.113.50"))
	b.within(time.Second, "the script is shown as text", has("dd", "<script>window.run=1</script>"))
}

// changes bans and unbans by clicks, and looks into the kernel.
func changes(b *browser, a *api, d *daemon) {
	b.Helper()
	const target = "203.0.113.77"
	inKernel := func() bool {
		out, err := exec.Command("iptables-save").CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return strings.Contains(string(out), target)
	}
	b.do(chromedp.Navigate(pageAt+"/"), chromedp.Click("#bans .bar [data-open=ban]"),
		chromedp.SendKeys("#form-ban-ip", target), chromedp.SendKeys("#form-ban-reason", "by clicks"))
	b.accessible("the dialog")
	b.shoot("dialog")
	b.do(chromedp.Click("#dialog-ban button.strong"))
	b.within(5*time.Second, "the ban is confirmed", has("#toast", target+" banned"))
	if !inKernel() {
		b.Error("the ban by clicks is not in the kernel")
	}
	b.do(chromedp.SendKeys("#q", target))
	b.within(5*time.Second, "the ban is found", `document.querySelectorAll("#bans tbody tr").length === 1`)
	b.do(chromedp.Click("#bans tbody [data-open=unban]"), chromedp.SendKeys("#form-unban-reason", "by clicks"), chromedp.Click("#dialog-unban button.strong"))
	b.within(5*time.Second, "the unban is confirmed", has("#toast", target+" unbanned"))
	if inKernel() {
		b.Error("the unban by clicks has not reached the kernel")
	}
	keys(b)
	b.do(chromedp.Navigate(pageAt + "/ban/203.0.113.78"))
	ask[bool](b, `document.querySelector("#dialog-ban form").elements.ip.value = "203.0.113.78"; setTimeout(() => document.querySelector("#dialog-ban form").submit()); true`) // as without JavaScript
	b.within(5*time.Second, "a form that the browser sends is answered", has("p.result", "203.0.113.78 banned"))
	if !strings.Contains(d.said.String(), "what=unban ip="+target) || !strings.Contains(d.said.String(), `why="by clicks"`) {
		b.Error("the log does not have the author and the reason")
	}
}

// keys uses the page by the keyboard alone.
func keys(b *browser) {
	b.Helper()
	press := func(selector, keys string) { // not by a node: an update replaces it, and keeps the focus
		ask[int](b, fmt.Sprintf("document.querySelector(%q).focus(), 0", selector))
		b.do(chromedp.KeyEvent(keys))
	}
	focused := func(selector string) string { return fmt.Sprintf("document.activeElement?.matches(%q)", selector) }
	const opener, found = "#bans .bar [data-open=ban]", `document.querySelectorAll("#bans tbody tr").length === 1 && location.search.includes("203.0.113.79")`
	b.do(chromedp.Navigate(pageAt + "/"))
	press(opener, kb.Enter)
	b.within(time.Second, "Enter opens the dialog", focused("#dialog-ban[open] #form-ban-ip"))
	b.do(chromedp.KeyEvent("203.0.113.79" + kb.Escape))
	b.within(time.Second, "Escape closes the dialog", "!document.querySelector('dialog[open]')")
	b.within(time.Second, "the focus returns", focused(opener))
	b.do(chromedp.KeyEvent(" "))
	b.within(time.Second, "a dialog forgets what was typed before", focused("#dialog-ban[open] #form-ban-ip")+" && !document.activeElement.value")
	b.do(chromedp.KeyEvent("203.0.113.79" + kb.Tab + kb.Tab + "by keys" + kb.Enter))
	b.within(5*time.Second, "Enter in the form bans", has("#toast", "203.0.113.79 banned"))
	b.within(time.Second, "the focus returns after a ban", "!document.querySelector('dialog[open]') && "+focused(opener))
	press("#q", "203.0.113.79"+kb.Enter)
	b.within(5*time.Second, "the search is an address", found)
	b.do(chromedp.KeyEvent(kb.Tab))
	b.within(time.Second, "Tab goes on to the search button", focused("#bans form button"))
	press("#bans tbody [data-open=unban]", kb.Enter)
	b.within(time.Second, "Enter opens the dialog of a ban", focused("#dialog-unban[open] #form-unban-reason"))
	ask[int](b, `document.querySelectorAll("#bans tbody").forEach((old) => old.replaceWith(old.cloneNode(true))), 0`) // as an update does
	b.do(chromedp.KeyEvent(kb.Escape))
	b.within(time.Second, "the focus returns to the ban", focused("#bans tbody [data-open=unban]"))
	press("#bans tbody th a", kb.Enter)
	b.within(5*time.Second, "Enter opens the page of the address", has("#subject-title", "203.0.113.79"))
	ask[int](b, "history.back(), 0")
	b.within(5*time.Second, "back leads to the search", found+` && document.querySelector("#q").value === "203.0.113.79"`)
	b.within(5*time.Second, "the feed is connected", has("#live-state", "connected"))
	ask[int](b, "history.back(), 0")
	b.within(5*time.Second, "back leads to all bans", `document.querySelectorAll("#bans tbody tr").length > 1 && !location.search && !document.querySelector("#q").value`)
}

// many bans so many addresses.
func (d *daemon) many(a *api, n int) {
	d.Helper()
	var items strings.Builder
	for i := range n {
		fmt.Fprintf(&items, `%c{"ip":%q,"ttl":"%dm","reason":"list %d"}`, ",["[min(1, max(0, 1-i))], address(i), 60+i%500, i%7)
	}
	status, answer, err := a.ask(http.MethodPost, "/security/blacklist/batch", items.String()+"]")
	if err != nil || status != http.StatusOK {
		d.Fatalf("%d %v: %.200s", status, err, answer)
	}
}

// untilPainted is a promise of the longest time from one of several steps to the frame in which its table of bans is painted.
func untilPainted(steps, do string) string {
	return `(async () => { const took = []; for (const step of [` + steps + `]) { await new Promise((done) => {
		const at = performance.now(); const shown = new MutationObserver(() => { shown.disconnect(); requestAnimationFrame(() => setTimeout(() => done(took.push(performance.now() - at)))); });
		shown.observe(document.querySelector("#bans"), { childList: true }); ` + do + ` }); } console.log(took.map((ms) => ms.toFixed(0)).join(" ms, ")); return Math.max(...took); })()`
}

// fluid measures the page with all those bans.
func (b *browser) fluid() {
	b.Helper()
	b.do(chromedp.Navigate(pageAt + "/"))
	b.do(chromedp.Navigate(pageAt + "/"))
	b.steps("first paint", time.Second, `new Promise((done) => { const at = () => { const p = performance.getEntriesByName("first-contentful-paint")[0]; p ? done(p.startTime) : setTimeout(at, 20); }; at(); })`)
	b.steps("a step of scrolling", 100*time.Millisecond, `(async () => { let worst = 0; for (let i = 0; i < 40; i++) { const t = performance.now(); scrollBy({ top: i < 20 ? 120 : -120, behavior: "instant" }); await new Promise(requestAnimationFrame); worst = Math.max(worst, performance.now() - t); } return worst; })()`)
	b.steps("a step of the search", 100*time.Millisecond, untilPainted(`"1", "19", "198", "198.1", "198.18.7", "list 3", "list", "198.18.0.0/24", ""`, `const q = document.querySelector("#q"); q.value = step; q.dispatchEvent(new Event("input", { bubbles: true }));`))
	b.steps("a page further", 100*time.Millisecond, untilPainted(`1, 2, 3, 4, 5, 6, 7, 8, 9, 10`, `document.querySelector("#page-after").click();`))
	b.within(time.Second, "all bans are counted", has("#bans-summary", "of 100,0"))
}
