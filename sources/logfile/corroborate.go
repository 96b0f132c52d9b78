package logfile

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A witness is the source that must have reported the same as the log before the
// log is believed.
type witness struct {
	ref   string // "esl.pbx"; "" if the log is believed as it is
	where hcl.Range
}

// witness reads `corroborate = source.esl.pbx`, a name that is taken as it stands
// and never evaluated. Whether such a source is declared, the configuration knows.
func (r *bodyReader) witness(attr *hcl.Attribute, own string) witness {
	traversal, diags := hcl.AbsTraversalForExpr(attr.Expr)
	names := []string{}
	for _, t := range traversal {
		if name, ok := step(t); ok {
			names = append(names, name)
		}
	}
	if diags.HasErrors() || len(names) != 3 || len(traversal) != 3 || names[0] != "source" {
		how := "A reference is three names without quotes, such as source.esl.pbx."
		if strings.HasSuffix(attr.Expr.Range().Filename, ".json") {
			how = `A reference is a text of three names here, such as "source.esl.pbx".`
		}
		r.mistake(attr, "Invalid reference", how)
		return witness{}
	}
	ref := names[1] + "." + names[2]
	if ref == own {
		r.mistake(attr, "Source that vouches for itself", fmt.Sprintf("source.%s cannot corroborate what it reports itself. Name the source that hears the same switch, such as source.esl.pbx.", own))
		return witness{}
	}
	return witness{ref, attr.Expr.Range()}
}

// step gives the name in one step of a reference.
func step(t hcl.Traverser) (string, bool) {
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
