package doctor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/esl"
)

// knockTime is the time allowed for the greeting of the event socket.
const knockTime = 2 * time.Second

// probe connects to the event socket, without a password, at every address of this host that
// others can reach. The settings alone do not tell: their defaults depend on the version.
func (x *exam) probe(ctx context.Context) {
	_, port, err := net.SplitHostPort(x.at.Address)
	if err != nil || !x.here() {
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

// asksForPassword reports whether an event socket asks for a password. An access list refuses
// before that.
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

const (
	whySocket  = "with the event socket an attacker can make and hear calls, and run any program as FreeSWITCH's user"
	fixReload  = "then: fs_cli -x 'reload mod_event_socket' (it ends all connections to it)"
	socketConf = "autoload_configs/event_socket.conf.xml"
)

func (x *exam) judgeSocket() {
	x.judgeConnection()
	var listen, acl string // "": not known
	if x.socket != nil {
		listen = cmp.Or(x.socket.param("listen-ip"), "127.0.0.1")
		acl = x.socket.param("apply-inbound-acl")
	}
	ip, err := netip.ParseAddr(strings.Trim(listen, "[]"))
	inside := err == nil && ip.IsLoopback() || listen == "localhost"
	if x.ownPassword() {
		severity, why := critical, whySocket
		if inside && len(x.open) == 0 {
			severity, why = warning, "it listens on the loopback only, but every program on this host can connect; "+whySocket
		}
		x.report(severity, "the event socket has FreeSWITCH's default password", why,
			fmt.Sprintf("in %s:\n<param name=\"password\" value=\"…\"/> (openssl rand -hex 24)\nthe same in the rules' source \"esl\": password = env(\"ESL_PASSWORD\")\n%s", x.confName(socketConf), fixReload))
	}
	fence := fmt.Sprintf("in %s:\n<param name=\"listen-ip\" value=\"127.0.0.1\"/>\nor, if other hosts must connect, with their list in acl.conf.xml:\n<param name=\"apply-inbound-acl\" value=\"esl_clients\"/>\n%s", x.confName(socketConf), fixReload)
	switch {
	case len(x.open) > 0 && acl == "":
		severity := warning
		if x.ownPassword() || slices.ContainsFunc(x.open, func(a netip.Addr) bool { return !a.IsPrivate() }) {
			severity = critical
		}
		x.report(severity, "the event socket lets every host try passwords at "+addresses(x.open),
			"FreeSWITCH reports no wrong password there, in no log and no event: it can be guessed without a trace", fence)
	case len(x.open) > 0:
		x.report(info, fmt.Sprintf("the event socket's access list %q accepts %s", shorten(acl), addresses(x.open)),
			"these are addresses of this host; the list may accept their whole networks", "check the list in acl.conf.xml")
	case x.socket != nil && !inside && acl == "":
		x.report(warning, fmt.Sprintf("the event socket listens on %s and has no access list of its own", shorten(listen)),
			"only FreeSWITCH's default list (since 1.6) protects it; wrong passwords there leave no trace in a log", fence)
	case (x.probed || inside) && !errors.Is(x.unreached, esl.ErrUnreachable):
		x.ok("the event socket is reachable on the loopback only, as far as this host can test")
	}
}

// ownPassword reports whether FreeSWITCH's default password opens the event socket.
func (x *exam) ownPassword() bool {
	if x.at.Password == defaultSwitch.Password && (x.entered || errors.Is(x.unreached, esl.ErrAuthRefused)) {
		return x.entered // tried; a file may not be loaded yet
	}
	return !x.entered && x.socket != nil && x.socket.param("password") == defaultSwitch.Password
}

// judgeConnection reports why the switch could not be asked.
func (x *exam) judgeConnection() {
	const why = "the guard does not see the events of the switch, and half of this examination is missing"
	severity := critical
	if x.ref == "" { // the rules do not name one
		severity = warning
	}
	switch err := x.unreached; {
	case err == nil:
	case errors.Is(err, esl.ErrAuthRefused) && x.ref == "":
		x.report(info, "the event socket at "+x.at.Address+" refuses FreeSWITCH's default password, which is good; it was not examined", why,
			"declare a source \"esl\" with its password in the rules")
	case errors.Is(err, esl.ErrAuthRefused):
		x.report(severity, "the event socket at "+x.at.Address+" refuses the password of source."+x.ref, why,
			"set password in the rules to the value of <param name=\"password\"/> in "+socketConf)
	case errors.Is(err, esl.ErrACLRefused):
		x.report(severity, "the access list of the event socket at "+x.at.Address+" refuses this host", why,
			"in autoload_configs/acl.conf.xml, in the list that apply-inbound-acl of event_socket.conf.xml names:\n<node type=\"allow\" cidr=\"ADDRESS OF THIS HOST/32\"/>\nthen: "+esl.ReloadACL)
	case errors.Is(err, esl.ErrUnreachable):
		x.report(severity, "nothing answers at "+x.at.Address+", the address of the event socket", why,
			"start FreeSWITCH; have <load module=\"mod_event_socket\"/> in autoload_configs/modules.conf.xml;\nset address in the rules to listen-ip and listen-port of event_socket.conf.xml")
	default:
		x.report(severity, "the event socket could not be asked: "+shorten(err.Error()), why,
			"check that FreeSWITCH listens there: ss -ltnp")
	}
}

// addresses writes at most five addresses.
func addresses(all []netip.Addr) string {
	var texts []string
	for _, addr := range all[:min(len(all), 5)] {
		texts = append(texts, addr.String())
	}
	if more := len(all) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}
