package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

// edit makes cmd a verb that changes what is banned or trusted. complete completes
// its addresses in a shell; nil: they have no completion.
func (a *app) edit(cmd *cobra.Command, complete func(*connFlags) completer, do func(context.Context, *client.Client, []string, *results) error) (*connFlags, *results) {
	r, out := &connFlags{}, &results{app: a}
	cmd.Args = atLeastOne("TARGET")
	cmd.RunE = a.asking(r, func(ctx context.Context, c *client.Client, args []string) error {
		addresses, err := a.addresses(args)
		if err != nil {
			return err
		}
		return out.end(do(ctx, c, addresses, out))
	})
	if complete != nil {
		cmd.ValidArgsFunction = complete(r)
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&out.json, "json", false, "for programs")
	return r, out
}

// confirm asks a question on a terminal. Without one it returns otherwise.
func (a *app) confirm(question string, otherwise bool) (bool, error) {
	stdin, _ := a.stdin.(io.Writer) // a terminal is both
	if stdin == nil || terminal.Width(stdin) == 0 || terminal.Width(a.stderr) == 0 {
		return otherwise, nil
	}
	if _, err := fmt.Fprintf(a.stderr, "%s [y/N] ", question); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// inWords words the end of a ban or trust.
func inWords(until time.Time) string {
	if until.IsZero() {
		return "permanently"
	}
	return "until " + until.UTC().Format("2006-01-02 15:04:05 UTC")
}

// mostNamed is how many bans that ended are named.
const mostNamed = 3

// ended words which bans ended.
func ended(bans []ban.Target) string {
	if len(bans) > mostNamed {
		return "ended " + terminal.Count(len(bans), "ban")
	}
	list := fmt.Sprint(bans)
	return "ended bans: " + list[1:len(list)-1]
}

// patience is how long a reload may take before it says that it waits.
const patience = 5 * time.Second

func (a *app) reload() *cobra.Command {
	var r connFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running guard use the rules as they are on disk",
		Long: `Have the running guard use the rules as they are on disk. Wait until it does,
and show what is wrong with them. With mistakes in them the old rules stay. The
flags of run do not change.

Exit status: 0 they run; 1 they have mistakes; 2 the request failed.`,
		Example: "  freeswitch-security check && sudo freeswitch-security reload",
		Args:    cobra.NoArgs,
		RunE: a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
			slow := time.AfterFunc(patience, func() {
				a.say(errors.New("no answer yet: the guard may still be loading the rules; if it does not answer at all, see systemctl status freeswitch-security"))
			})
			found, err := c.Reload(ctx, reason)
			slow.Stop()
			refused, ok := errors.AsType[*client.Refusal](err)
			if ok && len(refused.Diagnostics) > 0 {
				found = refused.Diagnostics
			}
			kindOf := map[string]string{"error": "Error", "warning": "Warning", "notice": "Notice"}
			warnings := 0
			for _, d := range found {
				if d.Severity == "warning" {
					warnings++
				}
				fmt.Fprintf(a.stderr, "%s: %s\n", kindOf[d.Severity], terminal.Printable(d.Summary))
				if d.Where != "" {
					fmt.Fprintf(a.stderr, "  %s\n", terminal.Printable(d.Where))
				}
				fmt.Fprintf(a.stderr, "%s\n\n", terminal.Printable(d.Detail))
			}
			switch {
			case ok && len(refused.Diagnostics) > 0:
				a.say(fmt.Errorf("the old rules stay: %w", err))
				return errNo
			case err != nil:
				return err
			}
			result := "The rules run now"
			if warnings > 0 {
				result += ", with " + terminal.Count(warnings, "warning")
			}
			_, err = fmt.Fprintln(a.stdout, result+".")
			return err
		}),
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// A termOption is how long something lasts: the flags --for and --permanent.
type termOption struct {
	term      ban.Term // 0: no flag is set
	permanent bool
}

