package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"syscall"

	"freeswitch-security/engine/ban"
)

// A caller is the author of a request, as far as it is known.
type caller struct {
	local bool   // over the unix socket; the right to open it is the right to do everything
	name  string // "root", "uid 1000", "127.0.0.1", "alice"
	via   string // how it is known: "unix pid 4711", "203.0.113.7 token"
}

// author is the name of the caller in a ban.
func (c *caller) author() string { return "api " + c.name }

// orders returns the author of a ban or trust.
func (c *caller) orders(here bool) string {
	if here {
		return c.author() + ban.OnlyHere
	}
	return c.author()
}

type callerKey struct{}

// identifyPeer notes the user at the other end of a unix socket, as the kernel reports
// it. A caller over TCP is known from its request.
func identifyPeer(ctx context.Context, conn net.Conn) context.Context {
	s, ok := conn.(*slotted)
	if !ok {
		return ctx
	}
	u, ok := s.Conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	c := caller{local: true, name: "unknown", via: "unix"}
	if cred := credentials(u); cred != nil {
		c.name = userName(cred.Uid)
		c.via = fmt.Sprintf("unix pid %d", cred.Pid)
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// credentials asks the kernel for the user at the other end; nil if it does not answer.
func credentials(u *net.UnixConn) *syscall.Ucred {
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *syscall.Ucred
	_ = raw.Control(func(fd uintptr) { // an error: the connection is gone, and cred is nil
		cred, _ = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	return cred
}

// userName is the name of a user on this host.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// callerOf returns the caller of an admitted request.
func (s *Server) callerOf(r *http.Request) caller {
	if c, ok := r.Context().Value(callerKey{}).(caller); ok {
		return c
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	c := caller{name: host, via: host}
	if s.token != nil {
		c.via += " token"
		if r.Header.Get("Authorization") == "" {
			c.via = host + " login"
		}
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		if name := clean(r.TLS.PeerCertificates[0].Subject.CommonName); name != "" {
			c.name = name
		}
		c.via += " certificate"
	}
	return c
}
