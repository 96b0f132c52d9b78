package config

import (
	"strings"

	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// match compiles an expression of the rule, of `match` or `then`. It reports mistakes on
// the very words, and returns nil if there is one.
func (r *ruleBlock) match(b *settings.Block, expr hcl.Expression) *rule.Matcher {
	lit, ok := r.literal(b, expr)
	if !ok {
		return nil
	}
	known := rule.Vocabulary{Events: r.events, Fields: r.raw(), Open: !r.whole, Locals: r.texts, Unset: r.unset}
	matcher, problems := rule.Compile(lit.value, known)
	for _, p := range problems {
		if r.texts == nil && strings.HasPrefix(string([]rune(lit.value)[p.From:p.To]), "local.") {
			continue // it has no value because of another mistake
		}
		b.ErrorAt(lit.between(p.From, p.To), p.Summary, p.Detail)
	}
	return matcher
}

// literal reads a text without templates: its mistakes have positions in the file.
func (l *loader) literal(b *settings.Block, expr hcl.Expression) (literal, bool) {
	rng := expr.Range()
	src := l.files[rng.Filename].Bytes
	v := cty.NilVal
	switch native := expr.(type) {
	case *hclsyntax.TemplateExpr:
		if !native.IsStringLiteral() {
			refuseTemplate(b, templatePart(native))
			return literal{}, false
		}
		v, _ = native.Value(nil)
	case *hclsyntax.TemplateWrapExpr:
		refuseTemplate(b, native.SrcRange)
		return literal{}, false
	case hclsyntax.Expression:
	default: // JSON, where strings are not evaluated without a context
		v, _ = expr.Value(nil)
	}
	if v == cty.NilVal || v.Type() != cty.String || v.IsNull() {
		b.ErrorAt(rng, "Not a plain text", "Write the expression here as a text in quotes, or as a heredoc.")
		return literal{}, false
	}
	lit := literal{v.AsString(), rng, src}
	if strings.HasSuffix(rng.Filename, ".json") && settings.IsTemplate(lit.value) {
		refuseTemplate(b, rng)
		return literal{}, false
	}
	return lit, true
}

// templatePart returns the range of the first part of a template that is not text.
func templatePart(t *hclsyntax.TemplateExpr) hcl.Range {
	for _, part := range t.Parts {
		if _, plain := part.(*hclsyntax.LiteralValueExpr); !plain {
			return part.Range()
		}
	}
	return t.SrcRange
}

func refuseTemplate(b *settings.Block, rng hcl.Range) {
	b.ErrorAt(rng, "Template in an expression",
		"Write the expression without ${…} and %{…}: it is checked as it is written. It can name locals: user in local.dialers. In HCL, a literal \"${\" is written \"$${\", and \"%{\" is written \"%%{\".")
}
