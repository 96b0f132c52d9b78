package esl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/plugin"
)

// hangupCause is sent to the other side of a call.
const hangupCause = "CALL_REJECTED"

// noChannel is FreeSWITCH's answer for a channel that has ended.
const noChannel = "-ERR No such channel!"

// maxRefusals bounds the refusals in an error.
const maxRefusals = 5

// A session carries out the tasks of one batch over one connection.
type session struct {
	action  *Action
	config  *config
	console *esl.Console
	tasks   []*task
	done    map[string]bool // commands that were sent, or could not be
	refused []error
	more    int // refusals beyond maxRefusals
}

// run reads the lists twice, because FreeSWITCH writes them a moment late.
func (s *session) run(ctx context.Context) error {
	if err := s.act(ctx); err != nil {
		return err
	}
	if err := s.command(ctx); err != nil {
		return err
	}
	if s.config.hangup == "" && s.config.flush == "" {
		return nil
	}
	if !plugin.Rest(ctx, s.action.relist, nil) {
		return ctx.Err()
	}
	return s.act(ctx)
}

// act hangs up and flushes what is listed now.
func (s *session) act(ctx context.Context) error {
	if err := s.hangup(ctx); err != nil {
		return err
	}
	return s.flush(ctx)
}

// concerns reports whether a task is about a party.
func (s *session) concerns(p party, by scope) bool {
	return slices.ContainsFunc(s.tasks, func(t *task) bool { return t.matches(&p, by) })
}

// hangup ends the calls of the tasks.
func (s *session) hangup(ctx context.Context) error {
	if s.config.hangup == "" {
		return nil
	}
	channels, err := esl.Channels(ctx, s.console)
	spared := s.emergencies(channels)
	for i := range channels {
		c := &channels[i]
		user, domain, _ := strings.Cut(c.PresenceID, "@")
		switch {
		case spared[c.UUID] || spared[cmp.Or(c.CallUUID, c.UUID)]:
			continue
		case !s.concerns(party{[]string{c.IP, c.InitialIP}, user, domain, c.AccountCode}, s.config.hangup):
			continue
		case !uuidForm.Use().MatchString(c.UUID):
			s.skip("uuid_kill "+c.UUID, fmt.Errorf("hang up: %q is not a UUID", esl.Printable(c.UUID)))
			continue
		}
		done, err := s.send(ctx, "uuid_kill", c.UUID, hangupCause)
		if err != nil {
			return err
		}
		if done {
			s.action.ended.add(s.action.log(), "uuid", c.UUID, "ip", esl.Printable(c.IP), "account", esl.Printable(c.PresenceID))
		}
	}
	return err
}

// emergencies returns the calls to emergency numbers, by the names of their legs and their calls.
func (s *session) emergencies(channels []esl.Channel) map[string]bool {
	calls := map[string]bool{}
	for _, c := range channels {
		if s.config.emergency.has(c.Dest, c.InitialDest) {
			calls[c.UUID] = true
			calls[cmp.Or(c.CallUUID, c.UUID)] = true
		}
	}
	return calls
}

// flush removes the registrations of the tasks.
func (s *session) flush(ctx context.Context) error {
	if s.config.flush == "" {
		return nil
	}
	all, err := esl.Registrations(ctx, s.console)
	for i := range all {
		r := &all[i]
		if !s.concerns(party{[]string{r.IP}, r.User, r.Realm, ""}, s.config.flush) {
			continue
		}
		profile := cmp.Or(s.config.profile, r.Profile())
		name, bad := flushName(r, all, s.config.flush)
		if err := checkWord(profile); bad == nil && err != nil {
			bad = fmt.Errorf("profile of a registration: %w", err)
		}
		if bad != nil {
			s.skip("flush "+r.User+"@"+r.Realm+" "+r.CallID, bad)
			continue
		}
		done, err := s.send(ctx, "sofia", "profile", profile, "flush_inbound_reg", name)
		if err != nil {
			return err
		}
		if done {
			s.action.flushed.add(s.action.log(), "profile", profile, "registration", name, "ip", esl.Printable(r.IP))
		}
	}
	return err
}

// flushName returns the name of a registration for flush_inbound_reg. That flushes what
// has the name for a Call-ID, all of user@domain where it is one, and all of a host where
// it has no @. Without a name, and with "reboot", it flushes everything.
//
// Trap: the phone chooses its Call-ID. It is sent only to flush one phone of an account,
// and only if it cannot mean any other registration.
func flushName(r *esl.Registration, all []esl.Registration, by scope) (string, error) {
	if err := checkPart(r.User); err != nil {
		return "", fmt.Errorf("user of a registration: %w", err)
	}
	if err := checkPart(r.Realm); err != nil {
		return "", fmt.Errorf("realm of a registration: %w", err)
	}
	if by == byIP && checkWord(r.CallID) == nil && isUnique(r, all) {
		return r.CallID, nil
	}
	return r.User + "@" + r.Realm, nil
}

// isUnique reports whether the Call-ID of a registration can mean no other one.
func isUnique(r *esl.Registration, all []esl.Registration) bool {
	if strings.EqualFold(r.CallID, "reboot") {
		return false
	}
	user, host, isAccount := strings.Cut(r.CallID, "@")
	if !isAccount {
		user, host = "", r.CallID
	}
	return !slices.ContainsFunc(all, func(other esl.Registration) bool {
		if other.CallID == r.CallID {
			return other.IP != r.IP
		}
		return strings.EqualFold(other.Realm, host) && (user == "" || strings.EqualFold(other.User, user))
	})
}

// command sends the operator's command, once for each task or for each of its accounts.
func (s *session) command(ctx context.Context) error {
	t := &s.config.command
	if t.command == "" {
		return nil
	}
	for _, task := range s.tasks {
		try := s.action.tries[task.seq]
		if try.commanded {
			continue
		}
		for _, values := range task.values(t) {
			args, err := t.fill(values)
			if err != nil {
				s.skip(fmt.Sprintf("%d %v", task.seq, err), fmt.Errorf("%s: %w", t.command, err))
				continue
			}
			var words []string
			if args != "" {
				words = []string{args}
			}
			if _, err := s.send(ctx, t.command, words...); err != nil {
				return err
			}
		}
		try.commanded = true
	}
	return nil
}

// send sends a command, once on this connection. A refusal is noted, and not an error: the
// connection goes on.
func (s *session) send(ctx context.Context, command string, args ...string) (done bool, err error) {
	line := command + " " + strings.Join(args, " ")
	if s.done[line] {
		return false, nil
	}
	s.done[line] = true
	done, err = order(ctx, s.console, command, args...)
	var refusal *esl.Refusal
	switch {
	case err == nil:
		return done, nil
	case !errors.As(err, &refusal):
		return false, fmt.Errorf("%s: %w", line, err)
	case len(s.refused) == maxRefusals:
		s.more++
	default:
		s.refused = append(s.refused, fmt.Errorf("%s: %w", line, err))
	}
	return false, nil
}

// refusals returns the refusals of the switch as one error; nil if there are none.
func (s *session) refusals() error {
	if s.more > 0 {
		return errors.Join(append(s.refused, fmt.Errorf("and %d more were refused", s.more))...)
	}
	return errors.Join(s.refused...)
}

// skip notes a command that cannot be sent because of a value, once on this connection.
func (s *session) skip(command string, err error) {
	if !s.done[command] {
		s.done[command] = true
		s.action.skipped(err)
	}
}
