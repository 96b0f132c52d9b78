package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Where the admin listener listens if nothing else is said.
const (
	DefaultListen = "127.0.0.1:8080"
	DefaultSocket = "/run/freeswitch-security/admin.sock"
)

// Admin is the admin block: where the HTTP API is served, and to whom.
type Admin struct {
	Listen string   // address and port; "": not over TCP
	Socket string   // path of a unix socket; "": none
	Mode   uint32   // permissions of the socket: who may open it may do everything
	Token  string   // a caller over TCP must present it; "": none
	Hosts  []string // further names under which it is asked, such as that of a proxy

	TLSCert  string // files in PEM form; "": no TLS
	TLSKey   string
	ClientCA string // callers must show a certificate of this authority
}

var adminSchema = &hcl.BodySchema{
	Attributes: attributes("listen", "socket", "token", "socket_mode", "hosts", "tls_cert", "tls_key", "client_ca"),
}

// decodeAdmin reads the admin block. Without one there is no admin listener.
func (l *loader) decodeAdmin(blocks hcl.Blocks) {
	if len(blocks) == 0 {
		return
	}
	for _, extra := range blocks[1:] {
		l.errorAt(header(extra), "Set twice", fmt.Sprintf("There is one admin listener, set at %s. Put everything into that block.", where(header(blocks[0]))))
	}
	attrs := l.content(blocks[0], adminSchema).Attributes
	a := &Admin{Listen: DefaultListen, Socket: DefaultSocket, Mode: 0o600}
	l.cfg.Admin = a
	for name, into := range map[string]*string{
		"listen": &a.Listen, "socket": &a.Socket, "token": &a.Token,
		"tls_cert": &a.TLSCert, "tls_key": &a.TLSKey, "client_ca": &a.ClientCA,
	} {
		if attr := attrs[name]; attr != nil {
			if t, ok := l.text(attr.Expr); ok {
				*into = t.string
			}
		}
	}
	if attr := attrs["hosts"]; attr != nil {
		names, _ := l.texts(attr.Expr)
		for _, name := range names {
			a.Hosts = append(a.Hosts, name.string)
		}
	}
	if attr := attrs["socket_mode"]; attr != nil {
		l.decodeMode(attr)
	}
	l.checkAdmin(blocks[0], attrs)
}

// decodeMode reads the permissions of the socket, in octal digits as chmod does.
func (l *loader) decodeMode(attr *hcl.Attribute) {
	t, ok := l.text(attr.Expr)
	if !ok {
		return
	}
	mode, err := strconv.ParseUint(t.string, 8, 32)
	if err != nil || mode&^0o660 != 0 || mode&0o600 != 0o600 {
		l.errorAt(t.rng, "Invalid mode", "Write \"0600\" for the owner alone, or \"0660\" for the group as well: whoever opens the socket may do everything.")
		return
	}
	l.cfg.Admin.Mode = uint32(mode)
}

// minToken is the shortest token, in bytes, that is not guessed.
const minToken = 16

func (l *loader) checkAdmin(block *hcl.Block, attrs hcl.Attributes) {
	a := l.cfg.Admin
	at := func(name string) hcl.Range {
		if attr := attrs[name]; attr != nil {
			return attr.Expr.Range()
		}
		return header(block)
	}
	if (a.TLSCert == "") != (a.TLSKey == "") {
		l.errorAt(header(block), "Incomplete TLS", "A certificate needs its key and a key its certificate: set tls_cert and tls_key.")
	}
	if a.ClientCA != "" && a.TLSCert == "" {
		l.errorAt(at("client_ca"), "Incomplete TLS", "Callers can only show a certificate over TLS: set tls_cert and tls_key as well.")
	}
	if attr := attrs["token"]; attr != nil && isWritten(attr.Expr) {
		l.errorAt(at("token"), "Token in a rule file", "Rule files are read by many and copied about. Put the token into the environment or a file of its own: token = env(\"ADMIN_TOKEN\"), or token = file(\"admin.token\").")
	}
	if strings.ContainsFunc(a.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		l.errorAt(at("token"), "Invalid token", "Only printable ASCII without blanks can be sent in a header. Make one with: openssl rand -hex 32.")
	}
	if attr := attrs["token"]; attr != nil && len(a.Token) < minToken {
		l.errorAt(at("token"), "Weak token", fmt.Sprintf("A token has at least %d bytes, so that it cannot be guessed. Make one with: openssl rand -hex 32.", minToken))
	}
	if a.Listen == "" {
		return
	}
	addr, err := listenAddr(a.Listen)
	switch {
	case err != nil:
		l.errorAt(at("listen"), "Invalid address", sentence(err))
	case !addr.IsLoopback() && a.Token == "" && a.ClientCA == "":
		l.errorAt(at("listen"), "Open to the network", fmt.Sprintf("Whoever reaches %s could block and unblock addresses. Set token = env(\"ADMIN_TOKEN\"), or client_ca, or listen on 127.0.0.1.", a.Listen))
	}
}

// listenAddr reads "address:port"; an empty address is every one of the host's.
func listenAddr(s string) (netip.Addr, error) {
	if port, all := strings.CutPrefix(s, ":"); all {
		s = "[::]:" + port
	}
	if port, local := strings.CutPrefix(s, "localhost:"); local {
		s = "127.0.0.1:" + port
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"", s)
	}
	return addr.Addr().Unmap(), nil
}
