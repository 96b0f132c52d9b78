package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Exit statuses, as the help text tells them.
const (
	exitYes     = 0 // done, and the answer is yes
	exitNo      = 1 // done, and the answer is no
	exitTrouble = 2 // could not be done
)

// errNo ends a verb whose answer is no and has been given already.
var errNo = errors.New("no")

// An app is what every verb needs of the world.
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
	err := a.root().ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	}
	fmt.Fprintln(a.stderr, "freeswitch-security:", err)
	return exitTrouble
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "freeswitch-security",
		Short: "Guards a FreeSWITCH server: decides by rules who attacks it",
		Long: `Guards a FreeSWITCH server: decides by rules who attacks it.

Rules are *.hcl and *.json files in a directory, by default ./rules.d, else
/etc/freeswitch-security/rules.d.

Exit status: 0 done, and the answer is yes; 1 the answer is no (mistakes in the
rules, a test that fails, files that differ); 2 it could not be done.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.check(), a.test(), a.format(), a.replay(), a.explain(), a.diff(), a.version())
	return root
}

// width is that of the terminal behind w, and 0 where there is none.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// colour reports whether w wants colours: a terminal, unless NO_COLOR is set.
func (a *app) colour(w io.Writer) bool {
	forbidden, _ := a.environ("NO_COLOR")
	return forbidden == "" && width(w) > 0
}
