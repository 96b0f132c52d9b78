package feed

import (
	"net/http"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Kind makes feeds: `source "feed" "name" { … }`.
var Kind = plugin.SourceKind{Name: "feed", New: newSource}

// source is one feed block.
type source struct {
	config
	pace pace

	transport http.RoundTripper // nil: the net
}

func newSource(b *settings.Block, env plugin.SourceEnv) plugin.Source {
	s := &source{config: defaultConfig(env.Name), pace: defaultPace()}
	s.read(b)
	return s
}

// Describe names the one event that a saved list is replayed as. What a live list
// names goes to the ledger without events.
func (s *source) Describe() plugin.Description {
	return plugin.Description{Feed: true, Events: plugin.Vocabulary{
		{Name: event.Listed, Fields: []string{"ip"}, Raw: []string{fieldNetwork, fieldReason}},
	}}
}

// author is the feed as the author of its orders.
func (c *config) author() string {
	return plugin.FeedAuthor + strings.TrimPrefix(c.name, Kind.Name+".")
}
