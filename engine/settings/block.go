package settings

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A Block is one block of a rule file. It belongs to one goroutine.
type Block struct {
	Range       hcl.Range // its header: where mistakes are reported that concern no attribute
	Labels      []string
	LabelRanges []hcl.Range

	body   hcl.Body
	eval   *hcl.EvalContext
	names  []string                // of attributes that were read so far; some twice
	kinds  []hcl.BlockHeaderSchema // likewise, of nested blocks
	done   bool
	nested []*Block
	*gathered
}

// gathered is what a block and those inside it have in common.
type gathered struct {
	diags hcl.Diagnostics
	print []byte
}

// New makes a reader of a body whose expressions may refer to what eval defines. The
// header is for messages.
func New(body hcl.Body, header hcl.Range, eval *hcl.EvalContext) *Block {
	return &Block{Range: header, body: body, eval: eval, gathered: &gathered{}}
}

// Of makes a reader of a block.
func Of(block *hcl.Block, eval *hcl.EvalContext) *Block {
	b := New(block.Body, Header(block), eval)
	b.Labels, b.LabelRanges = block.Labels, block.LabelRanges
	return b
}

// Evaluate has what is read from now on refer to what eval defines.
func (b *Block) Evaluate(eval *hcl.EvalContext) { b.eval = eval }

// Header is the range of what names a block: `rule "guessing"`. The definition
// range that HCL gives is that in its own syntax only; in JSON it is a brace.
func Header(b *hcl.Block) hcl.Range {
	switch {
	case !strings.HasSuffix(b.DefRange.Filename, ".json"):
		return b.DefRange
	case len(b.LabelRanges) > 0:
		return b.LabelRanges[len(b.LabelRanges)-1]
	}
	return b.TypeRange
}

// Blocks returns the nested blocks of a type, which bear these labels.
func (b *Block) Blocks(kind string, labels ...string) []*Block {
	header := hcl.BlockHeaderSchema{Type: kind, LabelNames: labels}
	b.kinds = append(b.kinds, header)
	var found []*Block
	for _, block := range b.written(header) {
		inner := Of(block, b.eval)
		inner.gathered = b.gathered
		inner.note("block", strings.Join(append([]string{kind}, block.Labels...), " "))
		found = append(found, inner)
	}
	b.nested = append(b.nested, found...)
	return found
}

// written returns the blocks with a header.
func (b *Block) written(header hcl.BlockHeaderSchema) (found hcl.Blocks) {
	native, ok := b.body.(*hclsyntax.Body)
	if !ok {
		content, _, _ := b.body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{header}})
		return content.Blocks
	}
	for _, block := range native.Blocks { // without what HCL makes of the attributes for each call
		if block.Type == header.Type && len(block.Labels) == len(header.LabelNames) {
			found = append(found, block.AsHCLBlock())
		}
	}
	return found
}

// One returns the nested block of a type, or nil. A second one is a mistake.
func (b *Block) One(kind string) *Block {
	found := b.Blocks(kind)
	if len(found) == 0 {
		return nil
	}
	for _, extra := range found[1:] {
		extra.Skip()
		b.ErrorAt(extra.Range, "Block given twice", fmt.Sprintf("There is a %s block at %s already.", kind, Where(found[0].Range)))
	}
	return found[0]
}

// Where is a place in words: "rules.d/00-site.hcl:4".
func Where(rng hcl.Range) string { return fmt.Sprintf("%s:%d", rng.Filename, rng.Start.Line) }

// Attribute returns an attribute as it is written, or nil.
func (b *Block) Attribute(name string) *hcl.Attribute {
	b.see(name)
	if native, ok := b.body.(*hclsyntax.Body); ok { // without the schema that HCL builds for each call
		if found := native.Attributes[name]; found != nil {
			return found.AsHCLAttribute()
		}
		return nil
	}
	content, _, _ := b.body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	return content.Attributes[name]
}

// expression returns that of an attribute, or nil.
func (b *Block) expression(name string) hcl.Expression {
	if native, ok := b.body.(*hclsyntax.Body); ok { // without a copy of the attribute
		b.see(name)
		if found := native.Attributes[name]; found != nil {
			return found.Expr
		}
		return nil
	}
	if attr := b.Attribute(name); attr != nil {
		return attr.Expr
	}
	return nil
}

// see has an attribute count as read.
func (b *Block) see(name string) {
	if !slices.Contains(b.names, name) {
		b.names = append(b.names, name)
	}
}

// Written returns those of the attributes that are written. All of them count as read.
func (b *Block) Written(names []string) (written []string) {
	native, ok := b.body.(*hclsyntax.Body)
	for _, name := range names {
		if !ok && b.Has(name) || ok && native.Attributes[name] != nil {
			written = append(written, name)
		}
	}
	b.names = append(b.names, names...)
	return written
}

