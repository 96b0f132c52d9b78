package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/gaissmai/bart"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// The maximal age of a look at the kernel: for problems, for counters, and to say that
// an entry is missing. A look at 100,000 bans takes 100 to 500 ms of CPU time.
const (
	lately   = 5 * time.Second
	recently = time.Second
	justNow  = 100 * time.Millisecond
)

// A kernelTable is one look at the kernel, to find targets in.
type kernelTable struct {
	views   []status.Kernel
	entries bart.Table[status.Entry]    // of all views; numbers are added up
	others  map[ban.Target]status.Entry // likewise, those of endpoints and accounts

	count          int    // entries that drop packets, of all views
	packets, bytes uint64 // dropped by all of them
	unread         bool   // not all of the kernel could be read: there may be more of everything
}

func newKernelTable(views []status.Kernel) *kernelTable {
	t := &kernelTable{views: views, others: map[ban.Target]status.Entry{}}
	for _, v := range views {
		t.unread = t.unread || v.Unread
		for _, e := range v.Entries {
			if e.Target.Kind() != ban.TargetAccount {
				t.count++
			}
			t.packets += e.Packets
			t.bytes += e.Bytes
			network, ok := e.Target.Network()
			if !ok {
				known, exists := t.others[e.Target]
				t.others[e.Target] = sum(known, e, exists)
				continue
			}
			t.entries.Modify(network, func(known status.Entry, exists bool) (status.Entry, bool) {
				return sum(known, e, exists), false
			})
		}
	}
	return t
}

// sum adds the numbers of an entry to those of another, if that exists. One that drops is enough.
func sum(known, e status.Entry, exists bool) status.Entry {
	known.Packets += e.Packets
	known.Bytes += e.Bytes
	known.Bypassed = e.Bypassed && (known.Bypassed || !exists)
	return known
}

// covers reports whether all of a target is blocked now: in the kernel, or an account at the switch.
func (t *kernelTable) covers(target ban.Target) bool {
	entry, ok := t.others[target]
	if !ok {
		entry, ok = t.entries.LookupPrefix(target.Prefix())
	}
	return ok && !entry.Bypassed
}

// standing returns a look at the kernel that is at most age old.
func (s *Server) standing(ctx context.Context, age time.Duration) (*kernelTable, error) {
	t, err := s.kernel.within(ctx, age)
	if err != nil {
		return nil, faultf(http.StatusServiceUnavailable, "kernel: %v", err)
	}
	return t, nil
}

// Ban returns a ban and what the kernel does with it. What could not be read is nil, not
// 0.
func (t *kernelTable) Ban(b *ban.Ban) status.Ban {
	out := status.Ban{Ban: *b, Permanent: b.Until.IsZero()}
	if applied := t.covers(b.Target); applied || !t.unread {
		entry, ok := t.others[b.Target]
		if p, isNetwork := b.Target.Network(); !ok && isNetwork {
			entry, _ = t.entries.Get(p)
		}
		if out.Applied = &applied; b.Target.Kind() != ban.TargetAccount { // its packets are not dropped
			out.Packets, out.Bytes = &entry.Packets, &entry.Bytes
		}
	}
	return out
}

// showKernel answers GET /security/iptables. Simultaneous requests share one look.
func (s *Server) showKernel(w http.ResponseWriter, r *http.Request) error {
	standing, err := s.standing(r.Context(), justNow)
	if err != nil {
		return err
	}
	var k status.KernelPage
	if views := standing.views; len(views) > 0 {
		k.Kernel, k.More = views[0], views[1:]
	} else {
		k.Add(status.Warning, "no ban is enforced: no action writes to the kernel")
	}
	out := s.stream(w)
	out.allow()
	jsonHeader(w)
	out.value(k)
	out.text("\n")
	return nil
}
