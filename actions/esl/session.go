package esl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/esl"
)

// cause is what the other side of a call that we end is told.
const cause = "CALL_REJECTED"

// gone is what FreeSWITCH answers about a channel that has ended meanwhile.
const gone = "-ERR No such channel!"

// A session is one connection, on which everything is done that a batch asks for.
type session struct {
	action  *Action
	config  *config
	console console
	wishes  []wish
	said    map[string]bool // lines that were sent, or that could not be
	refused []error
	more    int // refusals beyond maxRefusals
}

// maxRefusals is how many refusals an error quotes.
const maxRefusals = 5

// run does everything. Lists are read again after a while: FreeSWITCH writes them
// a moment late.
func (s *session) run(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	if err := s.command(ctx); err != nil {
		return err
	}
	if s.config.hangup == nobody && s.config.flush == nobody {
		return nil
	}
	if !pause(ctx, s.action.relist) {
		return ctx.Err()
	}
	return s.look(ctx)
}

// look acts on the calls and registrations that are listed now.
func (s *session) look(ctx context.Context) error {
	if err := s.hangup(ctx); err != nil {
		return err
	}
	return s.flush(ctx)
}

// pause waits, and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// hangup ends the calls that the wishes mean.
func (s *session) hangup(ctx context.Context) error {
	if s.config.hangup == nobody {
		return nil
	}
	answer, err := s.console.API(ctx, "show", "channels", "as", "json")
	if err != nil {
		return fmt.Errorf("list channels: %w", err)
	}
	channels, err := rows[channel](answer)
	if err != nil {
		return fmt.Errorf("list channels: %w", err)
	}
	for i := range channels {
		c := &channels[i]
		if !s.anybody(func(w *wish) bool { return c.isOf(w, s.config.hangup) }) {
			continue
		}
		if !isUUID(c.UUID) {
			s.unsent("uuid_kill "+c.UUID, fmt.Errorf("hang up: %q is no UUID", shorten(c.UUID)))
			continue
		}
		done, err := s.send(ctx, "uuid_kill", c.UUID, cause)
		if err != nil {
			return err
		}
		if done {
			s.action.log().Info("call hung up", "uuid", c.UUID, "ip", printable(c.IP), "account", printable(c.PresenceID))
		}
	}
	return nil
}

// flush throws out the registrations that the wishes mean.
func (s *session) flush(ctx context.Context) error {
	if s.config.flush == nobody {
		return nil
	}
	answer, err := s.console.API(ctx, "show", "registrations", "as", "json")
	if err != nil {
		return fmt.Errorf("list registrations: %w", err)
	}
	all, err := rows[registration](answer)
	if err != nil {
		return fmt.Errorf("list registrations: %w", err)
	}
	for i := range all {
		r := &all[i]
		if !s.anybody(func(w *wish) bool { return r.isOf(w, s.config.flush) }) {
			continue
		}
		profile := s.config.profile
		if profile == "" {
			profile = r.at()
		}
		name, err := r.flushed(all, s.config.flush)
		if err == nil {
			if err = checkWord(profile); err != nil {
				err = fmt.Errorf("profile of a registration: %w", err)
			}
		}
		if err != nil {
			s.unsent("flush "+r.User+"@"+r.Realm+" "+r.CallID, err)
			continue
		}
		done, err := s.send(ctx, "sofia", "profile", profile, "flush_inbound_reg", name)
		if err != nil {
			return err
		}
		if done {
			s.action.log().Info("registration flushed", "profile", profile, "registration", name, "ip", printable(r.IP))
		}
	}
	return nil
}

func (s *session) anybody(is func(*wish) bool) bool {
	for i := range s.wishes {
		if is(&s.wishes[i]) {
			return true
		}
	}
	return false
}

// command sends the operator's command, for each wish or for each of its accounts.
func (s *session) command(ctx context.Context) error {
	t := &s.config.command
	if t.word == "" {
		return nil
	}
	for i := range s.wishes {
		w := &s.wishes[i]
		if s.action.commanded[w.seq] {
			continue
		}
		for _, values := range w.values(t) {
			args, err := t.fill(values)
			if err != nil {
				s.unsent(fmt.Sprintf("%d %v", w.seq, err), fmt.Errorf("%s: %w", t.word, err))
				continue
			}
			words := []string{args}
			if args == "" {
				words = nil
			}
			if _, err := s.send(ctx, t.word, words...); err != nil {
				return err
			}
		}
		s.action.commanded[w.seq] = true
	}
	return nil
}

// values are what stands in the holes of a command, once for each time that it is
// to be sent.
func (w *wish) values(t *template) []map[string]string {
	if w.sparing && (t.aboutAddress() || !t.aboutAccounts()) {
		return nil
	}
	common := map[string]string{"rule": ruleWord(w.rule)}
	if w.network.IsValid() {
		common["network"] = networkWord(w.network)
	}
	if w.address.IsValid() {
		common["ip"] = w.address.String()
	}
	if !t.aboutAccounts() {
		return []map[string]string{common}
	}
	var all []map[string]string
	for _, a := range w.accounts {
		all = append(all, map[string]string{
			"user": a.user, "domain": a.domain, "ip": common["ip"], "network": common["network"], "rule": common["rule"],
		})
	}
	return all
}

// networkWord writes a network as firewalls do: a single address without /32.
func networkWord(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// ruleWord makes one word of the name that the operator gave a rule, whose blanks
// and other letters become _; "none" where no rule ordered the ban.
func ruleWord(rule string) string {
	if rule == "" {
		return "none"
	}
	word := strings.Map(func(c rune) rune {
		if isPlain(c) && c != '@' {
			return c
		}
		return '_'
	}, rule)
	return strings.TrimLeft(word[:min(len(word), maxValue)], "-")
}

// send has the switch carry out a command, unless it was sent on this connection
// before. A refusal is noted, and no error: the connection goes on.
func (s *session) send(ctx context.Context, command string, args ...string) (done bool, err error) {
	line := command + " " + strings.Join(args, " ")
	if s.said[line] {
		return false, nil
	}
	s.said[line] = true
	answer, err := s.console.API(ctx, command, args...)
	var refusal *esl.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Text == gone:
		return false, nil
	case errors.As(err, &refusal):
	case err != nil:
		return false, fmt.Errorf("%s: %w", line, err)
	case command == "sofia" && !strings.HasPrefix(answer, "+OK"): // "Invalid Profile [x]"
		err = &esl.Refusal{Text: printable(answer)}
	default:
		return true, nil
	}
	if len(s.refused) == maxRefusals {
		s.more++
		return false, nil
	}
	s.refused = append(s.refused, fmt.Errorf("%s: %w", line, err))
	return false, nil
}

// refusals is what the switch refused, as one error; nil if nothing.
func (s *session) refusals() error {
	if s.more > 0 {
		return errors.Join(append(s.refused, fmt.Errorf("and %d more were refused", s.more))...)
	}
	return errors.Join(s.refused...)
}

// unsent notes what is not sent because of a value, once for each connection.
func (s *session) unsent(what string, err error) {
	if !s.said[what] {
		s.said[what] = true
		s.action.unsent(err)
	}
}

// shorten bounds what is quoted of the switch's answers, in bytes.
func shorten(text string) string { return text[:min(len(text), 100)] }

// printable makes one bounded line of what callers may have written.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '\uFFFD'
	}, shorten(text))
}
