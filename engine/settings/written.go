package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// IsWritten reports whether an expression holds nothing but what is seen.
func IsWritten(expr hcl.Expression) bool {
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
		if v.Type() == cty.String && v.IsKnown() && !v.IsNull() && IsTemplate(v.AsString()) {
			written = false
		}
		return true, nil
	})
	return written
}

// literal returns the value of an expression that is a text in quotes or another constant. HCL needs neither
// a context nor copies for one.
func literal(expr hcl.Expression) (cty.Value, bool) {
	if text, ok := expr.(*hclsyntax.TemplateExpr); ok && text.IsStringLiteral() {
		expr = text.Parts[0]
	}
	constant, ok := expr.(*hclsyntax.LiteralValueExpr)
	if !ok || constant.Val.IsNull() {
		return cty.NilVal, false
	}
	return constant.Val, true
}

// IsTemplate reports whether a text holds what HCL would evaluate.
func IsTemplate(text string) bool {
	return strings.Contains(text, "${") || strings.Contains(text, "%{")
}

// HideArguments takes what a function says about its arguments out of a diagnostic,
// unless they are written in the file.
func HideArguments(diag *hcl.Diagnostic) {
	extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag)
	if !ok || extra.FunctionCallError() == nil {
		return
	}
	arguments := []hclsyntax.Expression{}
	switch expr := diag.Expression.(type) {
	case *hclsyntax.FunctionCallExpr:
		arguments = expr.Args
	case hclsyntax.Expression:
		arguments = append(arguments, expr)
	}
	if slices.ContainsFunc(arguments, func(e hclsyntax.Expression) bool { return !IsWritten(e) }) {
		diag.Detail = fmt.Sprintf("Call to function %q failed. The reason is not shown, because an argument of it may come from the environment or another file.",
			extra.CalledFunctionName())
	}
}
