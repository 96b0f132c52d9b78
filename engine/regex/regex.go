package regex

import (
	"regexp"
	"sync"
)

// A Late is a regular expression. It may be used concurrently.
type Late struct {
	form     string
	once     sync.Once
	compiled *regexp.Regexp
}

// New returns the regular expression of a form. A form that is none panics at the first use.
//
// It is so small that the Go compiler makes the value.
func New(form string) *Late { return &Late{form: form} }

// Use returns the expression, compiled.
func (l *Late) Use() *regexp.Regexp {
	l.once.Do(func() { l.compiled = regexp.MustCompile(l.form) })
	return l.compiled
}