func (o *termOption) flags(cmd *cobra.Command, otherwise string) {
	cmd.Flags().Func("for", "`DURATION`: how long; "+otherwise, func(s string) (err error) {
		o.term, err = ban.ParseTerm(s)
		return err
	})
	cmd.Flags().BoolVar(&o.permanent, "permanent", false, "for good")
}

// ttl returns the term as the daemon takes it; nil if no flag is set.
func (o *termOption) ttl() (json.RawMessage, error) {
	switch {
	case o.permanent && o.term != 0 && o.term != ban.Permanent:
		return nil, errors.New("--for and --permanent contradict each other: set one of them")
	case o.permanent:
		o.term = ban.Permanent
	case o.term == 0:
		return nil, nil
	}
	return json.Marshal(o.term)
}

// addresses are those of the command line and, for a -, of standard input.
func (a *app) addresses(args []string) ([]string, error) {
	var all []string
	piped := false
	for _, arg := range args {
		if arg != "-" {
			all = append(all, arg)
			continue
		}
		if piped {
			return nil, errors.New("standard input (-) can be read only once")
		}
		piped = true
		if _, err := a.readList("-", banlist.Plain, func(int) {}, func(e banlist.Entry) { all = append(all, e.Text) }); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no address on standard input")
	}
	return all, nil
}

// inBatches makes requests of items, as many at a time as the daemon takes.
func inBatches[T, Request any](items []T, request func(T) Request, do func([]Request) error) error {
	for batch := range slices.Chunk(items, client.MaxBatch) {
		var requests []Request
		for _, item := range batch {
			requests = append(requests, request(item))
		}
		if err := do(requests); err != nil {
			return err
		}
	}
	return nil
}

// oneByOne makes a change for each address. An address that is malformed or refused does not stop
// the others.
func oneByOne(addresses []string, out *results, change func(ban.Target) (status.Done, string, error)) error {
	for _, address := range addresses {
		result, text := status.Result{Target: address}, ""
		if target, err := ban.ParseTarget(address); err != nil {
			result.Error = err.Error()
		} else {
			var done status.Done
			done, text, err = change(target)
			result = status.Result{Target: target.String(), Applied: done.Applied, Why: done.Why, Until: done.Until, Unbanned: done.Unbanned}
			if r, ok := errors.AsType[*client.Refusal](err); ok && (r.Status == http.StatusBadRequest || r.Status == http.StatusConflict) {
				result.Error = r.Text
			} else if err != nil {
				return err
			}
		}
		if err := out.one(result, text); err != nil {
			return err
		}
	}
	return nil
}

// results prints the result of each address.
type results struct {
	app     *app
	json    bool
	printed int
	refused int
}

// all prints the results of a batch; text says what was done.
func (r *results) all(all []status.Result, text string, err error) error {
	for i := range all {
		text := text + " " + inWords(all[i].Until)
		if len(all[i].Unbanned) > 0 {
			text += "; " + ended(all[i].Unbanned)
		}
		if err := r.one(all[i], text); err != nil {
			return err
		}
	}
	return err
}

func (r *results) one(one status.Result, text string) error {
	r.printed++
	if one.Error != "" {
		r.refused++
		var named bool
		if text, named = strings.CutPrefix(one.Error, one.Target+" "); !named {
			text = "refused: " + text
		}
	} else if !one.Applied {
		text += ", but not applied yet: " + one.Why
	}
	if r.json {
		return terminal.Object(r.app.stdout, one)
	}
	_, err := fmt.Fprintf(r.app.stdout, "%s  %s\n", terminal.Printable(one.Target), terminal.Printable(text))
	return err
}

// end returns the error of the verb: err, or errNo if an address was refused.
func (r *results) end(err error) error {
	if err != nil && r.printed > 0 {
		return fmt.Errorf("after %s: %w", terminal.Count(r.printed, "address"), err)
	}
	if err == nil && r.refused > 0 {
		return errNo
	}
	return err
}
