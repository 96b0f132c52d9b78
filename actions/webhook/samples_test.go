package webhook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
)

// sampleForms are the shipped templates and the other settings of their blocks.
var sampleForms = map[string]struct {
	contentType string
	vars        map[string]string
	longest     int // the longest message that the service takes, in bytes
}{
	"slack.tmpl":     {typeJSON, nil, 20 * 4500},
	"teams.tmpl":     {typeJSON, nil, 28 << 10},
	"discord.tmpl":   {typeJSON, nil, 10 * 1500},
	"pagerduty.tmpl": {typeJSON, map[string]string{"routing_key": "R0UT1NG"}, 512 << 10},
	"ntfy.tmpl":      {"text/plain", nil, 20 * 1200},
}

func TestShippedTemplates(t *testing.T) {
	files, err := filepath.Glob("../../examples/webhook/*.tmpl")
	if err != nil || len(files) != len(sampleForms) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := sampleForms[name]
			f, err := newForm(string(source), want.contentType, want.vars)
			if err != nil {
				t.Fatal(err)
			}
			one := samples()[0]
			one.Lost, one.Notifications = 1, one.Notifications[:1]
			for i, m := range append(samples(), crowd(), one) {
				m.Vars = want.vars
				body, err := f.render(&m)
				if err != nil {
					t.Fatal(i, err)
				}
				if len(body) > want.longest {
					t.Errorf("message %d has %d bytes, %d at the most", i, len(body), want.longest)
				}
				tame(t, name, body)
				if strings.Contains(string(body), "1 notifications") || len(m.Notifications) == 1 && strings.Contains(string(body), " notifications\"") {
					t.Errorf("message %d does not read well: %s", i, body)
				}
			}
		})
	}
}

func newForm(source, contentType string, vars map[string]string) (form, error) {
	f := form{contentType: contentType}
	err := f.parse(source, vars)
	return f, err
}

// crowd is a full message of the longest hostile texts.
func crowd() Message {
	m := samples()[0]
	n := m.Notifications[0]
	n.Why = n.Reason
	for _, s := range []*string{&n.Reason, &n.Why, &n.Key} {
		*s = text(strings.Repeat("<!channel>&@everyone\"\n", 100))
	}
	n.Evidence = append([]ban.Evidence(nil), n.Evidence...)
	n.Evidence[0].Text = n.Reason
	m.Notifications = nil
	for range 100 {
		m.Notifications = append(m.Notifications, n)
	}
	return m
}

// tame fails if a rendered message holds control characters, mentions or markup.
func tame(t *testing.T, name string, body []byte) {
	t.Helper()
	if name == "ntfy.tmpl" {
		if strings.ContainsAny(string(body), "\x1b\u202e\r") {
			t.Errorf("control characters: %q", body)
		}
		return
	}
	var decoded any
	if err := json.Unmarshal(body, &decoded); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	walk(decoded, func(path, s string) {
		if strings.Contains(path, "custom_details") {
			return // data for programs
		}
		if strings.ContainsAny(s, "\x1b\u202e") {
			t.Errorf("control characters in %s: %q", path, s)
		}
		switch name {
		case "slack.tmpl":
			if strings.Contains(s, "<!") || strings.Contains(s, "@everyone") || strings.Count(s, "`")%2 != 0 || len([]rune(s)) > 3000 {
				t.Errorf("%s, %d characters: %q", path, len([]rune(s)), s)
			}
		case "discord.tmpl":
			if strings.Contains(s, "@everyone") || strings.Contains(s, "<!") {
				t.Errorf("%s: %q", path, s)
			}
		case "teams.tmpl":
			if strings.HasSuffix(path, ".text") && strings.Contains(s, "everyone") && !strings.Contains(path, ".inlines.") {
				t.Errorf("a caller's words outside of a TextRun, at %s: %q", path, s)
			}
		}
	})
}

// walk visits each string of a decoded JSON value, keys of objects in its path.
func walk(v any, visit func(path, s string)) { walkFrom("", v, visit) }

func walkFrom(path string, v any, visit func(path, s string)) {
	switch v := v.(type) {
	case string:
		visit(path, v)
	case []any:
		for _, element := range v {
			walkFrom(path, element, visit)
		}
	case map[string]any:
		for key, element := range v {
			walkFrom(path+"."+key, element, visit)
		}
	}
}

func TestDiscordLimit(t *testing.T) {
	source, err := os.ReadFile("../../examples/webhook/discord.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	f, err := newForm(string(source), typeJSON, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := crowd()
	body, err := f.render(&m)
	if err != nil {
		t.Fatal(err)
	}
	var message struct {
		Embeds []struct{ Title, Description string }
	}
	if err := json.Unmarshal(body, &message); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range message.Embeds {
		total += len([]rune(e.Title)) + len([]rune(e.Description))
	}
	if len(message.Embeds) != 10 || total > 6000 {
		t.Errorf("%d embeds with %d characters; 10 and 6000 at the most", len(message.Embeds), total)
	}
}
