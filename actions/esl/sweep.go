package esl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
)

// A sweep reads the lists of the switch once, and ends what banned accounts have in them.
type sweep struct {
	*Accounts
	console *esl.Console
}

// sweep ends the calls and registrations of banned accounts that are listed. It is complete only if the
// switch reports all the time, which shows what begins meanwhile.
func (a *Accounts) sweep(ctx context.Context) (found int, err error) {
	a.mu.Lock()
	up, began := a.up, time.Now()
	a.gaps, a.sweepAt = nil, began.Add(sweepEvery)
	if i := slices.IndexFunc(a.relists, func(after time.Duration) bool { return began.Before(up.Add(after)) }); i >= 0 {
		a.sweepAt = up.Add(a.relists[i])
	} else if a.relistAt.After(began) {
		a.sweepAt = a.relistAt
	}
	a.mu.Unlock()
	found, err = a.read(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && !a.up.Equal(up) {
		err = errors.New("the event connection was lost meanwhile")
	}
	if err != nil {
		a.sweepAt = time.Time{}
	}
	return found, err
}

// read reads the lists, and ends what it finds.
func (a *Accounts) read(ctx context.Context) (found int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	console, err := a.at.Console(ctx)
	if err != nil {
		return 0, err
	}
	defer console.Close()
	s := sweep{a, console}
	calls, err := s.calls(ctx)
	if err != nil {
		return calls, err
	}
	registrations, err := s.registrations(ctx)
	return calls + registrations, err
}

// calls ends the listed calls of banned accounts.
func (s *sweep) calls(ctx context.Context) (ended int, err error) {
	channels, err := esl.Channels(ctx, s.console)
	if err != nil {
		return 0, err
	}
	heard := s.unlisted(channels)
	channels = slices.DeleteFunc(channels, func(c esl.Channel) bool { return c.Direction != "inbound" })
	// What a caller writes is no evidence, but shows where to look first.
	slices.SortStableFunc(channels, func(x, y esl.Channel) int { return cmp.Compare(s.unlikely(&x), s.unlikely(&y)) })
	end := func(c listedCall) error {
		done, err := s.end(ctx, s.console, c)
		if done {
			ended++
		}
		return err
	}
	for _, c := range heard {
		if err := end(c); err != nil {
			return ended, err
		}
	}
	for i := range channels {
		c, err := s.call(ctx, &channels[i])
		if err == nil {
			err = end(c)
		}
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// unlikely is 0 if a channel claims to be of a banned account, else 1.
func (s *sweep) unlikely(c *esl.Channel) int {
	if _, claimed := s.isBanned(accountIn(c.PresenceID)); claimed {
		return 0
	}
	return 1
}

// unlisted returns the calls that were heard and are not listed yet, and drops those that have ended.
func (s *sweep) unlisted(channels []esl.Channel) (heard []listedCall) {
	listed := make(map[string]bool, len(channels))
	for i := range channels {
		listed[channels[i].UUID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for uuid, c := range s.known {
		switch {
		case listed[uuid]:
		case time.Since(c.since) > endedAfter:
			delete(s.known, uuid)
		default:
			heard = append(heard, listedCall{uuid, c})
		}
	}
	return heard
}

// call returns who makes a listed call, and asks the switch if that is not known.
func (s *sweep) call(ctx context.Context, channel *esl.Channel) (listedCall, error) {
	s.mu.Lock()
	c, known := s.known[channel.UUID]
	s.mu.Unlock()
	if !known {
		headers, err := s.console.Channel(ctx, channel.UUID)
		var refusal *esl.Refusal
		if errors.As(err, &refusal) { // it has ended
			return listedCall{}, nil
		}
		if err != nil {
			return listedCall{}, err
		}
		c = s.callOf(headers)
		s.mu.Lock()
		s.remember(listedCall{channel.UUID, c})
		s.mu.Unlock()
	}
	c.spared = c.spared || s.emergency.has(channel.Dest, channel.InitialDest)
	return listedCall{channel.UUID, c}, nil
}

// registrations flushes the listed registrations of banned accounts.
func (s *sweep) registrations(ctx context.Context) (flushed int, err error) {
	all, err := esl.Registrations(ctx, s.console)
	if err != nil {
		return 0, err
	}
	seen := map[registration]bool{}
	for i := range all {
		r := registration{profile: all[i].Profile(), user: all[i].User, domain: all[i].Realm}
		r.account = accountOf(r.user, r.domain)
		if _, banned := s.isBanned(r.account); !banned || seen[r] {
			continue
		}
		seen[r] = true
		if gone, err := s.isFlushed(ctx, &r); gone || err != nil {
			if err != nil {
				return flushed, err
			}
			continue
		}
		done, err := s.flush(ctx, s.console, r)
		if err != nil {
			return flushed, err
		}
		if done {
			flushed++
		}
	}
	return flushed, nil
}

// isFlushed reports whether a listed registration has been flushed: the switch lists it until it would
// have expired.
func (s *sweep) isFlushed(ctx context.Context, r *registration) (bool, error) {
	name, err := r.name(ctx, s.console)
	if err != nil {
		return false, nil // flushing tells
	}
	answer, err := s.console.API(ctx, "sofia_contact", r.profile+"/"+name)
	var refusal *esl.Refusal
	if errors.As(err, &refusal) {
		return false, nil
	}
	return strings.HasPrefix(answer, "error/user_not_registered"), err
}

// A registration is what is flushed.
type registration struct {
	profile, user, domain string
	account               ban.Target // that is banned
	callID, ip            string     // of one that an account has made in the name of another; "" if the names are the same
}

// takeRegistration queues a registration of a banned account. It may be in another name than that of the
// account whose password was verified: unless the profile forbids it, the caller chooses.
func (a *Accounts) takeRegistration(h map[string]string) {
	r := registration{profile: h["profile-name"], user: h["from-user"], domain: h["from-host"]}
	r.account = accountOf(r.user, r.domain)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.banned[r.account] {
		by, banned := a.holds([]ban.Target{accountOf(h["sip_auth_username"], h["sip_auth_realm"]), accountOf(h["sip_auth_username"], h["domain_name"])})
		if !banned {
			return
		}
		r.account, r.callID, r.ip = by, h["call-id"], h["network-ip"]
	}
	if a.queued[r] {
		return
	}
	select {
	case a.expired <- r:
		a.queued[r] = true
	default:
		a.sweepAt = time.Time{}
	}
}

// flushRegistrations flushes the registrations that were heard.
func (a *Accounts) flushRegistrations(ctx context.Context, console *esl.Console) error {
	return work(ctx, a.expired, func(r registration) (bool, error) {
		a.mu.Lock()
		delete(a.queued, r)
		a.mu.Unlock()
		return a.flush(ctx, console, r)
	})
}

// flush flushes a registration whose account is still banned. A refusal is noted.
func (a *Accounts) flush(ctx context.Context, console *esl.Console, r registration) (done bool, err error) {
	if _, banned := a.isBanned(r.account); !banned {
		return false, nil
	}
	name, err := r.name(ctx, console)
	if err == nil {
		done, err = order(ctx, console, "sofia", "profile", r.profile, "flush_inbound_reg", name)
	}
	if done {
		a.flushed.add(a.log(), "profile", r.profile, "registration", name, "account", esl.Printable(r.account.String()))
	}
	return done, a.missed(r.account, err)
}

// name returns the name of a registration for flush_inbound_reg, see [flushName].
func (r *registration) name(ctx context.Context, console *esl.Console) (name string, err error) {
	if err := checkWord(r.profile); err != nil {
		return "", fmt.Errorf("flush %w: profile of a registration: %w", errNotSent, err)
	}
	one := esl.Registration{User: r.user, Realm: r.domain, CallID: r.callID, IP: r.ip}
	if r.callID == "" {
		name, err = flushName(&one, nil, byUser)
	} else {
		// Flushing by the name would end registrations of the account that it belongs to.
		all, listing := esl.Registrations(ctx, console)
		if listing != nil {
			return "", listing
		}
		if name = r.callID; checkWord(name) != nil || !isUnique(&one, append(all, one)) {
			err = fmt.Errorf("its Call-ID %q, which the caller chose, may name others", esl.Printable(r.callID))
		}
	}
	if err != nil {
		return "", fmt.Errorf("flush %w: %w", errNotSent, err)
	}
	return name, nil
}
