package logfile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile/forgery"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

var (
	bodySchema = &hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "path"}, {Name: "timezone"}, {Name: "builtin"}, {Name: "forgery"}, {Name: "corroborate"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "event", LabelNames: []string{"name"}}},
	}
	eventSchema = &hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "line", Required: true}, {Name: "file"}, {Name: "level"}},
	}
)

// knownEvents are the names that an event block may bear without being one of
// the operator's own.
var knownEvents = slices.Concat(event.Names, []string{malformed, userAgentRejected, registrationLimit})

// bodyReader reads the attributes of one source block and collects the mistakes.
type bodyReader struct {
	eval  *hcl.EvalContext
	diags hcl.Diagnostics
}

// decodeBody reads the block's body and reports all its mistakes at once.
func decodeBody(body hcl.Body, env plugin.SourceEnv) (*source, hcl.Diagnostics) {
	content, diags := body.Content(bodySchema)
	r := bodyReader{env.Eval, diags}
	s := &source{name: env.Name, path: DefaultPath, zone: time.Local, detect: true, piece: forgery.PieceLength}
	if attr := content.Attributes["path"]; attr != nil && r.read(attr, &s.path) && s.path == "" {
		r.mistake(attr, "Empty path", "Write the path of FreeSWITCH's log, or leave the attribute out for "+DefaultPath+".")
	}
	if attr := content.Attributes["timezone"]; attr != nil {
		s.zone = r.zone(attr)
	}
	if attr := content.Attributes["forgery"]; attr != nil {
		s.detect = r.forgery(attr)
	}
	if attr := content.Attributes["corroborate"]; attr != nil {
		s.witness = r.witness(attr, env.Name)
	}
	useBuiltin := true
	if attr := content.Attributes["builtin"]; attr != nil {
		r.read(attr, &useBuiltin)
		if !useBuiltin && len(content.Blocks) == 0 {
			r.mistake(attr, "Source without events", "Without the built-in patterns the source reports nothing. Add event blocks, or leave the attribute out.")
		}
	}
	for _, block := range content.Blocks {
		s.patterns = append(s.patterns, r.event(block))
	}
	if useBuiltin {
		s.patterns = append(s.patterns, catalogue...)
	}
	return s, r.diags
}

// read evaluates an attribute into a string or bool.
func (r *bodyReader) read(attr *hcl.Attribute, into any) bool {
	diags := gohcl.DecodeExpression(attr.Expr, r.eval, into)
	r.diags = append(r.diags, diags...)
	return !diags.HasErrors()
}

func (r *bodyReader) mistake(attr *hcl.Attribute, summary, detail string) {
	r.diags = append(r.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: attr.Expr.Range().Ptr(),
	})
}

func (r *bodyReader) zone(attr *hcl.Attribute) *time.Location {
	var name string
	if !r.read(attr, &name) {
		return time.Local
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		r.mistake(attr, "Unknown timezone", fmt.Sprintf("%q is not a time zone. Write an IANA name such as \"Europe/Berlin\" or \"UTC\", or leave the attribute out for the host's own.", name))
		return time.Local
	}
	return zone
}

// forgery reads whether lines that callers wrote are looked for.
func (r *bodyReader) forgery(attr *hcl.Attribute) (detect bool) {
	words := []string{"detect", "ignore"}
	var word string
	if r.read(attr, &word) && !slices.Contains(words, word) {
		r.mistake(attr, "Unknown way with forgeries", fmt.Sprintf("%q is neither \"detect\" nor \"ignore\".%s", word, event.DidYouMean(word, words)))
	}
	return word != "ignore"
}

// event reads one event block.
func (r *bodyReader) event(block *hcl.Block) pattern.Pattern {
	name := block.Labels[0]
	r.name(name, block.LabelRanges[0])
	content, diags := block.Body.Content(eventSchema)
	r.diags = append(r.diags, diags...)
	var line, file, level string
	var p pattern.Pattern
	if attr := content.Attributes["line"]; attr != nil && r.read(attr, &line) {
		var problems []pattern.Problem
		p, problems = pattern.Compile(name, line)
		for _, problem := range problems {
			r.mistake(attr, problem.Summary, problem.Detail)
		}
	}
	if attr := content.Attributes["file"]; attr != nil && r.read(attr, &file) {
		if file == "" || strings.ContainsAny(file, ": ") {
			r.mistake(attr, "Bad source file", "Write the name of FreeSWITCH's source file as it stands in the line, without the line number: \"sofia_reg.c\".")
		}
		p.File = file
	}
	if attr := content.Attributes["level"]; attr != nil && r.read(attr, &level) {
		p.Level = r.level(attr, level)
	}
	return p
}

// name checks the name of an event: of the vocabulary, or of the operator's own.
func (r *bodyReader) name(name string, at hcl.Range) {
	if slices.Contains(knownEvents, name) {
		return
	}
	summary, detail := "", ""
	if suggestion := event.Mistyped(name, knownEvents); suggestion != "" {
		summary = "Unknown event"
		detail = fmt.Sprintf("There is no event %q. Did you mean %q? An event of your own needs a name that is less like it.", name, suggestion)
	} else if !pattern.IsName(name) {
		summary = "Bad event name"
		detail = fmt.Sprintf("%q is not an event name: write small letters, digits and underscores, a letter first.", name)
	} else {
		return
	}
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

func (r *bodyReader) level(attr *hcl.Attribute, word string) string {
	level, ok := record.Levels[strings.ToUpper(word)]
	if !ok {
		r.mistake(attr, "Unknown level", fmt.Sprintf("%q is not a log level.%s Levels are %s.", word, event.DidYouMean(strings.ToUpper(word), record.LevelNames), strings.Join(record.LevelNames, ", ")))
	}
	return level
}
