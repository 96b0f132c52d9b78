package iptables

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// The kernel numbers the states of nf_tables: every commit, by whomever, is one
// more. While the number stands still nothing was flushed, deleted or moved, and a
// look at it costs some 20 µs where listing all tables costs two programs and
// keeps a new ban waiting for as long. iptables-legacy has no such number.

const (
	cmdGeneration  = 16 // NFT_MSG_GETGEN
	attrGeneration = 1  // NFTA_GEN_ID
)

// generation is the number of the present state of nf_tables.
func generation(ctx context.Context) (uint32, error) {
	s, err := dial(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer s.close()
	answers, err := s.conn.Execute(message(unix.NFNL_SUBSYS_NFTABLES, cmdGeneration, 0, []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}))
	if err != nil {
		return 0, fmt.Errorf("netlink: generation of nf_tables: %w", err)
	}
	var malformed bool
	for _, m := range answers {
		for kind, value := range attrs(m.Data[min(4, len(m.Data)):], &malformed) {
			if kind == attrGeneration {
				return uint32(number(value)), nil
			}
		}
	}
	return 0, errMalformed
}

// present is the generation, or 0 where it says nothing: the rules are not those
// of nf_tables, or the kernel does not tell.
func (a *Action) present(ctx context.Context) uint32 {
	for _, f := range a.families {
		if f.tools == nil || !strings.Contains(f.tools.version, "nf_tables") {
			return 0
		}
	}
	number, err := generation(ctx)
	if err != nil {
		return 0
	}
	return number
}

// untouched reports whether all rules still stand as they were left, and are all
// that should stand.
func (a *Action) untouched(ctx context.Context, before [2]map[netip.Prefix]end) bool {
	if a.intact == 0 || a.backend != backendRules || a.choose(a.desired.size(), true) != backendRules {
		return false
	}
	for _, f := range a.families {
		if !f.settled || !maps.Equal(before[f.index], a.desired.bans[f.index]) {
			return false
		}
	}
	return a.present(ctx) == a.intact
}
