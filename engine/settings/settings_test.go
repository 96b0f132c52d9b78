package settings_test

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/settings/settingstest"
)

// readAll is what one block is read into in these tests.
type readAll struct {
	text     string
	flag     bool
	count    int
	part     float64
	length   time.Duration
	zone     *time.Location
	word     string
	words    []string
	list     []string
	object   map[string]string
	url      string
	ref      string
	refs     []string
	children []string
}

func read(b *settings.Block) (r readAll) {
	r.zone = time.UTC
	b.String("text", &r.text)
	b.Bool("flag", &r.flag)
	b.Int("count", &r.count, 1, 1_000_000)
	b.Float("part", &r.part, 0.01, 1000)
	b.Duration("length", &r.length, 0, 24*time.Hour)
	b.Zone("zone", &r.zone)
	b.Enum("word", &r.word, "detect", "ignore")
	b.Enums("words", &r.words, "udp", "tcp")
	b.Strings("list", &r.list)
	b.Map("object", &r.object)
	b.URL("url", &r.url)
	ref, _ := b.Reference("ref", "source", "source.esl.pbx")
	r.ref = ref.Value
	refs, _ := b.References("refs", "action", "action.iptables.drop")
	for _, ref := range refs {
		r.refs = append(r.refs, ref.Value)
	}
	for _, child := range b.Blocks("child", "name") {
		child.Require("line", "Write a line.")
		child.Text("line")
		r.children = append(r.children, child.Labels[0])
	}
	return r
}

func TestEveryMistakeIsReportedWhereItStands(t *testing.T) {
	for body, want := range map[string]string{
		`text = ["a"]`:                           `["a"]: Not a text`,
		`list = true ? ["a", null] : ["b", "c"]`: `true ? ["a", null] : ["b", "c"]: Not a text`,
		`object = true ? {a = null} : {a = "b"}`: `true ? {a = null} : {a = "b"}: Not a text`,
		`flag = "perhaps"`:                       `"perhaps": Neither true nor false`,
		`count = 0`:                              `0: A whole number from 1 to 1000000 is expected here.`,
		`count = 1.5`:                            `1.5: A whole number from 1 to 1000000 is expected here.`,
		`count = 1e99999999`:                     `1e99999999: A whole number from 1 to 1000000 is expected here.`,
		`count = "many"`:                         `"many": A whole number`,
		`part = 0`:                               `0: A number from 0.01 to 1000 is expected here.`,
		`length = "soon"`:                        `"soon": "soon" is not a duration`,
		`length = "2d"`:                          `"2d": Write a duration from 0s to 1d.`,
		`length = secret`:                        `secret: The value given here should be a duration`,
		`zone = "Europe/Berln"`:                  `"Europe/Berln": "Europe/Berln" is not a time zone`,
		`zone = secret`:                          `secret: The value given here should be an IANA name`,
		`word = "detct"`:                         `"detct": "detct" is none of "detect", "ignore". Did you mean "detect"?`,
		`words = ["udp", "tpc"]`:                 `"tpc": "tpc" is none of "udp", "tcp". Did you mean "tcp"?`,
		`list = [1, null]`:                       `null: This is null`,
		`list = {}`:                              `{}: A text in quotes`,
		`object = "x"`:                           `"x": Names with values`,
		`object = { a = [] }`:                    `[]: A text in quotes`,
		`url = "ftp://x"`:                        `"ftp://x": A URL must begin with https://`,
		`url = secret`:                           `secret: A URL must begin`,
		`url = ""`:                               `"": The URL is empty`,
		`url = "https:///x"`:                     `"https:///x": There is no host`,
		`url = "https://x/%"`:                    `"https://x/%": The value is no URL`,
		`ref = "source.esl.pbx"`:                 `"source.esl.pbx": A reference is three names without quotes`,
		`ref = action.esl.pbx`:                   `action.esl.pbx: A reference is three names`,
		`ref = source.esl[0]`:                    `source.esl[0]: A reference is three names`,
		`refs = []`:                              `[]: Name at least one action`,
		`refs = [action.a.b, 7]`:                 `7: A reference is three names`,
		`txet = "a"`:                             `txet: An argument named "txet" is not expected here. Did you mean "text"?`,
		`child "a" {}`:                           `child "a": Write a line.`,
		`child "a" { lin = "x" }`:                `lin: An argument named "lin" is not expected here. Did you mean "line"?`,
		"child {}":                               `{: All child blocks must have 1 labels (name).`,
		`chidl "a" {}`:                           `chidl: Blocks of type "chidl" are not expected here. Did you mean "child"?`,
		`text = nothing`:                         `nothing: There is no variable named "nothing".`,
		`text = "${secret}${[]}"`:                `[]: Cannot include the given value`,
		`text = null`:                            `null: This is null`,
		`length = "${secret}"`:                   `"${secret}": The value given here should be a duration`,
		`words = [secret]`:                       `secret: The value given here should be one of`,
		`words = ["udp", lower("${"x"}")]`:       `lower("${"x"}"): Function calls not allowed`,
	} {
		b := settingstest.Block(t, "a.hcl", body, map[string]string{"secret": "hunter2"})
		read(b)
		b.Done()
		got, secret := false, false
		var all []string
		for _, diag := range b.Diagnostics() {
			message := string(diag.Subject.SliceBytes([]byte(body))) + ": " + diag.Summary + ": " + diag.Detail
			all = append(all, message)
			word, what, _ := strings.Cut(want, ": ")
			got = got || strings.HasPrefix(message, word+": ") && strings.Contains(message, what)
			secret = secret || strings.Contains(message, "hunter2")
		}
		if !got || secret {
			t.Errorf("%s: %q, want %q", body, all, want)
		}
	}
}

