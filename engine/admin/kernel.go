package admin

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
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
	views   []KernelView
	entries map[netip.Prefix]KernelEntry // of all views; numbers are added up
	lengths [2][]int                     // that occur in entries, longest first: IPv4, IPv6

	packets, bytes uint64 // that all of them have stopped
	unread         bool   // not all of the kernel could be read: there may be more of everything
}

func newKernelTable(views []KernelView) *kernelTable {
	t := &kernelTable{views: views, entries: map[netip.Prefix]KernelEntry{}}
	var occurs [2][129]bool
	for _, v := range views {
		t.unread = t.unread || v.Unread
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
			occurs[family(e.Target)][e.Target.Bits()] = true
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

// family is 0 for IPv4, 1 for IPv6.
func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// covers tells whether the kernel stops all of a target.
func (t *kernelTable) covers(target netip.Prefix) bool {
	for _, bits := range t.lengths[family(target)] {
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

type kernelShape struct {
	Action    string             `json:"action"`
	Chain     string             `json:"chain"`
	Backend   string             `json:"backend"`
	Versions  list[string]       `json:"versions"`
	Jumps     list[jumpShape]    `json:"jumps"`
	Unread    bool               `json:"unread"`
	Count     *int               `json:"count"`
	Entries   list[entryShape]   `json:"entries"`
	Foreign   list[string]       `json:"foreign"`
	Warnings  list[string]       `json:"warnings"`
	Errors    list[string]       `json:"errors"`
	Drift     driftShape         `json:"drift"`
	LastApply applyShape         `json:"lastApply"`
	More      *list[kernelShape] `json:"more,omitempty"`
}

type jumpShape struct {
	Family   string `json:"family"`
	Hook     string `json:"hook"`
	Match    string `json:"match"`
	Position int    `json:"position"`
	Waiting  bool   `json:"waiting"`
}

type entryShape struct {
	IP        string   `json:"ip"`
	Packets   uint64   `json:"packets"`
	Bytes     uint64   `json:"bytes"`
	Remaining *float64 `json:"remainingSeconds"`
	Permanent bool     `json:"permanent"`
}

type driftShape struct {
	Count   uint64       `json:"count"`
	Missing int          `json:"missing"`
	Surplus int          `json:"surplus"`
	Notes   list[string] `json:"notes"`
}

type applyShape struct {
	At      moment  `json:"at"`
	Took    float64 `json:"tookSeconds"`
	Changes int     `json:"changes"`
}

func shapeOfView(v *KernelView) kernelShape {
	shape := kernelShape{
		Action: v.Action, Chain: v.Chain, Backend: v.Backend, Versions: v.Versions, Unread: v.Unread,
		Entries: make([]entryShape, 0, len(v.Entries)), Foreign: v.Foreign, Warnings: v.Warnings, Errors: v.Errors,
		Drift:     driftShape{v.Drifts, v.Missing, v.Surplus, v.Notes},
		LastApply: applyShape{moment(v.Applied), v.Took.Seconds(), v.Batch},
	}
	if n := len(v.Entries); !v.Unread {
		shape.Count = &n
	}
	for _, j := range v.Jumps {
		shape.Jumps = append(shape.Jumps, jumpShape(j))
	}
	for i := range v.Entries {
		e := &v.Entries[i]
		one := entryShape{IP: ban.FormatTarget(e.Target), Packets: e.Packets, Bytes: e.Bytes, Permanent: e.Permanent}
		if !e.Permanent && e.Remaining > 0 {
			seconds := e.Remaining.Seconds()
			one.Remaining = &seconds
		}
		shape.Entries = append(shape.Entries, one)
	}
	if v.LastError != "" {
		shape.Errors = append(shape.Errors[:len(shape.Errors):len(shape.Errors)], v.LastError)
	}
	return shape
}

// showKernel answers GET /security/iptables. Those who ask at the same moment
// share one look.
func (s *Server) showKernel(w http.ResponseWriter, r *http.Request) error {
	standing, err := s.standing(r.Context(), justNow)
	if err != nil {
		return err
	}
	var shapes []kernelShape
	for i := range standing.views {
		shapes = append(shapes, shapeOfView(&standing.views[i]))
	}
	if len(shapes) == 0 {
		none := KernelView{Warnings: []string{"no action that writes to the kernel runs: nothing is blocked"}}
		shapes = append(shapes, shapeOfView(&none))
	}
	first := shapes[0]
	more := list[kernelShape](shapes[1:])
	first.More = &more
	out := s.stream(w)
	out.allow()
	jsonHeader(w)
	out.value(first)
	out.text("\n")
	return nil
}
