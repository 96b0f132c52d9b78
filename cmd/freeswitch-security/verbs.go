package main

import "github.com/spf13/cobra"

// addVerbs gives the root its verbs, in groups as its help shows them.
func (a *app) addVerbs(root, run *cobra.Command) {
	groups := []struct {
		title string
		verbs []*cobra.Command
	}{
		{"The guard:", []*cobra.Command{run, a.doctor()}},
		{"Rules and recordings:", []*cobra.Command{a.check(), a.test(), a.format(), a.replay(), a.explain(), a.diff(), a.learn()}},
		{"Asking and telling the running guard:", []*cobra.Command{
			a.status(), a.list(), a.show(), a.ban(), a.unban(), a.trust(), a.untrust(),
			a.importing(), a.export(), a.watch(), a.top(),
		}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, verb := range g.verbs {
			verb.GroupID = g.title
		}
		root.AddCommand(g.verbs...)
	}
	root.AddCommand(a.completion(), a.version())
}
