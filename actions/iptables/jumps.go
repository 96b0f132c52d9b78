package iptables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// iptables takes some 3 ms to list a table and as much to change it, and meanwhile every banned
// address gets through a hook that was flushed. So the jumps are kept as the kernel shows them,
// and put back by one netlink message, with our chain if that is gone. The listing that follows
// verifies them.

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
	saved, chains, c := map[hook][]rawRule{}, map[string][]rawRule{}, &a.config
	err := a.withKept(ctx, func(s *socket) error {
		for _, table := range c.tables {
			rules, err := s.rules(f.af, hook{table.name, c.chain})
			if size := 0; err == nil {
				for _, r := range rules {
					size += len(r.expressions)
				}
				if size <= maxChain {
					chains[table.name] = rules
				}
			}
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
		f.keepJumps(saved, chains)
	}
}

// maxChain bounds the rules of our chain that are kept, in bytes: they fit one message.
const maxChain = 100 << 10

func (f *family) keepJumps(jumps map[hook][]rawRule, chains map[string][]rawRule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jumps, f.chains = jumps, chains
}

// numRestored counts the jumps restored since the tables were listed.
func (f *family) numRestored() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.restored)
}

// Losses are what one commit of another program has deleted of ours.
type losses struct {
	jumps  map[*family][]hook
	chains map[*family]map[string]bool // by table
}

func noLosses() losses { return losses{map[*family][]hook{}, map[*family]map[string]bool{}} }

// note notes the deletion of our chain, or of the first jump of a hook.
func (l *losses) note(a *Action, m netlink.Message) {
	isChain := m.Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELCHAIN
	if !isChain && m.Header.Type != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELRULE || len(m.Data) < 4 {
		return
	}
	var values [4]string
	var malformed bool
	for kind, value := range attrs(m.Data[4:], &malformed) {
		if int(kind) < len(values) {
			values[kind] = string(value)
		}
	}
	text := func(kind int) string { return strings.TrimRight(values[kind], "\x00") }
	for _, f := range a.families {
		f.mu.Lock()
		h := hook{text(unix.NFTA_RULE_TABLE), text(unix.NFTA_RULE_CHAIN)}
		switch rules := f.jumps[h]; {
		case f.af != m.Data[0]:
		case isChain && text(unix.NFTA_CHAIN_NAME) == a.config.chain:
			if l.chains[f] == nil {
				l.chains[f] = map[string]bool{}
			}
			l.chains[f][text(unix.NFTA_CHAIN_TABLE)] = true
		case !isChain && len(rules) > 0 && rules[0].handle == values[unix.NFTA_RULE_HANDLE]:
			l.jumps[f] = append(l.jumps[f], h)
		}
		f.mu.Unlock()
	}
}

// putBack puts back what a commit has deleted. The program that committed still holds the lock of
// nf_tables, and takes it again for some 10 ms when it closes its socket: this is next in line if it
// does not look first.
func (a *Action) putBack(s *socket, l losses) (err error) {
	for f, hooks := range l.jumps {
		f.mu.Lock()
		for _, h := range hooks {
			err = errors.Join(err, f.restore(s, h, a.config.chain, l.chains[f][h.table]))
			delete(l.chains[f], h.table)
		}
		f.mu.Unlock()
	}
	return err
}

// restore inserts the jumps of a hook, which are then not known as the kernel has them, and before
// them the chain if it is gone. f.mu is held.
func (f *family) restore(s *socket, h hook, chain string, gone bool) error {
	content, kept := f.chains[h.table]
	if gone && !kept {
		f.chainGone = true
		return nil
	}
	if !gone {
		chain, content = "", nil
	}
	err := errors.Join(s.allow(), s.insert(f.af, h, f.jumps[h], chain, content))
	p := plan{table: h.table}
	switch {
	case err == nil:
		if gone {
			p.note("chain %s was missing", chain)
		}
		p.note("jump from %s was missing", h.chain)
		f.restored = append(f.restored, p.notes...)
		delete(f.jumps, h)
	case gone, errors.Is(err, unix.ENOENT):
		f.chainGone = true
		if !gone {
			return nil
		}
	}
	return err
}

