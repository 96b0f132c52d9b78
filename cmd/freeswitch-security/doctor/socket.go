package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/esl"
)

// knockTime is how long the event socket may take to greet, on this very host.
const knockTime = 2 * time.Second

// probe knocks at the event socket at all addresses of this host that others can
// reach, without a password. Only behaviour tells how it really stands: settings
// may be newer than the program, and their defaults differ.
func (x *exam) probe(ctx context.Context) {
	if !x.here() {
		return
	}
	_, port, err := net.SplitHostPort(x.at.Address)
	if err != nil {
		return
	}
	for _, addr := range x.host.addresses() {
		if addr.IsLoopback() || addr.IsLinkLocalUnicast() {
			continue
		}
		x.probed = true
		if asksForPassword(ctx, net.JoinHostPort(addr.String(), port)) {
			x.open = append(x.open, addr)
		}
	}
}

// asksForPassword reports whether an event socket there lets us as far as its
// password. One that an access list guards sends us away before.
func asksForPassword(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: knockTime}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(knockTime)); err != nil {
		return false
	}
	line, err := bufio.NewReaderSize(conn, 256).ReadSlice('\n')
	return err == nil && strings.TrimSpace(string(line)) == "Content-Type: auth/request"
}

const whySocket = "whoever gets into the event socket can make calls, listen to them and run any program as FreeSWITCH's user"

// ofSocket judges the event socket.
func (x *exam) ofSocket() []Finding {
	found := x.ofConnection()
	listen := "" // not known
	var acl string
	if x.socket != nil {
		params := x.socket.params()
		if listen = params["listen-ip"]; listen == "" {
			listen = "127.0.0.1"
		}
		acl = params["apply-inbound-acl"]
	}
	ip, err := netip.ParseAddr(strings.Trim(listen, "[]"))
	inside := err == nil && ip.IsLoopback() || listen == "localhost"
	if x.ownPassword() {
		d := Finding{critical, "the event socket has the password that every FreeSWITCH comes with", whySocket,
			fmt.Sprintf("in %s:\n<param name=\"password\" value=\"…\"/> (openssl rand -hex 24)\nthe same in the rules' source \"esl\": password = env(\"ESL_PASSWORD\")\nthen: fs_cli -x 'reload mod_event_socket' (it ends all connections to it)",
				x.confName("autoload_configs/event_socket.conf.xml"))}
		if inside && len(x.open) == 0 {
			d.Severity = warning
			d.Why = "it listens on the loopback only, but any program on this host, a web page's among them, can get in: " + whySocket
		}
		found = append(found, d)
	}
	fence := fmt.Sprintf("in %s:\n<param name=\"listen-ip\" value=\"127.0.0.1\"/>\nor, where others must come in, with a list of theirs in acl.conf.xml:\n<param name=\"apply-inbound-acl\" value=\"esl_clients\"/>\nthen: fs_cli -x 'reload mod_event_socket' (it ends all connections to it)",
		x.confName("autoload_configs/event_socket.conf.xml"))
	switch {
	case len(x.open) > 0 && acl == "":
		found = append(found, x.ofOpenSocket(fence))
	case len(x.open) > 0:
		found = append(found, Finding{info, fmt.Sprintf("the event socket's access list %q lets in %s", shorten(acl), addresses(x.open)),
			"these are this host's own addresses: that they are let in may mean that their whole network is", "look at the list in acl.conf.xml"})
	case x.socket != nil && !inside && acl == "":
		found = append(found, Finding{warning, fmt.Sprintf("the event socket listens on %s and has no access list of its own", shorten(listen)),
			"only FreeSWITCH's default list (since 1.6) stands between it and everybody; wrong passwords there leave no trace in any log", fence})
	case (x.probed || inside) && !errors.Is(x.unreached, esl.ErrUnreachable):
		found = append(found, Finding{Severity: healthy, What: "the event socket cannot be reached from outside of the loopback, as far as can be tried from here"})
	}
	return found
}

// ofOpenSocket is about a socket that asks anybody for his password.
func (x *exam) ofOpenSocket(fence string) Finding {
	d := Finding{warning, "the event socket lets anybody try passwords at " + addresses(x.open),
		"FreeSWITCH says nothing of a wrong password there, in no log and no event: it can be guessed without end", fence}
	for _, addr := range x.open {
		if !addr.IsPrivate() {
			d.Severity = critical
		}
	}
	if x.ownPassword() {
		d.Severity = critical
	}
	return d
}

// ownPassword reports whether FreeSWITCH's own password opens the event socket.
func (x *exam) ownPassword() bool {
	if x.at.Password == defaultSwitch.Password && (x.entered || errors.Is(x.unreached, esl.ErrAuthRefused)) {
		return x.entered // it was tried; the files may say what does not hold yet
	}
	return !x.entered && x.socket != nil && x.socket.params()["password"] == defaultSwitch.Password
}

// ofConnection says why the switch could not be asked.
func (x *exam) ofConnection() []Finding {
	const why = "what the switch reports over it is not seen by the guard, and half of this examination could not be made"
	d := Finding{critical, "", why, ""}
	switch err := x.unreached; {
	case err == nil:
		return nil
	case errors.Is(err, esl.ErrAuthRefused) && x.ref == "":
		return []Finding{{info, "the event socket at " + x.at.Address + " does not have FreeSWITCH's own password, which is good; so it could not be asked", why,
			"give the rules a source \"esl\" with its password"}}
	case errors.Is(err, esl.ErrAuthRefused):
		d.What = "the event socket at " + x.at.Address + " refuses the password of source." + x.ref
		d.Fix = "make password in the rules what <param name=\"password\"/> is in autoload_configs/event_socket.conf.xml"
	case errors.Is(err, esl.ErrACLRefused):
		d.What = "the access list of the event socket at " + x.at.Address + " sends this host away"
		d.Fix = "in autoload_configs/acl.conf.xml, in the list that apply-inbound-acl of event_socket.conf.xml names:\n<node type=\"allow\" cidr=\"ADDRESS OF THIS HOST/32\"/>\nthen: fs_cli -x reloadacl"
	case errors.Is(err, esl.ErrUnreachable):
		d.What = "nothing answers at " + x.at.Address + ", where the event socket should be"
		d.Fix = "start FreeSWITCH; have <load module=\"mod_event_socket\"/> in autoload_configs/modules.conf.xml;\nmake address in the rules what listen-ip and listen-port are in event_socket.conf.xml"
	default:
		d.What = "the event socket could not be asked: " + shorten(err.Error())
		d.Fix = "see whether it is FreeSWITCH that listens there: ss -ltnp"
	}
	if x.ref == "" { // nobody has said that there is one
		d.Severity = warning
	}
	return []Finding{d}
}

// addresses writes several for people.
func addresses(all []netip.Addr) string {
	const most = 5
	var texts []string
	for _, addr := range all[:min(len(all), most)] {
		texts = append(texts, addr.String())
	}
	if more := len(all) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}
