package chart

import (
	_ "embed"
	"html/template"
	"strings"
	"sync"

	"freeswitch-security/engine/event"
)

// CSS is the style of all charts. It needs `color-scheme: light dark` on the root for dark mode.
//
//go:embed chart.css
var CSS string

//go:embed chart.html
var source string

// templates are parsed by the first chart: most verbs draw none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"label": label}).Parse(source))
})

// label returns a name as it is shown.
func label(name string) string {
	if name == "" {
		return "(none)"
	}
	return event.Printable(name)
}

// draw executes a template. Its data is ours, so an error is a mistake of the program.
func draw(name string, data any) template.HTML {
	var b strings.Builder
	if err := templates().ExecuteTemplate(&b, name, data); err != nil {
		panic("chart: " + err.Error())
	}
	return template.HTML(b.String())
}
