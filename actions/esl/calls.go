package esl

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A channel is one leg of a call, as `show channels as json` lists it. The leg
// that the switch builds to somebody bears the address of who called.
type channel struct {
	UUID        string `json:"uuid"`
	IP          string `json:"ip_addr"`         // empty until the call is routed
	InitialIP   string `json:"initial_ip_addr"` // that of the first INVITE
	PresenceID  string `json:"presence_id"`     // "1000@pbx.example"; what the From header says, for a caller
	AccountCode string `json:"accountcode"`     // of the directory, by custom the user
}

// A registration is one, as `show registrations as json` lists it.
type registration struct {
	User   string `json:"reg_user"`
	Realm  string `json:"realm"`
	CallID string `json:"token"` // the registrar's name for it, which the phone makes up
	URL    string `json:"url"`   // "sofia/internal/sip:1000@192.0.2.1:5060"
	IP     string `json:"network_ip"`
}

// rows reads a list of the switch's; without any entry it has no rows.
func rows[T any](answer string) ([]T, error) {
	var listing struct {
		Rows []T `json:"rows"`
	}
	if err := json.Unmarshal([]byte(answer), &listing); err != nil {
		return nil, fmt.Errorf("read what the switch lists: %w", err)
	}
	return listing.Rows, nil
}

// isOf reports whether the channel belongs to somebody in the wish.
func (c *channel) isOf(w *wish, s scope) bool {
	switch s {
	case byIP:
		return w.covers(c.IP, c.InitialIP)
	case accounts:
		user, domain, _ := strings.Cut(c.PresenceID, "@")
		return w.means(user, domain) || w.usedAt(user, c.IP, c.InitialIP) || w.usedAt(c.AccountCode, c.IP, c.InitialIP)
	}
	return false
}

// isOf reports whether the registration belongs to somebody in the wish.
func (r *registration) isOf(w *wish, s scope) bool {
	switch s {
	case byIP:
		return w.covers(r.IP)
	case accounts:
		return w.means(r.User, r.Realm) || w.usedAt(r.User, r.IP)
	}
	return false
}

// at is the profile that the registration is at; "" if it is not one of sofia's.
func (r *registration) at() string {
	rest, ok := strings.CutPrefix(r.URL, "sofia/")
	profile, _, cut := strings.Cut(rest, "/")
	if !ok || !cut {
		return ""
	}
	return profile
}

// flushed is what names a registration to flush_inbound_reg, which throws out
// whatever has it for a Call-ID, all of user@domain where it is one, and all of a
// host where it has no @. Without a name, and with "reboot" for one, it throws out
// everybody. So the name of an account is sent, and the Call-ID only where just
// one of the account's phones is meant and, among all that are listed, nobody else
// can be read in it: the phone has made it up.
func (r *registration) flushed(all []registration, s scope) (string, error) {
	if err := checkPart(r.User); err != nil {
		return "", fmt.Errorf("user of a registration: %w", err)
	}
	if err := checkPart(r.Realm); err != nil {
		return "", fmt.Errorf("realm of a registration: %w", err)
	}
	name := r.User + "@" + r.Realm
	if s == byIP && checkWord(r.CallID) == nil && r.isAlone(all) {
		name = r.CallID
	}
	return name, nil
}

// isAlone reports whether the Call-ID of the registration can mean nobody else.
func (r *registration) isAlone(all []registration) bool {
	if strings.EqualFold(r.CallID, "reboot") {
		return false
	}
	user, host, isAccount := strings.Cut(r.CallID, "@")
	if !isAccount {
		host = user
	}
	for i := range all {
		other := &all[i]
		if other == r || other.IP == r.IP && other.CallID == r.CallID {
			continue
		}
		if other.CallID == r.CallID || strings.EqualFold(other.Realm, host) && (!isAccount || user == "" || other.User == user) {
			return false
		}
	}
	return true
}
