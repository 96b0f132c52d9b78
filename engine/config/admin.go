package config

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Where the admin listener listens by default.
const (
	DefaultListen = "127.0.0.1:8080"
	DefaultSocket = "/run/freeswitch-security/admin.sock"
)

// Admin is the admin block: where the HTTP API is served, and who may use it.
type Admin struct {
	Listen string // address and port; "": not over TCP
	Socket string // path of a unix socket; "": none
	// SocketMode is the permissions of the socket: to open it gives every right.
	SocketMode fs.FileMode
	Token      string // that a client over TCP must present; "": none
	// ViewerToken is another token: who presents it sees everything and changes nothing; "": none.
	ViewerToken string
	Hosts       []string // further host names of requests, such as that of a proxy

	TLSCert  string // files in PEM form; "": no TLS
	TLSKey   string
	ClientCA string // clients must have a certificate of this authority
}

// decodeAdmin reads the admin block. Without one there is no admin listener.
func (l *loader) decodeAdmin(blocks []*settings.Block) {
	if len(blocks) == 0 {
		return
	}
	b := blocks[0]
	for _, extra := range blocks[1:] {
		extra.Skip()
		extra.Error("", "Set twice", fmt.Sprintf("There is one admin listener, set at %s. Put everything into that block.", settings.Where(b.Range)))
	}
	a := &Admin{Listen: DefaultListen, Socket: DefaultSocket, SocketMode: 0o600}
	l.cfg.Admin = a
	set := map[string]bool{} // what has a value, or one that could not be read
	for name, into := range map[string]*string{
		"listen": &a.Listen, "socket": &a.Socket, "token": &a.Token, "viewer_token": &a.ViewerToken,
		"tls_cert": &a.TLSCert, "tls_key": &a.TLSKey, "client_ca": &a.ClientCA,
	} {
		if b.Has(name) && !b.String(name, into) {
			*into, set[name] = "", true
		}
		set[name] = set[name] || *into != ""
	}
	b.Strings("hosts", &a.Hosts)
	if t, ok := b.Text("socket_mode"); ok {
		mode, err := strconv.ParseUint(t.Value, 8, 32)
		if err != nil || mode&^0o660 != 0 || mode&0o600 != 0o600 {
			b.Error("socket_mode", "Invalid mode", "Write \"0600\" for the owner alone, or \"0660\" for the group as well: opening the socket gives every right.")
		} else {
			a.SocketMode = fs.FileMode(mode)
		}
	}
	a.check(b, set)
}

// maxHistoryDays bounds the memory of a history.
const maxHistoryDays = 180

// decodeHistory reads the history block.
func (l *loader) decodeHistory(blocks []*settings.Block) {
	h := &l.cfg.History
	h.Days = 90
	if len(blocks) == 0 {
		return
	}
	b := blocks[0]
	for _, extra := range blocks[1:] {
		extra.Skip()
		extra.Error("", "Set twice", fmt.Sprintf("There is one history, set at %s. Put everything into that block.", settings.Where(b.Range)))
	}
	b.Int("days", &h.Days, 1, maxHistoryDays)
	numbers := "full"
	b.Enum("numbers", &numbers, "full", "masked")
	h.Masked = numbers == "masked"
}

// maxSocketPath is the limit of the kernel for the path of a unix socket, in bytes.
const maxSocketPath = 107

// minToken is the shortest token, in bytes.
const minToken = 16

// check checks the values of the block, and whether they go together. One that could
// not be read counts as set.
func (a *Admin) check(b *settings.Block, set map[string]bool) {
	if set["tls_cert"] != set["tls_key"] {
		b.Error("", "Incomplete TLS", "A certificate needs its key and a key its certificate: set tls_cert and tls_key.")
	}
	if set["client_ca"] && !set["tls_cert"] {
		b.Error("client_ca", "Incomplete TLS", "Callers can only show a certificate over TLS: set tls_cert and tls_key as well.")
	}
	for name, token := range map[string]string{"token": a.Token, "viewer_token": a.ViewerToken} {
		if attr := b.Attribute(name); attr != nil && (token != "" || !set[name]) {
			checkToken(b, name, token, attr.Expr)
		}
	}
	switch {
	case set["viewer_token"] && !set["token"]:
		b.Error("viewer_token", "Viewers without a token", "Without token every caller may change everything, so a token that only shows has no use. Set token as well.")
	case a.ViewerToken != "" && a.ViewerToken == a.Token:
		b.Error("viewer_token", "One token for both", "Who has the viewer's token would have every right. Make another one with: openssl rand -hex 32.")
	}
	if a.Socket != "" && (!strings.HasPrefix(a.Socket, "/") || len(a.Socket) > maxSocketPath) {
		b.Error("socket", "Invalid path", fmt.Sprintf("Write an absolute path of at most %d bytes, the limit of the kernel.", maxSocketPath))
	}
	if a.Listen == "" {
		return // not over TCP, or the address could not be read
	}
	written := !b.Has("listen") || settings.IsWritten(b.Attribute("listen").Expr)
	listen := settings.Text{Value: a.Listen, Range: b.At("listen"), Written: written}
	var addr netip.Addr
	if settings.Parse(b, listen, &addr, listenAddr, "Invalid address", `an address and a port, such as "127.0.0.1:8080" or "[::1]:8080"`) &&
		!addr.IsLoopback() && !set["token"] && !set["client_ca"] {
		b.Error("listen", "Open to the network", fmt.Sprintf("Everyone who reaches %s could ban and unban addresses. Set token = env(\"ADMIN_TOKEN\"), or client_ca, or listen on 127.0.0.1.", a.Listen))
	}
}

func checkToken(b *settings.Block, name, token string, expr hcl.Expression) {
	if !isFetched(expr) {
		b.Error(name, "Token in a rule file", "Rule files are read and copied by many, so the token must not be written in one, neither in a local nor as a default. Put it into the environment or a file of its own, and write just that here: "+name+" = env(\"ADMIN_TOKEN\"), or "+name+" = file(\"admin.token\").")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		b.Error(name, "Invalid token", "Only printable ASCII without blanks can be sent in a header. Make one with: openssl rand -hex 32.")
	}
	if len(token) < minToken {
		b.Error(name, "Weak token", fmt.Sprintf("A token has at least %d bytes, so that it cannot be guessed. Make one with: openssl rand -hex 32.", minToken))
	}
}

// isFetched reports whether the whole value of an expression comes from the environment
// or another file, as the expression alone shows.
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
