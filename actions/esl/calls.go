package esl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/plugin"
)

// Bounds of what banned accounts and others can cause, in items.
const (
	maxQueued = 4096   // calls, and registrations, that wait for the switch
	maxKnown  = 50_000 // calls whose account is known
	maxGaps   = 20     // accounts of which something could not be ended
)

// endedAfter is the age at which a call that is not listed has ended: the lists are written late.
const endedAfter = 10 * time.Second

// A call is one leg of a call, by what never changes about it.
type call struct {
	accounts [3]ban.Target // that made it, by its names; the zero Target: none
	spared   bool          // an emergency number was dialled
	since    time.Time     // when it became known
}

// A listedCall is a call with its name at the switch.
type listedCall struct {
	uuid string
	call
}

// accountOf returns the target of an account; the zero Target if a part is empty.
func accountOf(user, domain string) ban.Target {
	if user == "" || domain == "" {
		return ban.Target{}
	}
	return ban.Account(user, domain)
}

// callOf reads who makes a call from the headers of a channel.
//
// Only what the switch itself has established counts: the account whose password it verified, with the
// realm of the digest and, as a caller may choose that, the domain in the directory; or the account
// that an access list gives the address. From, presence and account code may be the caller's. A caller
// of mod_verto can set any variable, but not the name of its login in the caller profile. A leg to a
// called party has no account here.
//
// Trap: user_name is the directory's name of the account until the dialplan sets it, as many do for
// the called party.
func (a *Accounts) callOf(h map[string]string) (c call) {
	c.since = time.Now()
	c.spared = a.emergency.has(h["Caller-Destination-Number"])
	switch {
	case h["Call-Direction"] != "inbound":
	case h["Caller-Source"] == "mod_verto":
		c.accounts[0] = accountIn(h["Caller-Username"])
	case h["Caller-Source"] != "mod_sofia":
	case h["variable_sip_authorized"] == "true" && h["variable_sip_auth_username"] != "":
		c.accounts[0] = accountOf(h["variable_sip_auth_username"], h["variable_sip_auth_realm"])
		c.accounts[1] = accountOf(h["variable_requested_user_name"], h["variable_requested_domain_name"])
		if h["Event-Name"] == "CHANNEL_CREATE" { // the digest may have a number-alias for it
			c.accounts[2] = accountOf(h["variable_user_name"], h["variable_domain_name"])
		}
	default:
		c.accounts[0] = accountIn(h["variable_acl_token"])
	}
	return c
}

// accountIn returns the target of "user@domain"; the zero Target if it is none.
func accountIn(text string) ban.Target {
	at := max(strings.LastIndexByte(text, '@'), 0)
	return accountOf(text[:at], text[min(at+1, len(text)):])
}

// A numberKind reports whether a number is of one kind, such as an emergency number; nil: none is.
type numberKind func(dialled string) bool

// has reports whether one of the destinations is of the kind. In a profile with full-id-in-dialplan
// they are user@host.
func (is numberKind) has(destinations ...string) bool {
	return is != nil && slices.ContainsFunc(destinations, func(destination string) bool {
		number, _, _ := strings.Cut(destination, "@")
		return is(number)
	})
}

// take hears the switch. It never waits: what is to be done is queued, and if there is no room the
// lists will show it.
func (a *Accounts) take(m esl.Message) {
	switch m.Name() {
	case "CHANNEL_CREATE":
		if m.Headers["Call-Direction"] == "inbound" {
			a.takeCall(listedCall{m.Headers["Unique-ID"], a.callOf(m.Headers)})
		}
	case "sofia::register":
		a.takeRegistration(m.Headers)
	}
}

func (a *Accounts) takeCall(c listedCall) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, banned := a.holds(c.accounts[:]); !banned {
		a.remember(c)
		return
	}
	select {
	case a.ending <- new(c):
	default:
		a.sweepAt = time.Time{}
	}
}

