package iptables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// iptables takes some 3 ms to list a table and as much to change it, and meanwhile every banned
// address gets through a hook that was flushed. So the jumps are kept as the kernel shows them,
// and put back by one netlink message. The listing that follows verifies them.

// A rawRule is what the kernel shows of a jump.
type rawRule struct {
	handle      string // the kernel's number of the rule: one that is written again has another
	expressions []byte
	protocol    uint8 // that its matches of xtables are checked against; 0: any
}

// saveJumps keeps the jumps of a family that has all of them. It keeps none where that cannot
// be: iptables-legacy.
func (a *Action) saveJumps(ctx context.Context, f *family) {
	if !strings.Contains(f.tools.version, "nf_tables") {
		return
	}
	saved, c := map[hook][]rawRule{}, &a.config
	err := a.withKept(ctx, func(s *socket) error {
		for _, table := range c.tables {
			for _, name := range table.hooks {
				h := hook{table.name, name}
				rules, err := s.jumps(f.af, h, c.chain)
				if err == nil && len(rules) == len(c.matches) {
					for i := range rules {
						rules[i].protocol = protocolOf(c.matches[i])
					}
					saved[h] = rules
				}
			}
		}
		return nil
	})
	if err == nil {
		f.keepJumps(saved)
	}
}

func (f *family) keepJumps(jumps map[hook][]rawRule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jumps = jumps
}

// numRestored counts the jumps restored since the tables were listed.
func (f *family) numRestored() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.restored)
}

// putBack puts the jumps of a hook back as soon as the kernel reports the deletion of the first. The
// program that has deleted them still holds the lock of nf_tables, and takes it again for some 10 ms
// when it closes its socket: this is next in line if it does not look first.
func (a *Action) putBack(s *socket, messages []netlink.Message) (err error) {
	for _, m := range messages {
		if m.Header.Type != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELRULE || len(m.Data) < 4 {
			continue
		}
		var h hook
		var handle string
		var malformed bool
		for kind, value := range attrs(m.Data[4:], &malformed) {
			switch kind {
			case unix.NFTA_RULE_TABLE:
				h.table = string(bytes.TrimRight(value, "\x00"))
			case unix.NFTA_RULE_CHAIN:
				h.chain = string(bytes.TrimRight(value, "\x00"))
			case unix.NFTA_RULE_HANDLE:
				handle = string(value)
			}
		}
		for _, f := range a.families {
			f.mu.Lock()
			if rules := f.jumps[h]; f.af == m.Data[0] && len(rules) > 0 && rules[0].handle == handle {
				err = errors.Join(err, f.restore(s, h))
			}
			f.mu.Unlock()
		}
	}
	return err
}

// restore inserts the jumps of a hook, which are then not known as the kernel has them. f.mu is held.
func (f *family) restore(s *socket, h hook) error {
	err := errors.Join(s.conn.SetDeadline(time.Now().Add(netlinkTimeout)), s.insert(f.af, h, f.jumps[h]))
	switch {
	case err == nil:
		p := plan{table: h.table}
		p.note("jump from %s was missing", h.chain)
		f.restored = append(f.restored, p.notes...)
		delete(f.jumps, h)
	case errors.Is(err, unix.ENOENT):
		f.chainGone = true
		return nil
	}
	return err
}

// restoreJumps puts the jumps back on top of hooks that have none.
func (a *Action) restoreJumps(s *socket) error {
	for _, f := range a.families {
		f.mu.Lock()
		defer f.mu.Unlock()
		for h := range f.jumps {
			present, err := s.jumps(f.af, h, a.config.chain)
			if len(present) > 0 || err != nil && !errors.Is(err, unix.ENOENT) {
				continue
			}
			if err := f.restore(s, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewritten reports whether another program has written the jumps again, as iptables-restore does.
func (a *Action) rewritten(ctx context.Context, f *family) (found bool) {
	f.mu.Lock()
	jumps := maps.Clone(f.jumps)
	f.mu.Unlock()
	if len(jumps) == 0 {
		return false // not known
	}
	err := a.withKept(ctx, func(s *socket) error {
		for h, rules := range jumps {
			present, err := s.jumps(f.af, h, a.config.chain)
			found = found || err != nil || !slices.EqualFunc(rules, present, func(a, b rawRule) bool { return a.handle == b.handle })
		}
		return nil
	})
	return found || err != nil
}

// blank returns the listing of a table in which nothing is ours; nil where a hook may not exist.
func (t table) blank() listing {
	l := listing{}
	for _, name := range t.hooks {
		if !slices.Contains(builtins[t.name], name) {
			return nil
		}
		l[name] = nil
	}
	return l
}

// protocolOf returns the number of the protocol of a jump's match.
func protocolOf(match string) uint8 {
	switch {
	case strings.HasPrefix(match, "-p udp"):
		return unix.IPPROTO_UDP
	case strings.HasPrefix(match, "-p tcp"):
		return unix.IPPROTO_TCP
	}
	return 0
}

// appendRule begins a message about the rules of a hook.
func appendRule(af uint8, h hook) []byte {
	b := []byte{af, unix.NFNETLINK_V0, 0, 0}
	return appendText(appendText(b, unix.NFTA_RULE_TABLE, h.table), unix.NFTA_RULE_CHAIN, h.chain)
}

// jumps returns the rules of a hook that jump to a chain.
func (s *socket) jumps(af uint8, h hook, chain string) (found []rawRule, err error) {
	if _, err = s.conn.Send(message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_GETRULE, netlink.Dump, appendRule(af, h))); err != nil {
		return nil, err
	}
	verdict := appendAttr(nil, unix.NFTA_VERDICT_CHAIN, append([]byte(chain), 0)...)
	for m, err := range s.conn.ReceiveIter() {
		if err != nil {
			return nil, err
		}
		var r rawRule
		var malformed bool
		for kind, value := range attrs(m.Data[min(4, len(m.Data)):], &malformed) {
			switch {
			case kind == unix.NFTA_RULE_HANDLE:
				r.handle = string(value)
			case kind == unix.NFTA_RULE_EXPRESSIONS && bytes.Contains(value, verdict):
				r.expressions = bytes.Clone(value)
			}
		}
		if r.expressions != nil {
			found = append(found, r)
		}
	}
	return found, nil
}

// insert inserts rules on top of a hook, all or none.
func (s *socket) insert(af uint8, h hook, rules []rawRule) error {
	batch := func(kind uint16) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request},
			Data:   binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, unix.NFNL_SUBSYS_NFTABLES),
		}
	}
	messages := []netlink.Message{batch(unix.NFNL_MSG_BATCH_BEGIN)}
	for _, r := range slices.Backward(rules) {
		body := appendAttr(appendRule(af, h), unix.NFTA_RULE_EXPRESSIONS|nested, r.expressions...)
		if r.protocol != 0 {
			start := len(body)
			body = appendNest(body, unix.NFTA_RULE_COMPAT)
			body = appendUint32(appendUint32(body, unix.NFTA_RULE_COMPAT_PROTO, uint32(r.protocol)), unix.NFTA_RULE_COMPAT_FLAGS, 0)
			closeNest(body, start)
		}
		messages = append(messages, message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Acknowledge, body))
	}
	if _, err := s.conn.SendMessages(append(messages, batch(unix.NFNL_MSG_BATCH_END))); err != nil {
		return err
	}
	var missing error
	for range rules { // one answer for each
		if _, err := s.conn.Receive(); errors.Is(err, unix.ENOENT) {
			missing = err
		} else if err != nil {
			return err
		}
	}
	return missing
}
