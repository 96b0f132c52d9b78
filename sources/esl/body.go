package esl

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/plugin"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

// defaultPort is where FreeSWITCH's event socket listens.
const defaultPort = "8021"

// Bounds of the queue, in events: less than a burst of one attacker is no queue,
// and what has waited behind a million others is of no use to anybody.
const (
	minQueue = 100
	maxQueue = 1_000_000
)

var bodySchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{
	{Name: "address"}, {Name: "password"}, {Name: "log"}, {Name: "timezone"}, {Name: "queue"},
}}

// bodyReader reads the attributes of one source block and collects the mistakes.
type bodyReader struct {
	attributes hcl.Attributes
	eval       *hcl.EvalContext
	diags      hcl.Diagnostics
}

// decodeBody reads the block's body and reports all its mistakes at once.
func decodeBody(body hcl.Body, env plugin.SourceEnv) (*source, hcl.Diagnostics) {
	content, diags := body.Content(bodySchema)
	r := bodyReader{content.Attributes, env.Eval, diags}
	s := &source{name: env.Name, log: true, zone: time.Local, queue: defaultQueue}
	s.at.Address, s.at.Password = defaultAddress, defaultPassword
	if attr, ok := r.read("address", &s.at.Address); ok {
		s.at.Address = r.address(attr, s.at.Address)
	}
	if attr, ok := r.read("password", &s.at.Password); ok {
		r.password(attr, s.at.Password)
	}
	r.read("log", &s.log)
	var zone string
	if attr, ok := r.read("timezone", &zone); ok {
		s.zone = r.zone(attr, zone)
	}
	if attr, ok := r.read("queue", &s.queue); ok && (s.queue < minQueue || s.queue > maxQueue) {
		r.mistake(attr, "Bad queue length", fmt.Sprintf("The queue holds the events that wait while the engine is busy: between %d and %d, or leave the attribute out for %d.", minQueue, maxQueue, defaultQueue))
	}
	return s, r.diags
}

// read evaluates the named attribute, if there is one, into a value. It reports
// whether there is one and it was right.
func (r *bodyReader) read(name string, into any) (*hcl.Attribute, bool) {
	attr := r.attributes[name]
	if attr == nil {
		return nil, false
	}
	diags := gohcl.DecodeExpression(attr.Expr, r.eval, into)
	r.diags = append(r.diags, diags...)
	return attr, !diags.HasErrors()
}

func (r *bodyReader) mistake(attr *hcl.Attribute, summary, detail string) {
	r.diags = append(r.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: attr.Expr.Range().Ptr(),
	})
}

// address gives the address its port, and refuses what cannot be dialled.
func (r *bodyReader) address(attr *hcl.Attribute, given string) string {
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		host, port = given, defaultPort
		if strings.HasPrefix(given, "[") && strings.HasSuffix(given, "]") {
			host = given[1 : len(given)-1]
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	isHost := host != "" && !strings.ContainsAny(host, " \t\r\n/[]@\"'") && (net.ParseIP(host) != nil || !strings.Contains(host, ":"))
	if err != nil || number == 0 || !isHost {
		r.mistake(attr, "Bad address", fmt.Sprintf("%q is not an address of an event socket. Write \"host:port\", \"[2001:db8::1]:8021\", or the host alone for port %s.", given, defaultPort))
		return given
	}
	return net.JoinHostPort(host, port)
}

// password refuses what would be read by the switch as another command, or as
// none. The diagnostic does not tell it.
func (r *bodyReader) password(attr *hcl.Attribute, given string) {
	if given == "" || strings.ContainsFunc(given, func(c rune) bool { return c < ' ' }) {
		r.mistake(attr, "Bad password", "The event socket's password is one line of text. It stands in FreeSWITCH's event_socket.conf.xml; leave the attribute out for "+defaultPassword+".")
	}
}

func (r *bodyReader) zone(attr *hcl.Attribute, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		r.mistake(attr, "Unknown timezone", fmt.Sprintf("%q is not a time zone. Write an IANA name such as \"Europe/Berlin\" or \"UTC\", or leave the attribute out for the host's own.", name))
		return time.Local
	}
	return zone
}
