package esl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Kind makes actions of `action "esl" "name" { … }` blocks.
var Kind = plugin.ActionKind{Name: "esl", Blocks: true, New: func(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	return newAction(read(b, env))
}}

// config is an action block, checked.
type config struct {
	name    string // the reference: "esl.fraud"
	at      esl.Switch
	hangup  scope
	flush   scope
	profile string // of registrations; "": that of each
	command template

	emergency numberKind // see [plugin.ActionEnv]
}

// A scope says which calls or registrations are acted on; "" is none.
type scope string

const (
	byIP   scope = "ip"   // those from the network of a change
	byUser scope = "user" // those of the accounts in its evidence
)

// A switcher is a source on a switch that carries out commands.
type switcher interface{ Switch() esl.Switch }

func read(b *settings.Block, env plugin.ActionEnv) config {
	c := config{name: env.Name, emergency: env.Emergency}
	if b.Require("source", "Name the source of the switch: source = source.esl.pbx.") {
		c.at = readSwitch(b, env.Sources)
	}
	b.Enum("hangup", (*string)(&c.hangup), string(byIP), string(byUser))
	b.Enum("flush_registration", (*string)(&c.flush), string(byIP), string(byUser))
	if b.String("profile", &c.profile) {
		b.Check("profile", "Not the name of a profile", checkWord(c.profile))
		if !b.Has("flush_registration") {
			b.Error("profile", "Nothing to flush", `A profile is where registrations are flushed: add flush_registration = "user" or "ip".`)
		}
	}
	if t, ok := b.Text("command"); ok {
		settings.Parse(b, t, &c.command, parseTemplate, "Invalid command", "a command of FreeSWITCH")
	}
	if b.Done() && !b.Has("hangup") && !b.Has("flush_registration") && !b.Has("command") {
		b.ErrorAt(b.Range, "Nothing to do", `Set hangup, flush_registration or command: hangup = "ip".`)
	}
	return c
}

// readSwitch finds the switch of the source that `source = source.esl.pbx` names.
func readSwitch(b *settings.Block, sources map[string]plugin.Source) (at esl.Switch) {
	ref, ok := b.Reference("source", "source", "source.esl.pbx")
	if !ok {
		return at
	}
	source, declared := sources[ref.Value]
	s, able := source.(switcher)
	switch {
	case !declared:
		hint := cmp.Or(event.DidYouMean(ref.Value, slices.Sorted(maps.Keys(sources))), ` It must be a source "esl" without errors.`)
		b.Invalid(ref, "Unknown source", fmt.Errorf("there is no source.%s.%s", ref.Value, hint), `the name of a source "esl"`)
	case declared && source == nil:
		b.Error("source", "Disabled source", fmt.Sprintf("source.%s is disabled. Enable it, or remove this action.", ref.Value))
	case !able:
		b.Error("source", "Source without commands", fmt.Sprintf(`source.%s is not of kind "esl": only an event socket carries out commands.`, ref.Value))
	default:
		at = s.Switch()
		b.Note("switch", at.Address+" "+at.Password)
	}
	return at
}
