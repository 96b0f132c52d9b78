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

	"freeswitch-security/engine/status"
)

// Options are what a server is made of.
type Options struct {
	Config
	Guard   Guard
	Log     *slog.Logger // nil: nobody is told, of changes neither
	Version string
}

// A Server answers for one engine. It is made by [New].
type Server struct {
	Options
	limits limits
	hosts  []string
	token  *[sha256.Size]byte // of the token; nil: there is none
	tls    *tls.Config        // nil: TCP is not TLS

	mux      *http.ServeMux
	watchers watchers
	status   recent[status.Status]
	kernel   recent[*kernelTable]

	busy    chan struct{} // a slot for each request that has the engine do something
	looking chan struct{} // a slot for whoever asks the engine what no snapshot holds
	batches chan struct{} // a slot for each batch, which take memory
	reads   *rate.Limiter
	writes  *rate.Limiter
	guesses *rate.Limiter // of tokens that were wrong
	refused *rate.Limiter // of lines in the log about callers who were not let in
}

// limits are what one caller can have of the server. They differ in tests only.
type limits struct {
	header, body time.Duration // until a request's header, until all of it has come
	batch        time.Duration // until all of a batch has come
	write        time.Duration // until the caller has taken the next piece of an answer
	idle         time.Duration // between two requests of a connection
	change       time.Duration // until the kernel has taken a change; the answer says so if not
	reload       time.Duration // until the rules run: it may have to wait for sources to end
	look         time.Duration // until the kernel has been read
	beat         time.Duration // between two signs of life to those who watch

	connections, watchers, busy, batches int

	headerBytes, bodyBytes, batchBytes int64
	banItems, trustItems               int

	reads, writes, guesses float64 // in a second, and at once
}

func defaultLimits() limits {
	return limits{
		header: 5 * time.Second, body: 10 * time.Second, batch: time.Minute,
		write: 10 * time.Second, idle: time.Minute,
		change: 5 * time.Second, reload: time.Minute, look: 5 * time.Second, beat: 15 * time.Second,
		connections: 512, watchers: 32, busy: 16, batches: 2,
		headerBytes: 16 << 10, bodyBytes: 64 << 10, batchBytes: 32 << 20,
		banItems: 100_000, trustItems: 10_000,
		reads: 10_000, writes: 1_000, guesses: 10,
	}
}

// New returns a server. An error says what is wrong with the configuration, or
// that its certificates cannot be read.
func New(o Options) (*Server, error) { return newServer(o, defaultLimits()) }

func newServer(o Options, l limits) (*Server, error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		Options: o, limits: l, hosts: o.hosts(),
		busy: make(chan struct{}, l.busy), looking: make(chan struct{}, 1), batches: make(chan struct{}, l.batches),
		reads:   rate.NewLimiter(rate.Limit(l.reads), int(l.reads)),
		writes:  rate.NewLimiter(rate.Limit(l.writes), int(l.writes)),
		guesses: rate.NewLimiter(rate.Limit(l.guesses), int(l.guesses)),
		refused: rate.NewLimiter(1, 10),
	}
	if o.Token != "" {
		sum := sha256.Sum256([]byte(o.Token))
		s.token = &sum
	}
	var err error
	if s.tls, err = o.tls(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s.status.fetch = func() (status.Status, error) {
		ctx, cancel := context.WithTimeout(context.Background(), l.look)
		defer cancel()
		return o.Guard.Status(ctx)
	}
	s.kernel.fetch = func() (*kernelTable, error) {
		ctx, cancel := context.WithTimeout(context.Background(), l.look)
		defer cancel()
		views, err := o.Guard.Kernel(ctx)
		if err != nil { // without it, it would look as if nothing was blocked
			return nil, err
		}
		return newKernelTable(views), nil
	}
	s.mux = s.routes()
	return s, nil
}

// lastRequests is how long requests have to come to their end when the server
// ends. Whoever has connected and says nothing keeps it that long from ending: it
// is below the second in which the daemon has to stop.
const lastRequests = 700 * time.Millisecond

// Serve answers on the listeners, which it closes, until ctx ends or one of them
// fails. It refuses a TCP listener that others than this host reach and that
// nothing protects, wherever it comes from.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	listeners = slices.Clone(listeners) // the caller may still be reading his own
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
		Handler: s, ConnContext: greet, MaxHeaderBytes: int(s.limits.headerBytes),
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
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRequests)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close() // those who did not come to their end in time
	}
	for range running {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// allowed refuses a listener that Check would have refused, had it known it.
func (s *Server) allowed(addr net.Addr) error {
	if addr.Network() == "unix" || s.protected() {
		return nil
	}
	if a, ok := addrOf(addr); ok && a.IsLoopback() {
		return nil
	}
	return fmt.Errorf("admin: others than this host reach %s: it needs a token or client certificates", addr)
}

// addrOf takes the address out of a TCP address.
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