const goodBody = `
text   = "a"
flag   = true
count  = 5
part   = 0.5
length = "0s"
zone   = "Europe/Berlin"
word   = "ignore"
words  = ["tcp", "udp", "tcp"]
list   = "one"
object = { a = "b", (secret) = 7 }
url    = "https://x.example/y"
ref    = source.esl["pbx"]
refs   = [action.a.b, action.c.d]
child "one" { line = secret }
`

func TestEverythingIsRead(t *testing.T) {
	b := settingstest.Block(t, "a.hcl", goodBody, map[string]string{"secret": "hunter2"})
	r := read(b)
	if !b.Done() || b.Failed() {
		t.Fatal(b.Diagnostics())
	}
	got := strings.Join(append(append(append(append(r.words, r.list...), r.refs...), r.children...), r.text, r.word, r.url, r.ref, r.object["a"], r.object["hunter2"], r.zone.String()), " ")
	const want = "tcp udp one a.b c.d one a ignore https://x.example/y esl.pbx b 7 Europe/Berlin"
	if got != want || !r.flag || r.count != 5 || r.part != 0.5 || r.length != 0 {
		t.Errorf("%q, %+v; want %q", got, r, want)
	}
}

// TestFingerprint compares a block with itself, and with blocks that differ in one value.
func TestFingerprint(t *testing.T) {
	print := func(body, secret string) settings.Fingerprint {
		b := settingstest.Block(t, "a.hcl", body, map[string]string{"secret": secret})
		read(b)
		return b.Fingerprint()
	}
	first := print(goodBody, "hunter2")
	if first != print("# the same\n"+goodBody, "hunter2") {
		t.Error("a comment changes the fingerprint")
	}
	for what, other := range map[string]settings.Fingerprint{
		"a variable":   print(goodBody, "hunter3"),
		"a text":       print(strings.Replace(goodBody, `"a"`, `"b"`, 1), "hunter2"),
		"a word":       print(strings.Replace(goodBody, `, "tcp"]`, `]`, 1), "hunter2"),
		"a reference":  print(strings.Replace(goodBody, "action.c.d", "action.c.e", 1), "hunter2"),
		"a label":      print(strings.Replace(goodBody, `child "one"`, `child "two"`, 1), "hunter2"),
		"no attribute": print(strings.Replace(goodBody, "flag   = true", "", 1), "hunter2"),
	} {
		if other == first {
			t.Errorf("%s does not change the fingerprint", what)
		}
	}
}
