package settings

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A Text is a string that was given, and where.
type Text struct {
	Value string
	Range hcl.Range
	// Written means that the text stands in the file as it is. Any other may be a
	// secret, and no message shows it.
	Written bool
	// Entry is its number in a list that does not stand in the file, from 1; 0: it is in none.
	Entry int
}

// A Pair is a name and its value in an object.
type Pair struct{ Key, Value Text }

// A value is what an expression gives, before its type is known.
type value struct {
	cty.Value
	rng     hcl.Range
	written bool
	entry   int
}

// read evaluates an attribute. It is not ok where the attribute is absent or wrong.
func (b *Block) read(name string) (value, bool) {
	expr := b.expression(name)
	if expr == nil {
		return value{}, false
	}
	return b.value(expr)
}

// value evaluates an expression; a null is a mistake.
func (b *Block) value(expr hcl.Expression) (value, bool) {
	if v, ok := literal(expr); ok {
		return value{v, expr.Range(), true, 0}, true
	}
	v, diags := expr.Value(b.eval)
	for _, diag := range diags {
		if diag.Subject == nil {
			diag.Subject = expr.Range().Ptr()
		}
	}
	b.Add(diags)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return value{}, false // what is unknown has been reported where it is defined
	}
	if v.IsNull() {
		b.ErrorAt(expr.Range(), "No value", "This is null, which stands for nothing here. Leave it out instead.")
		return value{}, false
	}
	return value{v, expr.Range(), IsWritten(expr), 0}, true
}

// Text reads one text.
func (b *Block) Text(name string) (Text, bool) {
	v, ok := b.read(name)
	if !ok {
		return Text{}, false
	}
	t, ok := b.text(v)
	b.note(name, t.Value)
	return t, ok
}

func (b *Block) text(v value) (Text, bool) {
	s, err := convert.Convert(v.Value, cty.String)
	if err != nil || s.IsNull() {
		b.ErrorAt(v.rng, "Not a text", "A text in quotes is expected here.")
		return Text{}, false
	}
	return Text{s.AsString(), v.rng, v.written, v.entry}, true
}

// String reads one text.
func (b *Block) String(name string, target *string) bool {
	t, ok := b.Text(name)
	if ok {
		*target = t.Value
	}
	return ok
}

// Path reads the path of a file, which must not be empty.
func (b *Block) Path(name string, target *string) bool {
	t, ok := b.Text(name)
	if ok && t.Value == "" {
		b.Error(name, "Empty path", "Write the path of the file.")
		return false
	}
	if ok {
		*target = t.Value
	}
	return ok
}

// URL reads an address on the web. No message shows it: it may hold a token.
func (b *Block) URL(name string, target *string) bool {
	t, ok := b.Text(name)
	if !ok {
		return false
	}
	detail := ""
	switch u, err := url.Parse(t.Value); {
	case t.Value == "":
		detail = "The URL is empty: set the environment variable that it comes from, or leave it out."
	case err != nil:
		detail = "The value is no URL. It is not shown, because it may hold a token: look for blanks, line breaks and a lone % in it."
	case u.Scheme != "https" && u.Scheme != "http":
		detail = "A URL must begin with https:// or http://."
		if strings.HasPrefix(t.Value, "$") {
			detail += ` A variable of the environment is written env("…").`
		}
	case u.Hostname() == "":
		detail = "There is no host in the URL: write https://host/path."
	default:
		*target = t.Value
		return true
	}
	b.Error(name, "Not a URL", detail)
	return false
}

// Bool reads true or false.
func (b *Block) Bool(name string, target *bool) bool {
	v, ok := b.read(name)
	if !ok {
		return false
	}
	on, err := convert.Convert(v.Value, cty.Bool)
	if err != nil || on.IsNull() {
		b.Error(name, "Neither true nor false", "Write true or false here.")
		return false
	}
	*target = on.True()
	b.note(name, strconv.FormatBool(on.True()))
	return true
}

// Int reads a whole number from lowest to highest.
func (b *Block) Int(name string, target *int, lowest, highest int) bool {
	f, ok := b.number(name, float64(lowest), float64(highest), true)
	if ok {
		*target = int(f)
	}
	return ok
}

