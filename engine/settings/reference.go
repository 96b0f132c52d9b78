package settings

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Referable is the type of `source.esl.pbx` as the value of a local.
var Referable = cty.Object(map[string]cty.Type{"kind": cty.String, "name": cty.String})

// Reference reads the name of something that is declared elsewhere: `source.esl.pbx`, or
// a local that holds it. root is the first of the three names; the text is the other two,
// "esl.pbx". Whether anything bears that name is not checked.
func (b *Block) Reference(name, root, example string) (Text, bool) {
	attr := b.Attribute(name)
	if attr == nil {
		return Text{}, false
	}
	found, ok := b.references(attr, attr.Expr, root, example)
	if ok && len(found) != 1 {
		b.Error(name, "Not one "+root, fmt.Sprintf("Name one %s, such as %s.", root, example))
	}
	if !ok || len(found) != 1 {
		return Text{}, false
	}
	return found[0], true
}

// References reads a list of references; one reference is a list as well. It is ok
// only if all of them are; those that are come back in any case. A list that a local holds
// may be empty.
func (b *Block) References(name, root, example string) (all []Text, ok bool) {
	attr := b.Attribute(name)
	if attr == nil {
		return nil, false
	}
	list, diags := hcl.ExprList(attr.Expr)
	if diags.HasErrors() {
		list = []hcl.Expression{attr.Expr}
	}
	if len(list) == 0 {
		b.Error(name, "Empty list", fmt.Sprintf("Name at least one %s, such as %s.", root, example))
		return nil, false
	}
	ok = true
	for _, expr := range list {
		found, good := b.references(attr, expr, root, example)
		all = append(all, found...)
		ok = ok && good
	}
	return all, ok
}

// references reads what an expression names. A name that is written is taken as it
// stands, in JSON as a text. Any other expression is evaluated.
func (b *Block) references(attr *hcl.Attribute, expr hcl.Expression, root, example string) (all []Text, ok bool) {
	var refs []string // "" is none
	traversal, diags := hcl.AbsTraversalForExpr(expr)
	parsed := !diags.HasErrors()
	written := parsed && traversal.RootName() != "local"
	if written {
		refs = append(refs, Named(traversal, root))
	} else {
		if parsed { // in JSON it is a text
			expr = &hclsyntax.ScopeTraversalExpr{Traversal: traversal, SrcRange: expr.Range()}
		}
		values, ok := b.elements(expr)
		if !ok {
			return nil, false
		}
		for _, v := range values {
			ref := ""
			if !v.IsNull() && v.Type().Equals(Referable) && !v.GetAttr("kind").IsNull() && !v.GetAttr("name").IsNull() {
				ref = v.GetAttr("kind").AsString() + "." + v.GetAttr("name").AsString()
			}
			refs = append(refs, ref)
		}
	}
	for _, ref := range refs {
		if ref == "" {
			how := fmt.Sprintf("A reference is three names without quotes, such as %s.", example)
			if strings.HasSuffix(expr.Range().Filename, ".json") {
				how = fmt.Sprintf("A reference is a text of three names here, such as %q.", example)
			}
			what := "Invalid reference"
			if parsed && !written {
				what, how = "Invalid local", fmt.Sprintf("It has a value that is no %s. Write %s without quotes, or a list of such names; in JSON \"${%[2]s}\".", root, example)
			}
			b.ErrorAt(expr.Range(), what, how)
			return nil, false
		}
		b.note(attr.Name, ref)
		all = append(all, Text{ref, expr.Range(), written, 0})
	}
	return all, true
}

// Named returns the last two of the three names of a reference, the first of which is
// root; "" if it is none.
func Named(traversal hcl.Traversal, root string) string {
	var steps []string
	for _, t := range traversal {
		if name, ok := Step(t); ok {
			steps = append(steps, name)
		}
	}
	if len(traversal) != 3 || len(steps) != 3 || steps[0] != root {
		return ""
	}
	return steps[1] + "." + steps[2]
}

// Step is the name that one step of a reference picks: name, .name or ["name"].
func Step(t hcl.Traverser) (string, bool) {
	switch t := t.(type) {
	case hcl.TraverseRoot:
		return t.Name, true
	case hcl.TraverseAttr:
		return t.Name, true
	case hcl.TraverseIndex:
		if t.Key.Type() == cty.String && t.Key.IsKnown() && !t.Key.IsNull() {
			return t.Key.AsString(), true
		}
	}
	return "", false
}