// remember keeps whose call it is, so that a list of calls need not ask; a.mu is held.
func (a *Accounts) remember(c listedCall) {
	if _, again := a.known[c.uuid]; again || len(a.known) < maxKnown { // a browser uses its names again
		a.known[c.uuid] = c.call
	}
}

// holds returns the account that is banned, if one of these is; a.mu is held.
func (a *Accounts) holds(accounts []ban.Target) (account ban.Target, banned bool) {
	i := slices.IndexFunc(accounts, func(t ban.Target) bool { return a.banned[t] })
	if i < 0 {
		return account, false
	}
	return accounts[i], true
}

// isBanned is [Accounts.holds] for callers that do not hold a.mu.
func (a *Accounts) isBanned(accounts ...ban.Target) (account ban.Target, banned bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds(accounts)
}

// work does what is queued, until ctx ends.
func work[T any](ctx context.Context, queue <-chan T, do func(T) (done bool, err error)) error {
	for {
		select {
		case item := <-queue:
			if _, err := do(item); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// endCalls ends the calls that were heard. One whose name is no UTF-8 must be listed to be ended.
func (a *Accounts) endCalls(ctx context.Context, console *esl.Console) error {
	return work(ctx, a.ending, func(c *listedCall) (bool, error) {
		done, err := a.end(ctx, console, *c)
		if !done && !c.spared && strings.ContainsRune(c.uuid, utf8.RuneError) {
			a.relist()
		}
		return done, err
	})
}

// relist has the lists read once the switch has written them. Calls that were heard in a short time
// share a reading.
func (a *Accounts) relist() {
	late := a.relists[len(a.relists)-1]
	a.mu.Lock()
	defer a.mu.Unlock()
	at := time.Now().Add(late)
	if at.Sub(a.relistAt) < late/10 {
		return
	}
	a.relistAt = at
	if at.Before(a.sweepAt) {
		a.sweepAt = at
	}
	time.AfterFunc(late, a.resync)
}

// end ends a call whose account is still banned, unless it is spared. A refusal is noted.
func (a *Accounts) end(ctx context.Context, console *esl.Console, c listedCall) (done bool, err error) {
	account, banned := a.isBanned(c.accounts[:]...)
	if !banned {
		return false, nil
	}
	if c.spared {
		a.spared.add(a.log(), "uuid", esl.Printable(c.uuid), "account", esl.Printable(account.String()))
		return false, nil
	}
	if done, err = carriedOut(console.Hangup(ctx, c.uuid, hangupCause)); done {
		a.ended.add(a.log(), "uuid", esl.Printable(c.uuid), "account", esl.Printable(account.String()))
	}
	return done, a.missed(account, err)
}

// errNotSent is the error of a command that cannot be sent because of a value.
var errNotSent = errors.New("not sent")

// missed notes that the switch refused to end something of an account, or could not be asked to. It
// returns only the errors after which a connection is of no use.
func (a *Accounts) missed(account ban.Target, err error) error {
	var refusal *esl.Refusal
	if err == nil || !errors.As(err, &refusal) && !errors.Is(err, errNotSent) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if gap := (plugin.Gap{Account: account, Why: err.Error()}); len(a.gaps) < maxGaps && !slices.Contains(a.gaps, gap) {
		a.gaps = append(a.gaps, gap)
	}
	return nil
}

// order sends a command, and reports whether it was carried out.
func order(ctx context.Context, console esl.Commander, command string, args ...string) (done bool, err error) {
	answer, err := console.API(ctx, command, args...)
	if err == nil && command == "sofia" && !strings.HasPrefix(answer, "+OK") { // "Invalid Profile [x]"
		err = &esl.Refusal{Text: esl.Printable(answer)}
	}
	return carriedOut(err)
}

// carriedOut reports whether a command was carried out. A channel that has ended is no error.
func carriedOut(err error) (bool, error) {
	var refusal *esl.Refusal
	if errors.As(err, &refusal) && refusal.Text == noChannel {
		return false, nil
	}
	return err == nil, err
}
