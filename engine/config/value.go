package config

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"freeswitch-security/engine/ban"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A text is a string that the operator gave, and where he gave it.
type text struct {
	string
	rng hcl.Range
	// written means that the text stands in the file as it is. Any other came
	// from the environment or another file, perhaps, and is never shown.
	written bool
}

// A value is a text before its type is known.
type value struct {
	cty.Value
	rng     hcl.Range
	written bool
}

// value evaluates an expression; a null counts as a mistake.
func (l *loader) value(expr hcl.Expression) (value, bool) {
	v, diags := expr.Value(l.context(expr.Range().Filename))
	l.adopt(diags, expr.Range())
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return value{}, false // what is not known has been reported where it was defined
	}
	if v.IsNull() {
		l.errorAt(expr.Range(), "No value", "This is null, which stands for nothing here. Leave it out instead.")
		return value{}, false
	}
	return value{Value: v, rng: expr.Range(), written: isWritten(expr)}, true
}

// isWritten tells whether an expression holds nothing but what is seen.
func isWritten(expr hcl.Expression) bool {
	written := true
	if native, ok := expr.(hclsyntax.Expression); ok {
		hclsyntax.VisitAll(native, func(node hclsyntax.Node) hcl.Diagnostics {
			switch node.(type) {
			case *hclsyntax.FunctionCallExpr, *hclsyntax.ScopeTraversalExpr:
				written = false
			}
			return nil
		})
		return written
	}
	// JSON: without a context, strings come back as they stand in the file.
	raw, _ := expr.Value(nil)
	cty.Walk(raw, func(_ cty.Path, v cty.Value) (bool, error) {
		if v.Type() == cty.String && v.IsKnown() && !v.IsNull() && isTemplate(v.AsString()) {
			written = false
		}
		return true, nil
	})
	return written
}

// invalid reports a text that cannot be understood. err says what it should be
// and quotes it; where it must not be shown, should says the same without.
func (l *loader) invalid(t text, summary string, err error, should string) {
	if !t.written {
		err = fmt.Errorf("the value given here should be %s; it is not shown, because it may come from the environment or another file", should)
	}
	l.errorAt(t.rng, summary, sentence(err))
}

// text evaluates an expression that should give one text.
func (l *loader) text(expr hcl.Expression) (text, bool) {
	v, ok := l.value(expr)
	if !ok {
		return text{}, false
	}
	return l.asText(v)
}

func (l *loader) asText(v value) (text, bool) {
	s, err := convert.Convert(v.Value, cty.String)
	if err != nil || s.IsNull() {
		l.errorAt(v.rng, "Not a text", "A text in quotes is expected here.")
		return text{}, false
	}
	return text{s.AsString(), v.rng, v.written}, true
}

// texts evaluates an expression that should give one text or a list of them.
// It is ok only if all of them are; those that are come back in any case.
func (l *loader) texts(expr hcl.Expression) (all []text, ok bool) {
	elements, ok := l.elements(expr)
	for _, v := range elements {
		t, good := l.asText(v)
		if !good {
			ok = false
			continue
		}
		all = append(all, t)
	}
	return all, ok
}

// elements are the values in a list, each with its own range where the list is
// written out; anything else is taken as the only element.
func (l *loader) elements(expr hcl.Expression) (all []value, ok bool) {
	if list, diags := hcl.ExprList(expr); !diags.HasErrors() {
		ok = true
		for _, element := range list {
			v, good := l.value(element)
			if !good {
				ok = false
				continue
			}
			all = append(all, v)
		}
		return all, ok
	}
	v, ok := l.value(expr)
	if !ok {
		return nil, false
	}
	if t := v.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		return []value{v}, true
	}
	for _, element := range v.AsValueSlice() {
		if element.IsNull() {
			l.errorAt(v.rng, "No value", "There is a null in this list, which stands for nothing here.")
			return nil, false
		}
		all = append(all, value{element, v.rng, v.written})
	}
	return all, true
}

// A pair is a key and its value in an object.
type pair struct {
	key text
	val value
}

