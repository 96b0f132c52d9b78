package config

import (
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/event"

	"github.com/hashicorp/hcl/v2"
)

// A referent is the kind of thing that a reference names.
type referent struct {
	root    string   // "source"
	example string   // "source.log.freeswitch"
	known   []string // what is declared: "log.freeswitch"
}

// references reads `on = [source.log.freeswitch]`: names that are taken as they
// stand and never evaluated. It is ok only if all of them are; those that are
// come back in any case.
func (l *loader) references(attr *hcl.Attribute, to referent) (all []string, ok bool) {
	list, diags := hcl.ExprList(attr.Expr)
	if diags.HasErrors() {
		list = []hcl.Expression{attr.Expr}
	}
	if len(list) == 0 {
		l.errorAt(attr.Expr.Range(), "Empty list", fmt.Sprintf("Name at least one %s, such as %s.", to.root, to.example))
		return nil, false
	}
	ok = true
	for _, expr := range list {
		ref, good := l.reference(expr, to)
		switch {
		case !good:
			ok = false
		case slices.Contains(all, ref):
			l.errorAt(expr.Range(), "Named twice", fmt.Sprintf("%s.%s already stands in this list.", to.root, ref))
			ok = false
		default:
			all = append(all, ref)
		}
	}
	return all, ok
}

// reference reads one name, and checks that something bears it.
func (l *loader) reference(expr hcl.Expression, to referent) (string, bool) {
	rng := expr.Range()
	traversal, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		l.errorAt(rng, "Invalid reference", l.howToRefer(expr, to))
		return "", false
	}
	steps := []string{traversal.RootName()}
	for _, t := range traversal[1:] {
		name, ok := step(t)
		if !ok {
			l.errorAt(rng, "Invalid reference", l.howToRefer(expr, to))
			return "", false
		}
		steps = append(steps, name)
	}
	written := strings.Join(steps, ".")
	ref, rooted := strings.CutPrefix(written, to.root+".")
	if len(steps) == 3 && rooted && slices.Contains(to.known, ref) {
		return ref, true
	}
	if l.partial {
		return "", false
	}
	hint := fmt.Sprintf(" No %s is declared.", to.root)
	if best := event.Nearest(ref, to.known); best != "" {
		hint = fmt.Sprintf(" Did you mean %q?", to.root+"."+best)
	} else if len(to.known) > 0 {
		hint = fmt.Sprintf(" Declared are: %s.%s.", to.root, strings.Join(to.known, ", "+to.root+"."))
	}
	l.errorAt(rng, "Unknown "+to.root, fmt.Sprintf("There is no %s.%s", written, hint))
	return "", false
}

// howToRefer says how a reference is written, in the syntax of the file.
func (l *loader) howToRefer(expr hcl.Expression, to referent) string {
	if strings.HasSuffix(expr.Range().Filename, ".json") {
		return fmt.Sprintf("A reference is a text of three names here, such as %q.", to.example)
	}
	return fmt.Sprintf("A reference is three names without quotes, such as %s.", to.example)
}
