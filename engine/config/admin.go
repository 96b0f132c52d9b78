package config

import (
	"fmt"
	"net/netip"
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
	Listen   string // address and port; "": not over TCP
	Socket   string // path of a unix socket; "": none
	Token    string // a caller over TCP must present it; "": none
	Cert     string // files in PEM form; "": no TLS
	Key      string
	ClientCA string // callers must show a certificate of this authority
}

var adminSchema = &hcl.BodySchema{
	Attributes: attributes("listen", "socket", "token", "cert_file", "key_file", "client_ca_file"),
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
	a := &Admin{Listen: DefaultListen, Socket: DefaultSocket}
	l.cfg.Admin = a
	for name, into := range map[string]*string{
		"listen": &a.Listen, "socket": &a.Socket, "token": &a.Token,
		"cert_file": &a.Cert, "key_file": &a.Key, "client_ca_file": &a.ClientCA,
	} {
		if attr := attrs[name]; attr != nil {
			if t, ok := l.text(attr.Expr); ok {
				*into = t.string
			}
		}
	}
	l.checkAdmin(blocks[0], attrs)
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
	if (a.Cert == "") != (a.Key == "") {
		l.errorAt(header(block), "Incomplete TLS", "A certificate needs its key and a key its certificate: set cert_file and key_file.")
	}
	if a.ClientCA != "" && a.Cert == "" {
		l.errorAt(at("client_ca_file"), "Incomplete TLS", "Callers can only show a certificate over TLS: set cert_file and key_file as well.")
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
		l.errorAt(at("listen"), "Open to the network", fmt.Sprintf("Whoever reaches %s could block and unblock addresses. Set token = env(\"ADMIN_TOKEN\"), or client_ca_file, or listen on 127.0.0.1.", a.Listen))
	}
}

// listenAddr reads "address:port"; an empty address is every one of the host's.
func listenAddr(s string) (netip.Addr, error) {
	if port, all := strings.CutPrefix(s, ":"); all {
		s = "[::]:" + port
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"", s)
	}
	return addr.Addr().Unmap(), nil
}
