package admin

import (
	"context"
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dedup"
)

// budgets hold the requests that each client may send, so that no client uses up what others need.
type budgets struct {
	mu            sync.Mutex // guards clients
	clients       dedup.Cache[string, budget]
	reads, writes float64 // see limits
}

// A budget is that of one client.
type budget struct{ reads, writes *rate.Limiter }

// of returns the budget of a request's client: a user of the unix socket, or a host.
func (b *budgets) of(r *http.Request) budget {
	client := r.RemoteAddr
	if c, ok := r.Context().Value(callerKey{}).(caller); ok && c.local {
		client = "unix " + c.name
	} else if a, err := netip.ParseAddrPort(client); err == nil {
		client = ban.NAT64(nil).Host(a.Addr().Unmap().WithZone("")).String()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	one, known := b.clients.Get(client)
	if !known {
		one = budget{rate.NewLimiter(rate.Limit(b.reads), int(b.reads)), rate.NewLimiter(rate.Limit(b.writes), int(b.writes))}
		b.clients.Put(client, one)
	}
	return one
}

// A share is what all clients of one kind may do at once: those of the unix socket, or those of TCP.
type share struct {
	busy    chan struct{} // a slot for each change under way
	batches chan struct{} // a slot for each batch: batches take memory
}

func newShare(l *limits) share {
	return share{make(chan struct{}, l.busy), make(chan struct{}, l.batches)}
}

// shareOf returns the share of a request, by its context.
func (s *Server) shareOf(ctx context.Context) *share {
	if c, ok := ctx.Value(callerKey{}).(caller); ok && c.local {
		return &s.unix
	}
	return &s.tcp
}
