package settings

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Reference reads the name of something that is declared elsewhere, `source.esl.pbx`:
// it is taken as it stands, in JSON as a text, and never evaluated. root is the first
// of the three names; the text is the other two, "esl.pbx". Whether anything bears
// that name is not checked.
func (b *Block) Reference(name, root, example string) (Text, bool) {
	attr := b.Attribute(name)
	if attr == nil {
		return Text{}, false
	}
	return b.reference(attr, attr.Expr, root, example)
}

// References reads a list of references; one reference is a list as well. It is ok
// only if all of them are; those that are come back in any case.
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
		ref, good := b.reference(attr, expr, root, example)
		if good {
			all = append(all, ref)
		}
		ok = ok && good
	}
	return all, ok
}

func (b *Block) reference(attr *hcl.Attribute, expr hcl.Expression, root, example string) (Text, bool) {
	traversal, diags := hcl.AbsTraversalForExpr(expr)
	var steps []string
	for _, t := range traversal {
		if name, ok := Step(t); ok {
			steps = append(steps, name)
		}
	}
	if diags.HasErrors() || len(traversal) != 3 || len(steps) != 3 || steps[0] != root {
		how := fmt.Sprintf("A reference is three names without quotes, such as %s.", example)
		if strings.HasSuffix(expr.Range().Filename, ".json") {
			how = fmt.Sprintf("A reference is a text of three names here, such as %q.", example)
		}
		b.ErrorAt(expr.Range(), "Invalid reference", how)
		return Text{}, false
	}
	ref := steps[1] + "." + steps[2]
	b.note(attr.Name, ref)
	return Text{ref, expr.Range(), true}, true
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
