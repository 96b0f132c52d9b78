package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"freeswitch-security/actions/iptables"
	"freeswitch-security/cmd/freeswitch-security/daemon"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
)

func (a *app) runVerb() *cobra.Command {
	var rules string
	o := daemon.Options{Version: version, Stderr: a.stderr}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Follow the sources, decide, and ban; the same as no verb",
		Long: `Follow the sources, decide by the rules, and have the actions enforce it. Bans
stay in force when the program ends; it takes them over at the next start.

SIGHUP reloads the rules; with mistakes in them, the old rules stay. SIGUSR1
logs the status. SIGTERM and SIGINT end the program. State is kept in --state,
else $STATE_DIRECTORY, else /var/lib/freeswitch-security, or for a user other
than root in $XDG_STATE_HOME/freeswitch-security.

Exit status: 0 ended by a signal; 1 the rules have mistakes; 2 it could not
run.`,
		Example: "  freeswitch-security run --rules /etc/freeswitch-security/rules.d\n  freeswitch-security run --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Dir, err = rulesDir(rules); err != nil {
				return err
			}
			o.State = a.stateDir(o.State)
			o.Start = func() (*config.Config, error) { return a.load(o.Dir) }
			o.Reload = func() (*config.Config, hcl.Diagnostics) {
				cfg, diags, _ := config.LoadRules(o.Dir, kinds, a.environ)
				return cfg, diags
			}
			return daemon.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&o.State, "state", "", "directory of the state")
	cmd.Flags().StringVar(&o.LogFormat, "log-format", "text", "text or json")
	cmd.Flags().StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "decide and report, run no action")
	return cmd
}

// stateDir returns dir, or the default directory of the state.
func (a *app) stateDir(dir string) string {
	if dir != "" {
		return dir
	}
	// systemd separates directories by colons.
	if dirs, _ := a.environ("STATE_DIRECTORY"); dirs != "" {
		first, _, _ := strings.Cut(dirs, ":")
		return first
	}
	if os.Geteuid() == 0 {
		return "/var/lib/freeswitch-security"
	}
	home, _ := a.environ("XDG_STATE_HOME")
	if home == "" {
		user, _ := a.environ("HOME")
		home = filepath.Join(user, ".local", "state")
	}
	return filepath.Join(home, "freeswitch-security")
}

func (a *app) withdraw() *cobra.Command {
	var rules string
	cmd := &cobra.Command{
		Use:   "withdraw",
		Short: "Take all bans out of the kernel, while the guard is stopped",
		Long: `Take what the actions have put in force out again, while the guard is stopped:
of the kernel the chain, the jumps to it and the sets. Foreign rules stay, and
with them the chain that they are in. The state is kept, so the next run bans
again. The removal of a package does this. Of rules with mistakes it takes what
can be read; without an action "iptables" in that, the chain FREESWITCH, or that
of security.iptables_chain.

Exit status: 0 nothing is in force; 1 the same, as far as rules with mistakes
tell; 2 something may still be in force, or the guard is running.`,
		Example: "  freeswitch-security withdraw",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := rulesDir(rules)
			if err != nil && rules == "" {
				return err
			}
			dir = cmp.Or(dir, rules) // one that was deleted has mistakes, too
			cfg, diags, files := config.LoadPart(dir, kinds, a.environ)
			mistakes := a.complain(diags, files)
			if diags.HasErrors() && !slices.ContainsFunc(cfg.Actions, func(a config.Action) bool { return a.Kind == iptables.Kind.Name }) {
				cfg.Actions = append(cfg.Actions, defaultDrop(cfg.Security.Chain))
			}
			return cmp.Or(daemon.Withdraw(cmd.Context(), cfg), mistakes)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	return cmd
}

// defaultDrop is an action "iptables" without settings, for when the rule files name none that can be read.
func defaultDrop(chain string) config.Action {
	ref := iptables.Kind.Name + ".drop"
	var claims []string
	action := iptables.Kind.New(settings.New(hcl.EmptyBody(), hcl.Range{}, nil), plugin.ActionEnv{
		Name: ref, Chain: chain, Claim: func(what string) { claims = append(claims, what) },
	})
	return config.Action{Ref: ref, Kind: iptables.Kind.Name, Action: action, Blocks: true, Claims: claims}
}
