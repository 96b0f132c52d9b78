package esl

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Defaults of FreeSWITCH's event socket, and of the queue.
const (
	defaultAddress  = "127.0.0.1:8021"
	defaultPort     = "8021"
	defaultPassword = "ClueCon"
	defaultQueue    = 20_000 // events
)

// Bounds of the queue, in events: one attacker sends a burst of the shortest, and events
// that wait behind a million others come too late.
const (
	minQueue = 100
	maxQueue = 1_000_000
)

// read reads a source block.
func read(b *settings.Block, env plugin.SourceEnv) *source {
	s := &source{name: env.Name, log: true, zone: time.Local, queue: defaultQueue}
	s.at.Address, s.at.Password = defaultAddress, defaultPassword
	if t, ok := b.Text("address"); ok {
		var err error
		if s.at.Address, err = withPort(t.Value); err != nil {
			b.Invalid(t, "Invalid address", err, "the address of an event socket")
		}
	}
	if b.String("password", &s.at.Password) && (s.at.Password == "" || strings.ContainsFunc(s.at.Password, unicode.IsControl)) {
		b.Error("password", "Invalid password", "The password of the event socket is one line of text. It stands in FreeSWITCH's event_socket.conf.xml; leave the attribute out for "+defaultPassword+".")
	}
	b.Bool("log", &s.log)
	b.Zone("timezone", &s.zone)
	b.Int("queue", &s.queue, minQueue, maxQueue)
	return s
}

// withPort adds the default port to an address, and refuses what cannot be dialled.
func withPort(given string) (string, error) {
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		host, port = given, defaultPort
		if inner, ok := strings.CutPrefix(given, "["); ok && strings.HasSuffix(inner, "]") {
			host = inner[:len(inner)-1]
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	isHost := host != "" && !strings.ContainsAny(host, " \t\r\n/[]@\"'") && (net.ParseIP(host) != nil || !strings.Contains(host, ":"))
	if err != nil || number == 0 || !isHost {
		return "", fmt.Errorf("%q is not the address of an event socket: write \"host:port\", \"[2001:db8::1]:8021\", or the host alone for port %s", given, defaultPort)
	}
	return net.JoinHostPort(host, port), nil
}
