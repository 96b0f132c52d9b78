package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// The checks of a verb's arguments, which say what is wanted in the words of its
// help.

func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s needs a %s; see --help", cmd.Name(), what)
		}
		return nil
	}
}

func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%s takes one %s, not %d; see --help", cmd.Name(), what, len(args))
		}
		return nil
	}
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("%s takes one %s, not %d: put it in quotes; see --help", cmd.Name(), what, len(args))
	}
}
