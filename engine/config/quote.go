package config

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/regex"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// withoutSecrets are the blocks whose lines may be printed: no attribute of theirs is a
// secret. A printed line may go to a log that more people read than the rule files.
var withoutSecrets = []string{"rule", "threshold", "ban", "alert", "brake", "test", "given", "trusted", "security", "numbering"}

// quotable reports whether the line on which a range begins may be printed. It is so if
// the line belongs to a block, and all blocks on it are without secrets. Of a JSON file
// no line is, and of one that does not parse only those that are [harmless].
func quotable(file *hcl.File, rng hcl.Range) bool {
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return strings.HasSuffix(rng.Filename, ".hcl") && isHarmless(lineAt(file.Bytes, rng.Start.Byte))
	}
	inside, bearing := blocksOn(rng.Start.Line, body)
	return inside && !bearing
}

// isHarmless reports whether a line is one of a rule that cannot hold a secret, whatever is open before it. A
// second attribute in the line may be one.
func isHarmless(line []byte) bool {
	at := harmless.Use().FindIndex(line)
	return at != nil && !second.Use().Match(line[at[1]:])
}

var second = regex.New(`[;,"'\s]\s*[\w-]+["']?\s*[=:]\s*[^=\s]`)

// harmless is the beginning of such a line.
var harmless = regex.New(`^\s*(?:(?:on|match|count|within|per|distinct|then|concurrent|for|forget|network|networks|every|bans|times|event|block_duration)\s*[=:]|(?:rule|threshold|ban|alert|brake|test|given)\b[^={]*\{?\s*$)`)

// lineAt returns the line of a file around a byte.
func lineAt(src []byte, at int) []byte {
	at = min(at, len(src))
	from := bytes.LastIndexByte(src[:at], '\n') + 1
	if end := bytes.IndexByte(src[at:], '\n'); end >= 0 {
		return src[from : at+end]
	}
	return src[from:]
}

// blocksOn reports whether a line is inside a block of a body, and whether a block on it
// may bear secrets.
func blocksOn(line int, body *hclsyntax.Body) (inside, bearing bool) {
	for _, block := range body.Blocks {
		if line < block.TypeRange.Start.Line || line > block.CloseBraceRange.End.Line {
			continue
		}
		_, within := blocksOn(line, block.Body)
		inside, bearing = true, bearing || within || !slices.Contains(withoutSecrets, block.Type)
	}
	return inside, bearing
}

// isUnknown reports whether a diagnostic is about something that no block has. It may
// be a secret in the wrong place.
func isUnknown(diag *hcl.Diagnostic) bool {
	return diag.Summary == "Unsupported argument" || diag.Summary == "Unsupported block type"
}

// withoutWord takes the word that a diagnostic points at out of its text: a password
// without quotes is read as a variable. The names of attributes and blocks stay.
func withoutWord(diag *hcl.Diagnostic, src []byte) {
	if isUnknown(diag) || diag.Summary == "Attribute redefined" {
		return
	}
	word := strings.TrimPrefix(string(diag.Subject.SliceBytes(src)), ".") // of a reference
	diag.Detail = strings.ReplaceAll(diag.Detail, strconv.Quote(word), `"…"`)
}