// pairs evaluates an expression that should give an object.
func (l *loader) pairs(expr hcl.Expression) (all []pair, ok bool) {
	if items, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		ok = true
		for _, item := range items {
			key, good := l.text(item.Key)
			val, fine := l.value(item.Value)
			if !good || !fine {
				ok = false
				continue
			}
			all = append(all, pair{key, val})
		}
		return all, ok
	}
	v, ok := l.value(expr)
	if !ok {
		return nil, false
	}
	if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
		l.errorAt(v.rng, "Not an object", "Names with values are expected here: { name = \"value\" }.")
		return nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		key, val := it.Element()
		if val.IsNull() {
			l.errorAt(v.rng, "No value", "There is a null in this object, which stands for nothing here.")
			return nil, false
		}
		all = append(all, pair{text{key.AsString(), v.rng, v.written}, value{val, v.rng, v.written}})
	}
	return all, true
}

// wholeNumber evaluates an expression that should give a number from lowest to
// highest.
func (l *loader) wholeNumber(expr hcl.Expression, lowest, highest int) (int, bool) {
	v, ok := l.value(expr)
	if !ok {
		return 0, false
	}
	return l.asWholeNumber(v, lowest, highest)
}

func (l *loader) asWholeNumber(v value, lowest, highest int) (int, bool) {
	number, err := convert.Convert(v.Value, cty.Number)
	if err == nil && !number.IsNull() {
		f := number.AsBigFloat()
		// Compared first: to make an integer of a huge float takes huge memory.
		if f.Cmp(big.NewFloat(float64(lowest))) >= 0 && f.Cmp(big.NewFloat(float64(highest))) <= 0 && f.IsInt() {
			n, _ := f.Int64()
			return int(n), true
		}
	}
	l.errorAt(v.rng, "Not a suitable number", fmt.Sprintf("A whole number from %d to %d is expected here.", lowest, highest))
	return 0, false
}

// flag evaluates an expression that should give true or false.
func (l *loader) flag(expr hcl.Expression) (flag, ok bool) {
	v, ok := l.value(expr)
	if !ok {
		return false, false
	}
	b, err := convert.Convert(v.Value, cty.Bool)
	if err != nil || b.IsNull() {
		l.errorAt(v.rng, "Neither true nor false", "Write true or false here, without quotes.")
		return false, false
	}
	return b.True(), true
}

const (
	aDuration = `a duration, such as "90s", "10m" or "7d"`
	aTerm     = `a duration, such as "10m" or "7d", or "permanent"`
)

// duration evaluates an expression that should give a positive duration.
func (l *loader) duration(expr hcl.Expression) (time.Duration, bool) {
	t, ok := l.text(expr)
	if !ok {
		return 0, false
	}
	d, err := ban.ParseDuration(t.string)
	if err != nil {
		l.invalid(t, "Invalid duration", err, aDuration)
		return 0, false
	}
	return d, true
}

// offset is duration where zero makes sense, too.
func (l *loader) offset(expr hcl.Expression) (time.Duration, bool) {
	t, ok := l.text(expr)
	if !ok {
		return 0, false
	}
	if t.string == "0" || t.string == "0s" {
		return 0, true
	}
	d, err := ban.ParseDuration(t.string)
	if err != nil {
		l.invalid(t, "Invalid duration", err, aDuration)
		return 0, false
	}
	return d, true
}

// term reads how long a ban is to last.
func (l *loader) term(t text) (ban.Term, bool) {
	term, err := ban.ParseTerm(t.string)
	if err != nil {
		l.invalid(t, "Invalid ban length", err, aTerm)
		return 0, false
	}
	return term, true
}

// name checks a label that is shown to people: in logs, metrics and tables.
func (l *loader) name(label string, rng hcl.Range) bool {
	err := checkName(label)
	if err != nil {
		l.errorAt(rng, "Invalid name", sentence(err))
	}
	return err == nil
}

// maxName bounds the name of a rule or a test, in bytes.
const maxName = 128

func checkName(label string) error {
	if label == "" {
		return errors.New("a name must not be empty")
	}
	if len(label) > maxName {
		return fmt.Errorf("a name may have %d bytes at the most", maxName)
	}
	for _, r := range label {
		if r < ' ' || r == 0x7f {
			return errors.New("a name must not hold line breaks or other control characters")
		}
	}
	return nil
}
