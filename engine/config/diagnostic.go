package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// withoutValues copies a diagnostic without the values of variables, which may be
// passwords and which HCL's own writer prints.
func withoutValues(diag *hcl.Diagnostic) *hcl.Diagnostic {
	c := *diag
	c.Expression, c.EvalContext, c.Extra = nil, nil, nil
	return &c
}

// afterthought is what HCL reports about a value that is missing because of another
// mistake, which has its own diagnostic.
const afterthought = "value must be known"

// maxDiagnostics bounds the diagnostics of one load.
const maxDiagnostics = 100

// tidy sorts diagnostics by file and line, gives each a position, and drops those that
// follow from others.
func tidy(diags hcl.Diagnostics, files Files, fallback hcl.Range) hcl.Diagnostics {
	causes := slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool {
		return d.Severity == hcl.DiagError && !strings.Contains(d.Detail, afterthought)
	})
	var out hcl.Diagnostics
	for _, diag := range diags {
		if causes && strings.Contains(diag.Detail, afterthought) {
			continue
		}
		diag = withoutValues(diag)
		if diag.Subject == nil {
			diag.Subject, diag.Context = fallback.Ptr(), nil
		}
		out = append(out, diag)
	}
	slices.SortStableFunc(out, func(a, b *hcl.Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.Subject.Filename, b.Subject.Filename),
			cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte),
			strings.Compare(a.Summary, b.Summary),
			strings.Compare(a.Detail, b.Detail),
		)
	})
	out = slices.CompactFunc(out, func(a, b *hcl.Diagnostic) bool {
		return a.Severity == b.Severity && a.Summary == b.Summary && a.Detail == b.Detail && *a.Subject == *b.Subject
	})
	out = once(out)
	if len(out) > maxDiagnostics {
		out = append(out[:maxDiagnostics:maxDiagnostics], theRest(out[maxDiagnostics:]))
	}
	for _, diag := range out {
		if file := files[diag.Subject.Filename]; file != nil {
			diag.Subject = inside(*diag.Subject, file.Bytes).Ptr()
			if diag.Context != nil {
				diag.Context = inside(*diag.Context, file.Bytes).Ptr()
			}
			if !quotable(file, *diag.Subject) {
				withoutWord(diag, file.Bytes)
			}
		}
	}
	return out
}

// repeated are the summaries of mistakes that are reported once for each name.
var repeated = []string{
	"Unknown source", "Unknown action", "Unknown local", "Invalid local", "Named twice", "Unknown field", "Unknown event", "Unknown function",
	"Unsupported argument", "Unsupported block type", "Extraneous JSON object property", "Invalid key", "Never equal", "Missing within", "Missing count",
	rule.WithoutDatabase,
}

// once has a mistake of a name reported at its first place alone.
func once(diags hcl.Diagnostics) hcl.Diagnostics {
	first, more := map[string]*hcl.Diagnostic{}, map[*hcl.Diagnostic]int{}
	diags = slices.DeleteFunc(diags, func(diag *hcl.Diagnostic) bool {
		name := diag.Summary + diag.Detail
		if !slices.Contains(repeated, diag.Summary) {
			return false
		}
		if first[name] == nil {
			first[name] = diag
			return false
		}
		more[first[name]]++
		return true
	})
	for diag, n := range more {
		places := "places"
		if n == 1 {
			places = "place"
		}
		diag.Detail += fmt.Sprintf(" The same stands in %d more %s.", n, places)
	}
	return diags
}

// theRest stands for the diagnostics beyond the bound. It is an error if one of them is.
func theRest(diags hcl.Diagnostics) *hcl.Diagnostic {
	rest := &hcl.Diagnostic{
		Severity: hcl.DiagWarning, Summary: "More of this kind",
		Detail: fmt.Sprintf("There are %d more, which are not shown.", len(diags)), Subject: diags[0].Subject,
	}
	if diags.HasErrors() {
		rest.Severity, rest.Summary = hcl.DiagError, "More mistakes"
	}
	return rest
}

// inside makes a range lie in its file, with the lines and columns that belong
// to its bytes: HCL counts both wrongly in a JSON string with escapes in it.
func inside(rng hcl.Range, src []byte) hcl.Range {
	if strings.HasSuffix(rng.Filename, ".json") {
		rng.Start = positionAt(src, hcl.InitialPos, rng.Start.Byte)
		rng.End = positionAt(src, rng.Start, rng.End.Byte)
	}
	return rng
}

// positionAt returns the position of a byte of a file, counted from a position before
// it, or the position of the end where the file is shorter.
func positionAt(src []byte, from hcl.Pos, offset int) hcl.Pos {
	offset = max(from.Byte, min(offset, len(src)))
	whole := func(data []byte, _ bool) (int, []byte, error) { return len(data), data, nil }
	pos := hcl.InitialPos
	if scan := hcl.NewRangeScanner(src[from.Byte:offset], "", whole); scan.Scan() {
		pos = scan.Range().End
	}
	if pos.Line == 1 {
		pos.Column += from.Column - 1
	}
	return hcl.Pos{Line: from.Line + pos.Line - 1, Column: pos.Column, Byte: offset}
}

// startOf returns the start of a file, for a diagnostic about all of it.
func startOf(name string) hcl.Range {
	start := hcl.Pos{Line: 1, Column: 1}
	return hcl.Range{Filename: name, Start: start, End: start}
}

// nameLocal words the diagnostic about an unknown local. HCL sees only an object without
// such an attribute.
func (l *loader) nameLocal(diag *hcl.Diagnostic) {
	expr, ok := diag.Expression.(*hclsyntax.ScopeTraversalExpr)
	if !ok || expr.Traversal.RootName() != "local" || len(expr.Traversal) < 2 {
		return
	}
	name, ok := settings.Step(expr.Traversal[1])
	if !ok || slices.Contains(l.localNames, name) {
		return
	}
	diag.Summary = "Unknown local"
	diag.Detail = l.noLocal(name)
	diag.Subject = expr.SrcRange.Ptr()
}

func (l *loader) noLocal(name string) string {
	return fmt.Sprintf("There is no local %q.%s", name, cmp.Or(event.DidYouMean(name, l.localNames), " Define it in a locals block: locals { "+name+" = ... }."))
}