// Has reports whether an attribute is written, right or wrong.
func (b *Block) Has(name string) bool { return b.expression(name) != nil }

// Require reports whether an attribute is written. One that is not is a mistake; detail
// says what to write.
func (b *Block) Require(name, detail string) bool {
	if b.Has(name) {
		return true
	}
	b.ErrorAt(b.Range, "Missing "+name, detail)
	return false
}

// Done reports what stands in the block and was not read, and whether it is right:
// there is nothing of the kind. It does so once.
func (b *Block) Done() bool {
	if b.done {
		return true
	}
	b.done = true
	right := b.allRead()
	if !right {
		_, diags := b.body.Content(b.schema())
		b.Add(diags)
		right = !diags.HasErrors()
	}
	for _, inner := range b.nested {
		right = inner.Done() && right
	}
	return right
}

// allRead reports whether it is sure that all that stands in the block was read.
func (b *Block) allRead() bool {
	native, ok := b.body.(*hclsyntax.Body)
	if !ok {
		return false
	}
	for name := range native.Attributes {
		if !slices.Contains(b.names, name) {
			return false
		}
	}
	for _, block := range native.Blocks {
		if !slices.ContainsFunc(b.kinds, func(h hcl.BlockHeaderSchema) bool {
			return h.Type == block.Type && len(h.LabelNames) == len(block.Labels)
		}) {
			return false
		}
	}
	return true
}

// schema is what has been read so far, in this order: HCL suggests the first name that is like a wrong one.
func (b *Block) schema() *hcl.BodySchema {
	schema := &hcl.BodySchema{Blocks: b.kinds}
	for _, name := range b.names {
		if attr := (hcl.AttributeSchema{Name: name}); !slices.Contains(schema.Attributes, attr) {
			schema.Attributes = append(schema.Attributes, attr)
		}
	}
	return schema
}

// Skip has [Block.Done] report nothing, for a block that is not read.
func (b *Block) Skip() { b.done = true }

// Diagnostics are the mistakes and warnings up to now, with those of the blocks around
// this one and inside it.
func (b *Block) Diagnostics() hcl.Diagnostics { return b.diags }

// Failed reports whether there is an error among the diagnostics.
func (b *Block) Failed() bool { return b.diags.HasErrors() }

// A Fingerprint is a hash of all that was read from a block.
type Fingerprint [sha256.Size]byte

// Fingerprint returns the hash of all that was read up to now. Two blocks with the same
// one have the same values, those of environment variables and included files too.
func (b *Block) Fingerprint() Fingerprint { return sha256.Sum256(b.print) }

// Note adds to the fingerprint what a plugin takes from elsewhere.
func (b *Block) Note(key, value string) { b.note(key, value) }

// note adds both to the print, in front of each its length.
func (b *Block) note(key, value string) {
	b.print = append(binary.AppendUvarint(b.print, uint64(len(key))), key...)
	b.print = append(binary.AppendUvarint(b.print, uint64(len(value))), value...)
}

// Add takes over diagnostics. One without a position is about the whole block.
func (b *Block) Add(diags hcl.Diagnostics) {
	for _, diag := range diags {
		c := *diag
		if c.Subject == nil {
			c.Subject = b.Range.Ptr()
		}
		HideArguments(&c)
		b.diags = append(b.diags, &c)
	}
}

// Error reports a mistake in an attribute, or in the block where it has no such one.
func (b *Block) Error(name, summary, detail string) { b.ErrorAt(b.At(name), summary, detail) }

// Check is [Block.Error] for an error, which may be nil.
func (b *Block) Check(name, summary string, err error) {
	if err != nil {
		b.Error(name, summary, Sentence(err))
	}
}

// Notice is the severity of a diagnostic that is worth knowing, and no warning.
const Notice = hcl.DiagWarning + 1

// Warn reports what works but is likely not meant.
func (b *Block) Warn(name, summary, detail string) { b.WarnAt(b.At(name), summary, detail) }

// ErrorAt reports a mistake at a range.
func (b *Block) ErrorAt(rng hcl.Range, summary, detail string) {
	b.diags = append(b.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &rng})
}

// WarnAt is [Block.Warn] at a range.
func (b *Block) WarnAt(rng hcl.Range, summary, detail string) {
	b.diags = append(b.diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: detail, Subject: &rng})
}

// NoticeAt reports what follows from a choice of the operator, at a range.
func (b *Block) NoticeAt(rng hcl.Range, summary, detail string) {
	b.diags = append(b.diags, &hcl.Diagnostic{Severity: Notice, Summary: summary, Detail: detail, Subject: &rng})
}

// At is the range of an attribute's value, or of the block's header.
func (b *Block) At(name string) hcl.Range {
	if attr := b.Attribute(name); name != "" && attr != nil {
		return attr.Expr.Range()
	}
	return b.Range
}

// Sentence makes the text of an error one.
func Sentence(err error) string {
	s := err.Error()
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}
