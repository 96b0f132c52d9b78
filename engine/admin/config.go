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

	"freeswitch-security/engine/config"
)

// A Config is an admin block. Without Listen and Socket nothing is opened. A request
// whose Host is neither one of Hosts nor the address is refused. SocketMode 0 is 0600.
type Config config.Admin

// ownerOnly is the default mode of the socket.
const ownerOnly = fs.FileMode(0o600)

// Check reports what is wrong with the configuration. It touches nothing.
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
		return fmt.Errorf("listen: other hosts can reach %q: set a token (from the environment or a file), "+
			"or tls_cert, tls_key and client_ca, or listen on 127.0.0.1", c.Listen)
	}
	return nil
}

// protected reports whether a caller over TCP has to authenticate.
func (c *Config) protected() bool { return c.Token != "" || c.ClientCA != "" }

// onlyLoopback reports whether only this host can reach a listener on host. A name
// other than localhost may resolve to any address.
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

// maxSocketPath is the limit of the kernel for the path of a unix socket, in bytes.
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
		return fmt.Errorf("socket: mode %04o gives rights to others than owner and group: use 0600 or 0660", c.SocketMode)
	}
	return nil
}

// tls loads the certificates; nil if TCP is without TLS.
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

// hosts are the names of the TCP listener.
func (c *Config) hosts() []string {
	all := c.Hosts
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			all = append(all[:len(all):len(all)], host)
		}
	}
	return all
}
