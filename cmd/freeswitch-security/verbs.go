package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

// addVerbs registers the verbs, in the groups of the help. A new verb is one file and one line here.
func (a *app) addVerbs(root, run *cobra.Command) {
	for _, group := range []struct {
		title string
		verbs []*cobra.Command
	}{
		{"The guard:", []*cobra.Command{
			run,
			a.reload(),
			a.withdraw(),
			a.doctor(),
		}},
		{"Rules and recordings:", []*cobra.Command{
			a.check(),
			a.test(),
			a.format(),
			a.replay(),
			a.explain(),
			a.diff(),
			a.learn(),
			a.record(),
		}},
		{"The running guard:", []*cobra.Command{
			a.status(),
			a.list(),
			a.show(),
			a.ban(),
			a.unban(),
			a.trust(),
			a.untrust(),
			a.importing(),
			a.export(),
			a.watch(),
			a.top(),
			a.reporting(),
		}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, verb := range group.verbs {
			verb.GroupID = group.title
		}
		root.AddCommand(group.verbs...)
	}
	root.AddCommand(a.version())
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"})
	completion.Args, completion.RunE = unknownShell, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// unknownShell refuses a shell for which cobra has no completion.
func unknownShell(completion *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, shell := range completion.Commands() {
		known = append(known, shell.Name())
	}
	return fmt.Errorf("there is no completion for %q; the shells are: %s", args[0], strings.Join(known, ", "))
}

// version is set when the binary is linked.
var version = "development"

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of the program, and of the Go release that built it.",
		Example: "  freeswitch-security version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.stdout, versionText())
			return err
		},
	}
}

func versionText() string {
	return fmt.Sprintf("freeswitch-security %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// These check the number of arguments of a verb.

func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s needs at least one %s; see --help", cmd.Name(), what)
		}
		return nil
	}
}

// one accepts exactly one argument; with least 0 also none.
func one(what string, least int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > 1 {
			return fmt.Errorf("%s takes one %s, not %d; see --help", cmd.Name(), what, len(args))
		}
		return nil
	}
}
