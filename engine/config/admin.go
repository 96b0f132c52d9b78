package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
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
	unread := map[string]bool{} // attributes whose values could not be had, which has been reported
	for name, into := range map[string]*string{
		"listen": &a.Listen, "socket": &a.Socket, "token": &a.Token,
		"tls_cert": &a.TLSCert, "tls_key": &a.TLSKey, "client_ca": &a.ClientCA,
	} {
		if attr := attrs[name]; attr != nil {
			t, ok := l.text(attr.Expr)
			*into, unread[name] = t.string, !ok
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
	l.checkAdmin(blocks[0], attrs, unread)
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

// checkAdmin checks the values of the block, and whether they go together. One that
// could not be read counts as set.
func (l *loader) checkAdmin(block *hcl.Block, attrs hcl.Attributes, unread map[string]bool) {
	a := l.cfg.Admin
	at := func(name string) hcl.Range {
		if attr := attrs[name]; attr != nil {
			return attr.Expr.Range()
		}
		return header(block)
	}
	cert, ca, token := a.TLSCert != "" || unread["tls_cert"], a.ClientCA != "" || unread["client_ca"], a.Token != "" || unread["token"]
	if cert != (a.TLSKey != "" || unread["tls_key"]) {
		l.errorAt(header(block), "Incomplete TLS", "A certificate needs its key and a key its certificate: set tls_cert and tls_key.")
	}
	if ca && !cert {
		l.errorAt(at("client_ca"), "Incomplete TLS", "Callers can only show a certificate over TLS: set tls_cert and tls_key as well.")
	}
	if attr := attrs["token"]; attr != nil && !unread["token"] && !isFetched(attr.Expr) {
		l.errorAt(at("token"), "Token in a rule file", "Rule files are read by many and copied about, so the token stands in none, be it in a local or as a default. Put it into the environment or a file of its own, and write just that here: token = env(\"ADMIN_TOKEN\"), or token = file(\"admin.token\").")
	}
	if strings.ContainsFunc(a.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		l.errorAt(at("token"), "Invalid token", "Only printable ASCII without blanks can be sent in a header. Make one with: openssl rand -hex 32.")
	}
	if attr := attrs["token"]; attr != nil && !unread["token"] && len(a.Token) < minToken {
		l.errorAt(at("token"), "Weak token", fmt.Sprintf("A token has at least %d bytes, so that it cannot be guessed. Make one with: openssl rand -hex 32.", minToken))
	}
	if a.Listen == "" {
		return // nowhere, or nobody knows where
	}
	addr, err := listenAddr(a.Listen)
	switch {
	case err != nil:
		l.errorAt(at("listen"), "Invalid address", sentence(err))
	case !addr.IsLoopback() && !token && !ca:
		l.errorAt(at("listen"), "Open to the network", fmt.Sprintf("Whoever reaches %s could block and unblock addresses. Set token = env(\"ADMIN_TOKEN\"), or client_ca, or listen on 127.0.0.1.", a.Listen))
	}
}

// isFetched reports whether all that an expression can give comes from the environment
// or another file, as can be seen from the expression alone.
func isFetched(expr hcl.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return isFetched(e.Expression)
	case *hclsyntax.TemplateWrapExpr:
		return isFetched(e.Wrapped)
	case *hclsyntax.FunctionCallExpr:
		switch e.Name {
		case "file":
			return true
		case "env":
			return len(e.Args) == 1 && !e.ExpandFinal || len(e.Args) == 2 && isFetched(e.Args[1])
		}
		return !slices.ContainsFunc(e.Args, func(arg hclsyntax.Expression) bool { return !isFetched(arg) })
	case hclsyntax.Expression:
		return false
	}
	// JSON: without a context, a text comes back as it stands in the file.
	raw, _ := expr.Value(nil)
	if raw.Type() != cty.String {
		return false
	}
	template, _ := hclsyntax.ParseTemplate([]byte(raw.AsString()), "", hcl.InitialPos)
	return template != nil && isFetched(template)
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