// restoreJumps puts the jumps back on top of hooks that have none.
func (a *Action) restoreJumps(s *socket) error {
	for _, f := range a.families {
		if err := f.restoreJumps(s, a.config.chain); err != nil {
			return err
		}
	}
	return nil
}

func (f *family) restoreJumps(s *socket, chain string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for h := range f.jumps {
		present, err := s.jumps(f.af, h, chain)
		if len(present) > 0 || err != nil && !errors.Is(err, unix.ENOENT) {
			continue
		}
		if err := f.restore(s, h, chain, false); err != nil {
			return err
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
func (s *socket) jumps(af uint8, h hook, chain string) ([]rawRule, error) {
	verdict := appendAttr(nil, unix.NFTA_VERDICT_CHAIN, append([]byte(chain), 0)...)
	rules, err := s.rules(af, h)
	return slices.DeleteFunc(rules, func(r rawRule) bool { return !bytes.Contains(r.expressions, verdict) }), err
}

// rules returns the rules of a chain.
func (s *socket) rules(af uint8, h hook) (found []rawRule, err error) {
	if _, err = s.conn.Send(message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_GETRULE, netlink.Dump, appendRule(af, h))); err != nil {
		return nil, err
	}
	for m, err := range s.conn.ReceiveIter() {
		if err != nil {
			return nil, err
		}
		var r rawRule
		var malformed bool
		for kind, value := range attrs(m.Data[min(4, len(m.Data)):], &malformed) {
			switch kind {
			case unix.NFTA_RULE_HANDLE:
				r.handle = string(value)
			case unix.NFTA_RULE_EXPRESSIONS:
				r.expressions = bytes.Clone(value)
			}
		}
		if r.expressions != nil {
			found = append(found, r)
		}
	}
	return found, nil
}

// insert inserts rules on top of a hook, all or none, after it has made a chain with its content; "":
// that exists.
func (s *socket) insert(af uint8, h hook, rules []rawRule, chain string, content []rawRule) error {
	batch := func(kind uint16) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request},
			Data:   binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, unix.NFNL_SUBSYS_NFTABLES),
		}
	}
	messages := []netlink.Message{batch(unix.NFNL_MSG_BATCH_BEGIN)}
	if chain != "" {
		body := appendText([]byte{af, unix.NFNETLINK_V0, 0, 0}, unix.NFTA_CHAIN_TABLE, h.table)
		body = appendText(body, unix.NFTA_CHAIN_NAME, chain)
		messages = append(messages, message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_NEWCHAIN, netlink.Create, body))
	}
	for _, r := range content {
		messages = append(messages, r.message(af, hook{h.table, chain}, netlink.Create|netlink.Append))
	}
	for _, r := range slices.Backward(rules) {
		messages = append(messages, r.message(af, h, netlink.Create|netlink.Acknowledge))
	}
	if _, err := s.conn.SendMessages(append(messages, batch(unix.NFNL_MSG_BATCH_END))); err != nil {
		return err
	}
	var missing error
	for range rules { // one answer for each
		if _, err := s.conn.Receive(); chain == "" && errors.Is(err, unix.ENOENT) {
			missing = err
		} else if err != nil {
			return err
		}
	}
	return missing
}

// message returns the message that makes a rule.
func (r *rawRule) message(af uint8, h hook, flags netlink.HeaderFlags) netlink.Message {
	body := appendAttr(appendRule(af, h), unix.NFTA_RULE_EXPRESSIONS|nested, r.expressions...)
	if r.protocol != 0 {
		start := len(body)
		body = appendNest(body, unix.NFTA_RULE_COMPAT)
		body = appendUint32(appendUint32(body, unix.NFTA_RULE_COMPAT_PROTO, uint32(r.protocol)), unix.NFTA_RULE_COMPAT_FLAGS, 0)
		closeNest(body, start)
	}
	return message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_NEWRULE, flags, body)
}