// Float reads a number from lowest to highest.
func (b *Block) Float(name string, target *float64, lowest, highest float64) bool {
	f, ok := b.number(name, lowest, highest, false)
	if ok {
		*target = f
	}
	return ok
}

func (b *Block) number(name string, lowest, highest float64, whole bool) (float64, bool) {
	v, ok := b.read(name)
	if !ok {
		return 0, false
	}
	if n, err := convert.Convert(v.Value, cty.Number); err == nil && !n.IsNull() {
		big := n.AsBigFloat()
		if f, _ := big.Float64(); f >= lowest && f <= highest && (!whole || big.IsInt()) {
			b.note(name, plain(f))
			return f, true
		}
	}
	kind := "number"
	if whole {
		kind = "whole number"
	}
	b.Error(name, "Invalid number", fmt.Sprintf("A %s from %s to %s is expected here.", kind, plain(lowest), plain(highest)))
	return 0, false
}

// plain writes a number without an exponent.
func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Duration reads a duration from shortest to longest in the form of
// [ban.ParseDuration]. Where shortest is 0, "0" and "0s" are durations, too.
func (b *Block) Duration(name string, target *time.Duration, shortest, longest time.Duration) bool {
	t, ok := b.Text(name)
	if !ok {
		return false
	}
	d, err := ban.ParseDuration(t.Value)
	if shortest == 0 && (t.Value == "0" || t.Value == "0s") {
		d, err = 0, nil
	}
	if err != nil {
		b.Invalid(t, "Invalid duration", err, `a duration, such as "90s", "10m" or "7d"`)
		return false
	}
	if d < shortest || d > longest {
		b.Error(name, "Invalid duration", fmt.Sprintf("Write a duration from %s to %s.", ban.FormatDuration(shortest), ban.FormatDuration(longest)))
		return false
	}
	*target = d
	return true
}

// Zone reads the name of a time zone.
func (b *Block) Zone(name string, target **time.Location) bool {
	t, ok := b.Text(name)
	if !ok {
		return false
	}
	zone, err := time.LoadLocation(t.Value)
	if err != nil || t.Value == "" {
		const example = `an IANA name such as "Europe/Berlin" or "UTC"`
		b.Invalid(t, "Unknown timezone", fmt.Errorf("%q is not a time zone: write %s, or leave the attribute out for the host's own", t.Value, example), example)
		return false
	}
	*target = zone
	return true
}

// Enum reads one of the known words.
func (b *Block) Enum(name string, target *string, known ...string) bool {
	t, ok := b.Text(name)
	if !ok || !b.OneOf(t, name, known) {
		return false
	}
	*target = t.Value
	return true
}

// Enums reads a list of known words; one that stands there twice counts once.
func (b *Block) Enums(name string, target *[]string, known ...string) bool {
	texts, ok := b.Texts(name)
	var words []string
	for _, t := range texts {
		switch {
		case !b.OneOf(t, name, known):
			ok = false
		case !slices.Contains(words, t.Value):
			words = append(words, t.Value)
		}
	}
	if ok {
		*target = words
	}
	return ok
}

// OneOf checks that a text is a known word of what is called so.
func (b *Block) OneOf(t Text, what string, known []string) bool {
	if slices.Contains(known, t.Value) {
		return true
	}
	all := `"` + strings.Join(known, `", "`) + `"`
	b.Invalid(t, "Unknown "+what, fmt.Errorf("%q is none of %s.%s", t.Value, all, event.DidYouMean(t.Value, known)), "one of "+all)
	return false
}

// Parse reads a text that parse understands. Its error says what the text should be; so
// does should, where the text must not be shown.
func Parse[T any](b *Block, t Text, target *T, parse func(string) (T, error), summary, should string) bool {
	v, err := parse(t.Value)
	if err != nil {
		b.Invalid(t, summary, err, should)
		return false
	}
	*target = v
	return true
}

// Invalid reports a text that cannot be understood. err says what it should be and
// may quote it; where it must not be shown, should says the same without.
func (b *Block) Invalid(t Text, summary string, err error, should string) {
	if !t.Written {
		what := "the value"
		if t.Entry > 0 {
			what = fmt.Sprintf("entry %d of the list", t.Entry)
		}
		err = fmt.Errorf("%s given here should be %s; it is not shown, because it may come from the environment or another file", what, should)
	}
	b.ErrorAt(t.Range, summary, Sentence(err))
}
