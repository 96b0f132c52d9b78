package iptables

import (
	"context"
	"errors"
	"maps"
	"strings"

	"golang.org/x/sys/unix"
)

// The kernel numbers the states of nf_tables: every commit of any program increments
// the generation. While it is the same, nothing was flushed, deleted or moved. Reading
// it takes 20 µs; listing all tables starts two programs, and a new ban waits for
// them. iptables-legacy has no generation.

const (
	cmdGeneration  = 16 // NFT_MSG_GETGEN
	attrGeneration = 1  // NFTA_GEN_ID
)

// generation returns the present generation. It is 0 where that says nothing: the
// rules are not those of nf_tables, or the kernel does not tell.
func (a *Action) generation(ctx context.Context) uint32 {
	for _, f := range a.families {
		if f.tools == nil || !strings.Contains(f.tools.version, "nf_tables") {
			return 0
		}
	}
	var generation uint32
	// Without an answer, it is 0.
	_ = a.withKept(ctx, func(s *socket) (err error) {
		generation, err = s.generation()
		return err
	})
	return generation
}

// withKept calls f with a socket that stays open. To close one takes the kernel up to 50 ms after a
// commit that has deleted rules: it waits for readers of RCU, and lets no other commit begin.
func (a *Action) withKept(ctx context.Context, f func(*socket) error) (err error) {
	if a.kept == nil {
		if a.kept, err = dial(ctx, listBuffer); err != nil {
			return err
		}
	}
	a.kept.until, _ = ctx.Deadline()
	err = errors.Join(ctx.Err(), a.kept.allow())
	if err == nil {
		err = f(a.kept)
	}
	if err != nil { // the rest of an answer may be waiting
		a.kept.close()
		a.kept = nil
	}
	return err
}

// generation asks for the present generation.
func (s *socket) generation() (uint32, error) {
	answers, err := s.conn.Execute(message(unix.NFNL_SUBSYS_NFTABLES, cmdGeneration, 0, []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}))
	for _, m := range answers {
		var malformed bool
		for kind, value := range attrs(m.Data[min(4, len(m.Data)):], &malformed) {
			if kind == attrGeneration {
				return uint32(number(value)), nil
			}
		}
	}
	return 0, err
}

// unchanged reports whether the kernel has all rules that it should have without a
// look at them: nothing was committed since they were verified, and the bans are those
// of before, by family.
func (a *Action) unchanged(ctx context.Context, before []expiries) bool {
	if a.verifiedGen == 0 || a.backend != backendRules || a.choose(true) != backendRules {
		return false
	}
	for i, f := range a.families {
		if !f.inSync || !maps.Equal(before[i], f.desired.bans) {
			return false
		}
	}
	return a.generation(ctx) == a.verifiedGen
}
