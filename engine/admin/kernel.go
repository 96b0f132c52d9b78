package admin

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"freeswitch-security/engine/status"
)

// How old a look at the kernel may be: to say what is wrong with it, to count
// packets, or to say that something is not there. A look at 100,000 bans takes
// some 100 ms of a processor.
const (
	lately   = 5 * time.Second
	recently = time.Second
	justNow  = 100 * time.Millisecond
)

// A kernelTable is one look at the kernel, to find targets in.
type kernelTable struct {
	views   []status.Kernel
	entries map[netip.Prefix]status.Entry // of all views; numbers are added up
	lengths [2][]int                      // that occur in entries, longest first: IPv4, IPv6

	count          int    // entries of all views
	packets, bytes uint64 // dropped by all of them
	unread         bool   // not all of the kernel could be read: there may be more of everything
}

func newKernelTable(views []status.Kernel) *kernelTable {
	t := &kernelTable{views: views, entries: map[netip.Prefix]status.Entry{}}
	var occurs [2][129]bool
	for _, v := range views {
		t.unread = t.unread || v.Unread
		t.count += len(v.Entries)
		for _, e := range v.Entries {
			if known, ok := t.entries[e.Target]; ok {
				known.Packets += e.Packets
				known.Bytes += e.Bytes
				t.entries[e.Target] = known
			} else {
				t.entries[e.Target] = e
			}
			t.packets += e.Packets
			t.bytes += e.Bytes
			occurs[ipVersion(e.Target)][e.Target.Bits()] = true
		}
	}
	for f := range occurs {
		for bits := 128; bits >= 0; bits-- {
			if occurs[f][bits] {
				t.lengths[f] = append(t.lengths[f], bits)
			}
		}
	}
	return t
}

// ipVersion is 0 for IPv4, 1 for IPv6.
func ipVersion(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// covers tells whether the kernel stops all of a target.
func (t *kernelTable) covers(target netip.Prefix) bool {
	for _, bits := range t.lengths[ipVersion(target)] {
		if bits > target.Bits() {
			continue
		}
		wider, err := target.Addr().Prefix(bits)
		if err != nil {
			return false
		}
		if _, ok := t.entries[wider]; ok {
			return true
		}
	}
	return false
}

// standing returns a look at the kernel that is no older than age.
func (s *Server) standing(ctx context.Context, age time.Duration) (*kernelTable, error) {
	t, err := s.kernel.within(ctx, age)
	if err != nil {
		return nil, faultf(http.StatusServiceUnavailable, "kernel: %v", err)
	}
	return t, nil
}

// KernelPage is the answer to GET /security/iptables: the first action that writes to
// the kernel, and the others.
type KernelPage struct {
	status.Kernel
	More status.List[status.Kernel] `json:"more"`
}

// showKernel answers GET /security/iptables. Those who ask at the same moment
// share one look.
func (s *Server) showKernel(w http.ResponseWriter, r *http.Request) error {
	standing, err := s.standing(r.Context(), justNow)
	if err != nil {
		return err
	}
	var k KernelPage
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
