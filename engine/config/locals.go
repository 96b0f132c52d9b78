package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// locals evaluates the locals of all files, each before those that refer to it.
type locals struct {
	*loader
	attrs map[string]*hcl.Attribute
	done  map[string]cty.Value // an unknown value after an error
	path  []string             // those under evaluation, outermost first
}

// decodeLocals makes local.x available to all other expressions.
func (l *loader) decodeLocals(blocks hcl.Blocks) {
	e := locals{loader: l, attrs: map[string]*hcl.Attribute{}, done: map[string]cty.Value{}}
	for _, block := range blocks {
		e.collect(block)
	}
	l.localNames = slices.Sorted(maps.Keys(e.attrs))
	for _, name := range l.localNames {
		e.value(name)
	}
	all := cty.ObjectVal(e.done)
	if l.partial {
		all = cty.DynamicVal
	} else {
		l.texts = textsOf(e.done)
	}
	for _, body := range l.bodies {
		l.context(body.MissingItemRange().Filename).Variables["local"] = all
	}
}

// textsOf returns the locals that are a text or a list of texts. One that has an error is an empty list.
func textsOf(locals map[string]cty.Value) rule.Locals {
	texts := rule.Locals{}
	for name, v := range locals {
		switch t := v.Type(); {
		case !v.IsWhollyKnown():
			texts[name] = []string{}
		case v.IsNull():
		case t == cty.String:
			texts[name] = v.AsString()
		case t.IsTupleType() || t.IsListType() || t.IsSetType():
			if list, err := convert.Convert(v, cty.List(cty.String)); err == nil {
				all := []string{}
				for _, one := range list.AsValueSlice() {
					if !one.IsNull() {
						all = append(all, one.AsString())
					}
				}
				texts[name] = all
			}
		}
	}
	return texts
}

// collect notes what one block defines.
func (e *locals) collect(block *hcl.Block) {
	attrs, diags := block.Body.JustAttributes()
	e.root.Add(diags)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		attr := attrs[name]
		if first := e.attrs[name]; first != nil {
			e.root.ErrorAt(attr.NameRange, "Duplicate local",
				fmt.Sprintf("local.%s is already defined at %s. Give one of them another name.", name, settings.Where(first.NameRange)))
			continue
		}
		e.attrs[name] = attr
	}
}

// value evaluates one local, after those that it refers to.
func (e *locals) value(name string) cty.Value {
	if v, ok := e.done[name]; ok {
		return v
	}
	attr := e.attrs[name]
	e.path = append(e.path, name)
	defer func() { e.path = e.path[:len(e.path)-1] }()

	ready := map[string]cty.Value{}
	sound := true
	for _, reference := range attr.Expr.Variables() {
		switch reference.RootName() {
		case "local":
			if needed, ok := e.referred(reference); ok {
				ready[needed] = e.value(needed)
			} else {
				sound = false
			}
		case "source":
			sound = e.source(reference) && sound
		} // evaluation reports that there is no such variable
	}
	result := cty.DynamicVal
	if sound {
		shared := e.context(attr.Range.Filename)
		ctx := &hcl.EvalContext{Functions: shared.Functions, Variables: map[string]cty.Value{"local": cty.ObjectVal(ready), "source": e.allSources()}}
		v, diags := attr.Expr.Value(ctx)
		e.root.Add(diags)
		if !diags.HasErrors() {
			result = v
		}
	}
	e.done[name] = result
	return result
}

// referred is the name of the local that a reference means, if it can be
// evaluated now.
func (e *locals) referred(reference hcl.Traversal) (string, bool) {
	rng := reference.SourceRange()
	name := ""
	if len(reference) > 1 {
		name, _ = settings.Step(reference[1])
	}
	switch {
	case name == "":
		e.root.ErrorAt(rng, "Incomplete reference", "Write the name of a local, such as local.office.")
	case e.attrs[name] == nil && e.partial:
	case e.attrs[name] == nil:
		e.root.ErrorAt(rng, "Unknown local", e.noLocal(name))
	case slices.Contains(e.path, name):
		circle := append(slices.Clone(e.path[slices.Index(e.path, name):]), name)
		e.root.ErrorAt(rng, "Circular locals",
			fmt.Sprintf("local.%s refers to itself: local.%s.", name, strings.Join(circle, " → local.")))
	default:
		return name, true
	}
	return "", false
}

// source reports whether a reference names a source that is declared.
func (e *locals) source(reference hcl.Traversal) bool {
	ref := settings.Named(reference, "source")
	known := slices.Sorted(maps.Keys(e.sources))
	switch {
	case ref == "":
		e.root.ErrorAt(reference.SourceRange(), "Incomplete reference", "Write the kind and the name of a source, such as source.esl.pbx.")
	case slices.Contains(known, ref):
		return true
	case !e.partial:
		e.root.ErrorAt(reference.SourceRange(), "Unknown source", settings.Sentence(unknown(ref, "source", known)))
	}
	return false
}

// allSources is what `source` means in a local: every declared source by kind and name.
func (e *locals) allSources() cty.Value {
	kinds := map[string]map[string]cty.Value{}
	for ref := range e.sources {
		kind, name, _ := strings.Cut(ref, ".")
		if kinds[kind] == nil {
			kinds[kind] = map[string]cty.Value{}
		}
		kinds[kind][name] = cty.ObjectVal(map[string]cty.Value{"kind": cty.StringVal(kind), "name": cty.StringVal(name)})
	}
	all := map[string]cty.Value{}
	for kind, names := range kinds {
		all[kind] = cty.ObjectVal(names)
	}
	return cty.ObjectVal(all)
}
