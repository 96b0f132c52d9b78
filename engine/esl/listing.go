package esl

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Commander carries out api commands, as [Console] does.
type Commander interface {
	API(ctx context.Context, command string, args ...string) (string, error)
}

// A Channel is one leg of a call. The leg to the called party has the address of the
// caller.
type Channel struct {
	UUID        string `json:"uuid"`
	CallUUID    string `json:"call_uuid"`       // of the first leg of the call; empty until there is another
	Direction   string `json:"direction"`       // "inbound": the leg of the caller
	Dest        string `json:"dest"`            // what is dialled; the dialplan may change it
	InitialDest string `json:"initial_dest"`    // what the caller dialled
	IP          string `json:"ip_addr"`         // empty until the call is routed
	InitialIP   string `json:"initial_ip_addr"` // of the first INVITE
	PresenceID  string `json:"presence_id"`     // "1000@pbx.example"; of a caller, the From header
	AccountCode string `json:"accountcode"`     // from the directory, by custom the user
}

// A Registration is a phone that is registered. Callers choose User, CallID and parts
// of URL.
type Registration struct {
	User    string `json:"reg_user"`
	Realm   string `json:"realm"`
	CallID  string `json:"token"`
	URL     string `json:"url"`     // "sofia/internal/sip:1000@192.0.2.1:5060"
	Expires string `json:"expires"` // Unix time, in seconds
	IP      string `json:"network_ip"`
	Port    string `json:"network_port"`
	Proto   string `json:"network_proto"`
}

// Profile returns the sofia profile of the registration; "" if it has none.
func (r *Registration) Profile() string {
	rest, ok := strings.CutPrefix(r.URL, "sofia/")
	profile, _, cut := strings.Cut(rest, "/")
	if !ok || !cut {
		return ""
	}
	return profile
}

// Channels lists the legs of all calls. FreeSWITCH lists a new one a moment late.
func Channels(ctx context.Context, c Commander) ([]Channel, error) {
	return show[Channel](ctx, c, "channels")
}

// Registrations lists the phones that are registered, a new one a moment late.
func Registrations(ctx context.Context, c Commander) ([]Registration, error) {
	return show[Registration](ctx, c, "registrations")
}

// Now returns the time by the clock of the switch, of which [Registration.Expires] is.
func Now(ctx context.Context, c Commander) (time.Time, error) {
	answer, err := c.API(ctx, "strepoch")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(answer), 10, 64)
	return time.Unix(seconds, 0), err
}

func show[T any](ctx context.Context, c Commander, what string) ([]T, error) {
	answer, err := c.API(ctx, "show", what, "as", "json")
	var listing struct {
		Rows []T `json:"rows"` // missing where there are none
	}
	if err == nil {
		err = json.Unmarshal([]byte(answer), &listing)
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return listing.Rows, nil
}

// A Gateway is one through which the switch itself calls.
type Gateway struct {
	Name  string `xml:"name"`
	Realm string `xml:"realm"`
	Proxy string `xml:"proxy"` // "sip:sbc.example:5060;transport=tcp"
}

// Gateways lists the gateways.
func Gateways(ctx context.Context, c Commander) ([]Gateway, error) {
	var listing struct {
		XMLName  xml.Name  `xml:"gateways"`
		Gateways []Gateway `xml:"gateway"`
	}
	if err := askXML(ctx, c, &listing, "sofia", "xmlstatus", "gateway"); err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	return listing.Gateways, nil
}

// A sofiaConf is sofia.conf with the SIP profiles.
type sofiaConf struct {
	XMLName  xml.Name  `xml:"configuration"`
	Params   []param   `xml:"global_settings>param"`
	Profiles []profile `xml:"profiles>profile"`
}

type profile struct {
	Name   string  `xml:"name,attr"`
	Params []param `xml:"settings>param"`
}

type param struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// readSofiaConf reads the configuration, which the switch may not have loaded.
func readSofiaConf(ctx context.Context, c Commander) (conf sofiaConf, err error) {
	if err := askXML(ctx, c, &conf, "xml_locate", "configuration", "configuration", "name", "sofia.conf"); err != nil {
		return conf, fmt.Errorf("read sofia.conf: %w", err)
	}
	return conf, nil
}

// CaptureServer returns where the SIP profiles mirror their packets to, if their capture is on:
// "udp:127.0.0.1:9060;hep=3"; "" if there is no target. It is that of the configuration, which
// the switch may not have loaded.
func CaptureServer(ctx context.Context, c Commander) (target string, err error) {
	conf, err := readSofiaConf(ctx, c)
	for _, p := range conf.Params {
		if p.Name == "capture-server" {
			target = p.Value
		}
	}
	return target, err
}

// MultipleRegistrations returns the SIP profiles that keep several registrations of one account. Of
// the others, a registration ends the one before.
func MultipleRegistrations(ctx context.Context, c Commander) (several map[string]bool, err error) {
	conf, err := readSofiaConf(ctx, c)
	several = map[string]bool{}
	for _, profile := range conf.Profiles {
		for _, p := range profile.Params {
			value := strings.ToLower(p.Value)
			switch {
			case p.Name == "multiple-registrations":
				several[profile.Name] = value == "call-id" || value == "contact" || isTrue(value)
			case p.Name == "manage-shared-appearance" && isTrue(value):
				several[profile.Name] = true
			}
		}
	}
	return several, err
}

// isTrue reports whether FreeSWITCH takes a value in lower case as true.
func isTrue(value string) bool {
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return n != 0
	}
	return slices.Contains([]string{"yes", "on", "true", "t", "enabled", "active", "allow"}, value)
}

// askXML decodes the answer to a command. FreeSWITCH escapes few of its texts, and claims
// ISO-8859-1 for any encoding.
func askXML(ctx context.Context, c Commander, into any, command string, args ...string) error {
	answer, err := c.API(ctx, command, args...)
	if err != nil {
		return err
	}
	decoder := xml.NewDecoder(strings.NewReader(strings.ToValidUTF8(answer, "\ufffd")))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return decoder.Decode(into)
}
