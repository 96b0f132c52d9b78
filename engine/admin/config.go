package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// A Config is what an admin block says. With neither Listen nor Socket nothing is
// opened.
type Config struct {
	Listen string // "127.0.0.1:8080", "[::1]:8080"; "": no TCP

	// Token is what requests over TCP must carry; "": none. That it is no guess and
	// comes from the environment or a file, whoever reads the rule files sees to.
	Token string

	// TLSCert and TLSKey are PEM files; with them TCP is TLS. With ClientCA, a
	// PEM file too, only clients with a certificate of that authority are let
	// in; if there is a token as well, they need both.
	TLSCert, TLSKey, ClientCA string

	// Hosts are further names under which the listener is asked, such as that of
	// a proxy in front of it. A Host that is neither these nor the address
	// itself is refused.
	Hosts []string

	Socket     string      // path of the unix socket; "": none
	SocketMode fs.FileMode // its permissions, who may do everything; 0: 0600
}

// ownerOnly is the mode of the socket where none is given.
const ownerOnly = fs.FileMode(0o600)

// Check says what is wrong with the configuration, without touching anything;
// each error says what to do about it.
func (c *Config) Check() error {
	return errors.Join(c.checkListen(), c.checkTLS(), c.checkSocket())
}

func (c *Config) checkListen() error {
	if c.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q is not an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"", c.Listen)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 && port != "0" {
		return fmt.Errorf("listen: %q is not a port: write a number from 1 to 65535", port)
	}
	if !c.protected() && !onlyLoopback(host) {
		return fmt.Errorf("listen: others than this host reach %q: set a token (from the environment or a file), "+
			"or tls_cert, tls_key and client_ca, or listen on 127.0.0.1", c.Listen)
	}
	return nil
}

// protected tells whether a caller over TCP has to prove who he is.
func (c *Config) protected() bool { return c.Token != "" || c.ClientCA != "" }

// onlyLoopback tells whether only this host reaches a listener on host. A name
// other than localhost may stand for any address.
func onlyLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func (c *Config) checkTLS() error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("tls: tls_cert and tls_key belong together: set both or none")
	case c.ClientCA != "" && c.TLSCert == "":
		return errors.New("tls: client_ca needs tls_cert and tls_key")
	}
	return nil
}

// maxSocketPath is the longest path that the kernel takes for a unix socket, in
// bytes.
const maxSocketPath = 107

func (c *Config) checkSocket() error {
	switch {
	case c.Socket == "":
		return nil
	case !strings.HasPrefix(c.Socket, "/"):
		return fmt.Errorf("socket: %q is not an absolute path", c.Socket)
	case len(c.Socket) > maxSocketPath:
		return fmt.Errorf("socket: the path has %d bytes, the kernel takes %d", len(c.Socket), maxSocketPath)
	case c.SocketMode&^0o660 != 0:
		return fmt.Errorf("socket: mode %04o lets others than owner and group in, or runs it: use 0600 or 0660", c.SocketMode)
	}
	return nil
}

// tls loads the certificates; nil if TCP is not TLS.
func (c *Config) tls() (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.ClientCA == "" {
		return t, nil
	}
	authorities, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("tls: client_ca: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("tls: client_ca: there is no certificate in %s", c.ClientCA)
	}
	t.ClientAuth = tls.RequireAndVerifyClientCert
	return t, nil
}

// hosts are the names under which the TCP listener may be asked.
func (c *Config) hosts() []string {
	all := c.Hosts
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			all = append(all[:len(all):len(all)], host)
		}
	}
	return all
}
