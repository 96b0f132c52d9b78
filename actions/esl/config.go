package esl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/zclconf/go-cty/cty"
)

// Kind makes actions of `action "esl" "name" { … }` blocks.
var Kind = plugin.ActionKind{Name: "esl", Blocks: true, New: fromHCL}

// config is an action block, checked.
type config struct {
	name    string     // the reference: "esl.fraud"
	at      esl.Switch // where to connect, and with which password
	hangup  scope
	flush   scope
	profile string // of registrations; "": the one that each is at
	command template
}

// A scope says whom something is done to.
type scope string

const (
	nobody   scope = ""
	byIP     scope = "ip"   // everybody in the network that a change is about
	accounts scope = "user" // the accounts in its evidence
)

// A switcher is a source that listens to a switch which takes commands, too.
type switcher interface{ Switch() esl.Switch }

// attributes are the names that a block may set.
var attributes = []string{"source", "hangup", "flush_registration", "profile", "command"}

func fromHCL(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	body, eval := b.Raw()
	env.Eval = eval
	c, diags := decode(body, env)
	b.Add(diags)
	return newAction(c)
}

func decode(body hcl.Body, env plugin.ActionEnv) (config, hcl.Diagnostics) {
	schema := &hcl.BodySchema{}
	for _, name := range attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name, Required: name == "source"})
	}
	content, diags := body.Content(schema)
	d := &decoder{content: content, eval: env.Eval, diags: diags}
	c := config{name: env.Name}
	d.source(&c, env.Sources)
	d.scope("hangup", &c.hangup)
	d.scope("flush_registration", &c.flush)
	if d.text("profile", &c.profile) {
		d.check("profile", "Not the name of a profile", checkWord(c.profile))
		if c.flush == nobody {
			d.check("profile", "Nothing to flush", errors.New(`a profile is where registrations are flushed: add flush_registration = "user" or "ip"`))
		}
	}
	var command string
	if d.text("command", &command) {
		var err error
		c.command, err = parseTemplate(command)
		d.check("command", "Invalid command", err)
	}
	if !diags.HasErrors() && content.Attributes["hangup"] == nil && content.Attributes["flush_registration"] == nil && content.Attributes["command"] == nil {
		d.diags = append(d.diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "Nothing to do",
			Detail:  `Say what the switch is to do: hangup = "ip", flush_registration = "user" or a command.`,
			Subject: content.MissingItemRange.Ptr(),
		})
	}
	return c, d.diags
}

// A decoder reads attributes one after the other and gathers what is wrong with
// them.
type decoder struct {
	content *hcl.BodyContent
	eval    *hcl.EvalContext
	diags   hcl.Diagnostics
}

// text decodes an attribute into target. It is ok if there is a value.
func (d *decoder) text(name string, target *string) (ok bool) {
	attr, there := d.content.Attributes[name]
	if !there {
		return false
	}
	diags := gohcl.DecodeExpression(attr.Expr, d.eval, target)
	d.diags = append(d.diags, diags...)
	return !diags.HasErrors()
}

func (d *decoder) scope(name string, target *scope) {
	var written string
	if !d.text(name, &written) {
		return
	}
	*target = scope(written)
	if *target != byIP && *target != accounts {
		d.check(name, "Nobody to act on", fmt.Errorf(`%q: write "ip" for everybody in the banned network, or "user" for the accounts that were used`, written))
	}
}

// check turns an error into a diagnostic on the attribute.
func (d *decoder) check(name, summary string, err error) {
	if err == nil {
		return
	}
	attr := d.content.Attributes[name]
	d.diags = append(d.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: err.Error(),
		Subject: attr.Expr.Range().Ptr(), Context: attr.Range.Ptr(),
	})
}

// source finds the switch of the source that `source = source.esl.pbx` names: a
// name that is taken as it stands and never evaluated.
func (d *decoder) source(c *config, sources map[string]plugin.Source) {
	attr := d.content.Attributes["source"]
	if attr == nil {
		return // which has been told
	}
	ref, ok := reference(attr.Expr)
	if !ok {
		how := "a reference is three names without quotes, such as source.esl.pbx"
		if strings.HasSuffix(attr.Expr.Range().Filename, ".json") {
			how = `a reference is a text of three names here, such as "source.esl.pbx"`
		}
		d.check("source", "Invalid reference", errors.New(how))
		return
	}
	var able []string // to take commands
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if _, ok := sources[name].(switcher); ok {
			able = append(able, name)
		}
	}
	source, declared := sources[ref]
	s, takes := source.(switcher)
	switch {
	case !declared:
		hint := event.DidYouMean(ref, able)
		if hint == "" {
			hint = ` It must be a source "esl" that is right in itself.`
		}
		d.check("source", "Unknown source", fmt.Errorf("there is no source.%s.%s", ref, hint))
	case !takes:
		d.check("source", "Source that takes no commands", fmt.Errorf(`source.%s is not of kind "esl": only over the event socket can a switch be told anything`, ref))
	default:
		c.at = s.Switch()
	}
}

// reference reads source.kind.name.
func reference(expr hcl.Expression) (ref string, ok bool) {
	traversal, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() || len(traversal) != 3 || traversal.RootName() != "source" {
		return "", false
	}
	var names [2]string
	for i, step := range traversal[1:] {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			names[i] = step.Name
		case hcl.TraverseIndex:
			if step.Key.Type() != cty.String || step.Key.IsNull() || !step.Key.IsKnown() {
				return "", false
			}
			names[i] = step.Key.AsString()
		default:
			return "", false
		}
	}
	return names[0] + "." + names[1], true
}
