// Package fleettest runs a NATS server with JetStream in the process of a test.
//
// It stands beside package fleet, whose tests and those of the engine use it.
//
// Invariant: a server that is started again has the port and the files of the one before.
package fleettest

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience bounds the start of a server.
const patience = 20 * time.Second

// A Server is a NATS server of one test.
type Server struct {
	*server.Server
	Options *server.Options
	t       testing.TB
}

// Serve starts a server that ends with the test. change may change its options.
func Serve(t testing.TB, change func(*server.Options)) *Server {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		NoLog: true, NoSigs: true, NoSystemAccount: true,
	}
	if change != nil {
		change(o)
	}
	s := &Server{Options: o, t: t}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server, again if it was stopped.
func (s *Server) Start() {
	s.t.Helper()
	one, err := server.NewServer(s.Options)
	if err != nil {
		s.t.Fatal(err)
	}
	one.Start()
	if !one.ReadyForConnections(patience) {
		s.t.Fatal("the server does not start")
	}
	s.Server = one
	s.Options.Port = one.Addr().(*net.TCPAddr).Port
}

// Stop ends the server.
func (s *Server) Stop() {
	s.Server.Shutdown()
	s.Server.WaitForShutdown()
}
