package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// These check the arguments of a verb, and word errors as its help does.

func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s needs at least one %s; see --help", cmd.Name(), what)
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

func exactlyOne(what, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("%s takes one %s, not %d%s; see --help", cmd.Name(), what, len(args), hint)
	}
}
