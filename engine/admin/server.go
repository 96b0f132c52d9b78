package admin

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"freeswitch-security/engine"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/page"
	"freeswitch-security/engine/status"
)

// Options configure a server.
type Options struct {
	Config
	Engine *engine.Engine

	// Reload loads the rule files and puts them into use. With an error among the diagnostics
	// nothing changes, and err is not nil. An err without one says why it could not be done.
	Reload func(context.Context) (diagnostics []status.Diagnostic, err error)

	History *history.History // nil: an empty one

	Log     *slog.Logger // nil: nothing is logged, not even changes
	Version string
}

// A Server is the API of one engine. [New] makes it.
type Server struct {
	Options
	limits limits
	hosts  []string
	token  *[sha256.Size]byte // of the token; nil if there is none
	viewer *[sha256.Size]byte // likewise, of the token that changes nothing
	tls    *tls.Config        // nil if TCP is without TLS

	mux      *http.ServeMux
	watchers watchers
	status   recent[status.Status]
	kernel   recent[*kernelTable]
	trackers recent[[]status.Tracker] // maxTopTrackers of them, for the page
	web      *page.Page

	looking chan struct{} // a slot for the request that asks the engine beyond its snapshots
	unix    share
	tcp     share
	budgets budgets
	guesses *rate.Limiter // of wrong tokens
	refused *rate.Limiter // of log lines about refused requests
}

// limits bound what a caller can use of the server. Only tests change them.
type limits struct {
	header, body time.Duration // to read the header, and all of a request
	batch        time.Duration // to read all of a batch
	write        time.Duration // for the caller to read the next piece of an answer
	idle         time.Duration // between two requests of a connection
	change       time.Duration // for a change to be applied; then the answer says that it is not
	reload       time.Duration // to load the rules; it may have to wait for sources to end
	look         time.Duration // to read the kernel
	beat         time.Duration // between two comments on /events

	connections, watchers, busy, batches int

	headerBytes, bodyBytes, batchBytes int64
	banItems, trustItems               int

	reads, writes float64 // of one client, per second and in a burst
	guesses       float64 // likewise, of all clients
}

func defaultLimits() limits {
	return limits{
		header: 5 * time.Second, body: 10 * time.Second, batch: time.Minute,
		write: 10 * time.Second, idle: time.Minute,
		change: 5 * time.Second, reload: time.Minute, look: 5 * time.Second, beat: 15 * time.Second,
		connections: 512, watchers: 256, busy: 16, batches: 3,
		headerBytes: 16 << 10, bodyBytes: 64 << 10, batchBytes: 32 << 20,
		banItems: 100_000, trustItems: 10_000,
		reads: 10_000, writes: 1_000, guesses: 10,
	}
}

// New returns a server. It fails if the configuration is wrong or its certificates
// cannot be read.
func New(o Options) (*Server, error) { return newServer(o, defaultLimits()) }

func newServer(o Options, l limits) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.History == nil {
		o.History = history.New(history.Settings{})
	}
	s := &Server{
		Options: o, limits: l, hosts: o.hosts(),
		looking: make(chan struct{}, 1), unix: newShare(&l), tcp: newShare(&l),
		budgets: budgets{reads: l.reads, writes: l.writes},
		guesses: rate.NewLimiter(rate.Limit(l.guesses), int(l.guesses)),
		refused: rate.NewLimiter(1, 10),
	}
	s.token, s.viewer = digest(o.Token), digest(o.ViewerToken)
	var err error
	if s.tls, err = o.tls(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s.status.fetch = func() (status.Status, error) {
		ctx, cancel := context.WithTimeout(context.Background(), l.look)
		defer cancel()
		return o.Engine.Status(ctx)
	}
	s.kernel.fetch = func() (*kernelTable, error) {
		ctx, cancel := context.WithTimeout(context.Background(), l.look)
		defer cancel()
		views, err := o.Engine.Kernel(ctx)
		if err != nil { // else it would look as if no ban were enforced
			return nil, err
		}
		return newKernelTable(views), nil
	}
	s.trackers.fetch = func() (all []status.Tracker, err error) {
		err = s.look(context.Background(), l.look, func(ctx context.Context) (err error) {
			all, err = o.Engine.Trackers(ctx, maxTopTrackers)
			return err
		})
		return all, err
	}
	s.web = page.New(pageGuard{s})
	s.mux = s.routes()
	return s, nil
}

// outdate makes later requests see what has changed until now.
func (s *Server) outdate() {
	s.status.outdate()
	s.kernel.outdate()
	s.web.Outdate()
}

// shutdownTime is the time for requests under way when the server ends. An idle
// connection delays the end that long. The daemon has to stop within a second.
const shutdownTime = 700 * time.Millisecond

// Serve answers on the listeners until ctx ends or one of them fails, and closes them.
// It refuses an unprotected TCP listener that other hosts can reach, wherever it comes
// from.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	listeners = slices.Clone(listeners) // the caller's slice stays as it is
	for i, l := range listeners {
		if err := s.allowed(l.Addr()); err != nil {
			return errors.Join(err, closeAll(listeners))
		}
		l = bound(l, s.limits.connections)
		if s.tls != nil && l.Addr().Network() != "unix" {
			l = tls.NewListener(l, s.tls)
		}
		listeners[i] = l
	}
	server := &http.Server{
		Handler: s, ConnContext: identifyPeer, ConnState: noteState, MaxHeaderBytes: int(s.limits.headerBytes),
		ReadHeaderTimeout: s.limits.header, ReadTimeout: s.limits.body,
		WriteTimeout: s.limits.body + s.limits.write, IdleTimeout: s.limits.idle,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.watchers.end)
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			err := server.Serve(l)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			ended <- err
		}()
	}
	var err error
	running := len(listeners)
	if running > 0 {
		select {
		case <-ctx.Done():
		case err = <-ended:
			running--
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close() // of requests that did not end in time
	}
	for range running {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// allowed refuses a listener that Check would have refused.
func (s *Server) allowed(addr net.Addr) error {
	if addr.Network() == "unix" || s.Token != "" || s.ClientCA != "" {
		return nil
	}
	if a, ok := addrOf(addr); ok && a.IsLoopback() {
		return nil
	}
	return fmt.Errorf("admin: other hosts can reach %s: it needs a token or client certificates", addr)
}

// addrOf returns the address of a TCP address.
func addrOf(addr net.Addr) (netip.Addr, bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	a := tcp.AddrPort().Addr().Unmap()
	return a.WithZone(""), a.IsValid()
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
