package email

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Kind makes actions of `action "email" "name" { … }` blocks. mask hides the middle of a number or an account, and
// maskReason those in the reason of a change.
func Kind(mask, maskReason func(string) string) plugin.ActionKind {
	return plugin.ActionKind{
		Name:    "email",
		Targets: []ban.TargetKind{ban.TargetAddress, ban.TargetNetwork, ban.TargetEndpoint, ban.TargetAccount},
		New: func(b *settings.Block, env plugin.ActionEnv) plugin.Action {
			c := config{name: env.Name, tls: tlsStart, on: []string{string(ban.KindAlert)}, digest: 5 * time.Minute, timeout: 30 * time.Second, giveUp: 24 * time.Hour}
			if env.Masked {
				c.mask, c.maskReason = mask, maskReason
				b.Note("masked", "true")
			}
			c.read(b)
			return newAction(c)
		},
	}
}

// Values of the attribute tls.
const (
	tlsStart  = "starttls"
	tlsDirect = "tls"
	tlsNone   = "none"
)

// defaultPorts are those of RFC 6409, RFC 8314 and RFC 5321.
var defaultPorts = map[string]int{tlsStart: 587, tlsDirect: 465, tlsNone: 25}

// maxRecipients bounds the attribute to.
const maxRecipients = 20

// config is an action block, checked.
type config struct {
	name           string // the reference: "email.noc"
	host           string
	port           int
	tls            string
	user, password string
	ca             string // PEM
	from           *address
	to             []*address
	on             []string // kinds of changes
	digest         time.Duration
	timeout        time.Duration // of one attempt
	giveUp         time.Duration
	mask           func(string) string // nil: nothing is masked
	maskReason     func(string) string // likewise
}

func (c *config) read(b *settings.Block) {
	b.Enum("tls", &c.tls, tlsStart, tlsDirect, tlsNone)
	if b.Require("server", `Write the mail server: server = "smtp.example.org".`) {
		if t, ok := b.Text("server"); ok && !c.readServer(t.Value) {
			b.Error("server", "Not a mail server", `Write a host, or a host and a port: "smtp.example.org:587".`)
		}
	}
	c.readLogin(b)
	b.String("ca", &c.ca)
	if c.ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.ca)) {
		b.Error("ca", "Invalid certificate", `The value holds no certificate in PEM form: write file("ca.pem").`)
	}
	c.readAddresses(b)
	var kinds []string
	for _, k := range ban.Told {
		kinds = append(kinds, string(k))
	}
	if b.Enums("on", &c.on, kinds...) && len(c.on) == 0 {
		b.Error("on", "Empty list", `Write at least one kind of change, such as on = ["alert"].`)
	}
	b.Duration("digest", &c.digest, 0, 24*time.Hour)
	b.Duration("timeout", &c.timeout, time.Second, 5*time.Minute)
	b.Duration("give_up", &c.giveUp, time.Minute, 30*24*time.Hour)
}

// readServer reads "smtp.example.org:587", and reports whether it is a server.
func (c *config) readServer(text string) bool {
	c.host, c.port = text, defaultPorts[c.tls]
	if host, port, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return false
		}
		c.host, c.port = host, int(n)
	}
	return c.host != "" && !strings.ContainsAny(c.host, "/ \t\r\n@")
}

func (c *config) readLogin(b *settings.Block) {
	b.String("user", &c.user)
	if t, ok := b.Text("password"); ok {
		c.password = t.Value
		if t.Written {
			b.Error("password", "Password in a rule file", `Rule files are read and copied by many. Put the password into the environment or a file of its own: password = env("SMTP_PASSWORD").`)
		}
	}
	switch {
	case b.Has("user") != b.Has("password"):
		b.Error("", "Incomplete login", "A user needs its password, and a password its user: set user and password.")
	case b.Has("user") && c.tls == tlsNone:
		b.Error("tls", "Password in clear", `Without TLS anyone on the way reads the password: write tls = "starttls" or tls = "tls", or leave user and password out.`)
	}
}

func (c *config) readAddresses(b *settings.Block) {
	if b.Require("from", `Write the sender: from = "guard@example.org".`) {
		if t, ok := b.Text("from"); ok {
			settings.Parse(b, t, &c.from, parseAddress, "Invalid address", `an address, such as "guard@example.org"`)
		}
	}
	if !b.Require("to", `Write who gets the mails: to = ["noc@example.org"].`) {
		return
	}
	texts, ok := b.Texts("to")
	if ok && (len(texts) == 0 || len(texts) > maxRecipients) {
		b.Error("to", "Wrong number of addresses", fmt.Sprintf("Write 1 to %d addresses.", maxRecipients))
	}
	for _, t := range texts {
		var one *address
		if settings.Parse(b, t, &one, parseAddress, "Invalid address", `an address, such as "noc@example.org"`) {
			c.to = append(c.to, one)
		}
	}
}

func parseAddress(text string) (*address, error) {
	one, err := mail.ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no address of a mailbox", text)
	}
	return one, nil
}
