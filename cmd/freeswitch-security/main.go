package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitYes     = 0 // done, and the answer is yes
	exitNo      = 1 // done, and the answer is no
	exitTrouble = 2 // it could not be done
)

// An exitStatus ends a verb that has printed its answer.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// errNo ends a verb whose answer is no.
const errNo = exitStatus(exitNo)

// An app is the streams and the environment of the verbs.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        func(string) (string, bool)
}

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.LookupEnv}
	return a.execute(ctx, os.Args[1:])
}

// execute runs the command line args and returns the exit status.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitYes
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	a.say(err)
	return exitTrouble
}

// say writes an error or a note to standard error. Joined errors have a line each.
func (a *app) say(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(a.stderr, "freeswitch-security:", terminal.Printable(strings.TrimSuffix(line, "\n")))
	}
}

func (a *app) root() *cobra.Command {
	run := a.runVerb()
	root := &cobra.Command{
		Use:   "freeswitch-security",
		Short: "Bans attackers of a FreeSWITCH server by rules",
		Long: `Bans attackers of a FreeSWITCH server by rules. Without a verb it runs the
guard: see run --help.

Rules are *.hcl and *.json files in a directory, by default ./rules.d, else
/etc/freeswitch-security/rules.d. As root, ./rules.d must be writable by root
alone.

The running guard is reached at --admin, else $FREESWITCH_SECURITY_ADMIN, else
/run/freeswitch-security/admin.sock. A URL may need a token: --token-file, else
$FREESWITCH_SECURITY_TOKEN; https may need the PEM files that the variables
$FREESWITCH_SECURITY_CA_FILE, $FREESWITCH_SECURITY_CERT_FILE and _KEY_FILE name.

Exit status: 0 done, and the answer is yes; 1 the answer is no (mistakes in the
rules, a failed test, a difference); 2 it could not be done.`,
		SilenceUsage:  true,
		SilenceErrors: true,

		DisableFlagsInUseLine: true,

		Args: cobra.ArbitraryArgs,
		RunE: func(root *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(root, args[0])
			}
			return run.RunE(root, nil)
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.Version = version
	root.SetVersionTemplate(versionText())
	root.SetFlagErrorFunc(unknownFlag)
	root.Flags().AddFlagSet(run.Flags())
	root.SetHelpCommand(help(root))
	a.addVerbs(root, run)
	return root
}

// help differs from cobra's verb in its exit status for an unknown verb.
func help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB]",
		Short:   "Show the help of a verb",
		Long:    "Show the help of a verb, as VERB --help does.",
		Example: "  freeswitch-security help replay",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			verb, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = unknownVerb(root, rest[0])
			}
			if err != nil {
				return err
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}

// unknownVerb suggests the verbs that begin like a wrong one, else the nearest.
func unknownVerb(root *cobra.Command, given string) error {
	named := map[string]string{} // verbs by their names and aliases
	for _, verb := range root.Commands() {
		for _, name := range append(verb.Aliases, verb.Name()) {
			named[name] = verb.Name()
		}
	}
	names := slices.Sorted(maps.Keys(named))
	var like []string
	for _, name := range names {
		if len(given) > 1 && strings.HasPrefix(name, strings.ToLower(given)) && !slices.Contains(like, named[name]) {
			like = append(like, named[name])
		}
	}
	if best := event.Nearest(given, names); best != "" && len(like) == 0 {
		like = append(like, named[best])
	}
	if len(like) > 0 {
		return fmt.Errorf("there is no verb %q; did you mean %s?", given, strings.Join(like, " or "))
	}
	return fmt.Errorf("there is no verb %q; --help lists them", given)
}

// unknownFlag words an error of the flags of a verb, and suggests the nearest flag for one that is unknown.
func unknownFlag(verb *cobra.Command, err error) error {
	if before := verb.Flags().Args(); !verb.HasParent() && len(before) > 0 {
		return unknownVerb(verb, before[0]) // its flags are not those of run
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		verb.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if best := event.Nearest(unknown.GetSpecifiedName(), names); best != "" {
			return fmt.Errorf("%w; did you mean --%s?", err, best)
		}
	}
	return fmt.Errorf("%w; see --help", err)
}

// colour reports whether w takes colours: it is a terminal, and NO_COLOR is not set.
func (a *app) colour(w io.Writer) bool {
	forbidden, _ := a.environ("NO_COLOR")
	return forbidden == "" && terminal.Width(w) > 0
}

// defaultRules are the directories that are tried if none is named.
var defaultRules = []string{"rules.d", "/etc/freeswitch-security/rules.d"}

// rulesDir returns the directory of the rules: that of the flag --rules, or of the argument of the
// verbs that take one, else the first default that exists.
func rulesDir(flag string, args ...string) (string, error) {
	dir := flag
	if len(args) > 0 {
		dir = args[0]
	}
	if flag != "" && dir != flag {
		return "", fmt.Errorf("the rules are in %s or in %s: name one of them", dir, flag)
	}
	if dir != "" {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is a file; name its directory", dir)
		}
		if err != nil {
			return "", fmt.Errorf("no rules: %w", err)
		}
		return dir, nil
	}
	for _, d := range defaultRules {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			if os.Geteuid() == 0 && !filepath.IsAbs(d) {
				err = onlyRoots(d)
			}
			return d, err
		}
	}
	return "", fmt.Errorf("no rules: neither ./%s nor %s exists; name the directory", defaultRules[0], defaultRules[1])
}

// onlyRoots fails if a user other than root could have put a directory, or one in its path, in its place.
func onlyRoots(dir string) error {
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t) // on Linux
		others := info.Mode()&0o002 != 0 || info.Mode()&0o020 != 0 && owner.Gid != 0
		if at != path && info.Mode()&os.ModeSticky != 0 {
			others = false // they cannot replace what is root's
		}
		if owner.Uid != 0 || others {
			return fmt.Errorf("./%s is not used as root, because others may write in %s (owner %d, mode %s): name the directory with --rules if you trust it", dir, at, owner.Uid, info.Mode())
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// load reads the rules of [rulesDir], without their tests, and prints their diagnostics. It fails with errNo if they
// cannot be used.
func (a *app) load(flag string) (*config.Config, error) {
	dir, err := rulesDir(flag)
	if err != nil {
		return nil, err
	}
	cfg, diags, files := config.LoadRules(dir, kinds, a.environ)
	return cfg, a.complain(diags, files)
}

// complain prints diagnostics. It fails with errNo if one is an error.
func (a *app) complain(diags hcl.Diagnostics, files config.Files) error {
	err := config.Print(a.stderr, diags, files, uint(terminal.Width(a.stderr)), a.colour(a.stderr))
	if err == nil && diags.HasErrors() {
		err = errNo
	}
	return err
}
