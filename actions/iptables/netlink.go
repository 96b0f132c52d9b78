package iptables

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds an operation on a socket, and in a list the wait for each part: 100,000 entries
// take some 50 ms, a million on a busy host more than 10 s.
const netlinkTimeout = 10 * time.Second

// listBuffer is the size of a buffer for the longest message of a list, in bytes.
// Without lists, a size of 0 allocates what each message needs.
const listBuffer = 64 << 10

// A socket is a netlink connection to netfilter. It is opened for one operation, which
// takes some 20 µs, and closed after it.
type socket struct {
	conn  *netlink.Conn
	until time.Time // the end of its context; zero: none
}

func dial(ctx context.Context, buffer int) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: buffer})
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	// Errors come without a copy of their request.
	_ = conn.SetOption(netlink.CapAcknowledge, true)
	s := &socket{conn: conn}
	s.until, _ = ctx.Deadline()
	if err := errors.Join(ctx.Err(), s.allow()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// allow gives what is done next its time.
func (s *socket) allow() error {
	limit := time.Now().Add(netlinkTimeout)
	if !s.until.IsZero() && s.until.Before(limit) {
		limit = s.until
	}
	return s.conn.SetDeadline(limit)
}

func (s *socket) close() { _ = s.conn.Close() }

// withSocket calls f with a socket.
func withSocket(ctx context.Context, buffer int, f func(*socket) error) error {
	s, err := dial(ctx, buffer)
	if err != nil {
		return err
	}
	defer s.close()
	return f(s)
}

func message(subsystem, command uint16, flags netlink.HeaderFlags, body []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(subsystem<<8 | command), Flags: netlink.Request | flags},
		Data:   body,
	}
}

// do carries out one command of ipset on a set. Without netlink.Excl, adding an entry
// that exists sets its timeout, and deleting one that does not is no error.
func (s *socket) do(verb, set string, command uint16, flags netlink.HeaderFlags, body []byte) error {
	_, err := s.conn.Execute(message(unix.NFNL_SUBSYS_IPSET, command, flags|netlink.Acknowledge, body))
	return ipsetError(verb, set, err)
}

// create creates a set of the kind of like.
func (s *socket) create(family uint8, like *set, name string, maxElem uint32) error {
	return s.do("create", name, cmdCreate, netlink.Create|netlink.Excl, appendCreate(nil, family, like, name, maxElem))
}

func (s *socket) destroy(set string) error {
	return s.do("destroy", set, cmdDestroy, 0, appendRequest(nil, unix.AF_INET, set))
}

// swap exchanges the names of two sets. Rules refer to the name.
func (s *socket) swap(a, b string) error {
	return s.do("swap", a, cmdSwap, 0, appendText(appendRequest(nil, unix.AF_INET, a), attrTypeName, b))
}

// knows fails unless the kernel has sets of a kind.
func (s *socket) knows(kind string) error {
	body := appendAttr(appendText(appendRequest(nil, unix.AF_INET, ""), attrTypeName, kind), attrFamily, unix.AF_INET)
	// The answer is a message; an acknowledgement would be a second one.
	_, err := s.conn.Execute(message(unix.NFNL_SUBSYS_IPSET, cmdType, 0, body))
	return ipsetError("look for type", kind, err)
}

// entries returns a set's header and calls each for its entries; nil: the kernel sends
// only the header. found is false if there is no such set.
func (s *socket) entries(set string, each func(entry)) (h setHeader, found bool, err error) {
	body := appendRequest(nil, unix.AF_INET, set)
	if each == nil {
		body = appendUint32(body, attrFlags, flagListHeader)
	}
	// With an acknowledgement, a missing set would be reported twice.
	if _, err = s.conn.Send(message(unix.NFNL_SUBSYS_IPSET, cmdList, netlink.Dump, body)); err != nil {
		return h, false, ipsetError("list", set, err)
	}
	for m, err := range s.conn.ReceiveIter() {
		if errors.Is(err, unix.ENOENT) {
			return h, false, nil
		}
		if err == nil {
			err = errors.Join(decodeList(m.Data, &h, each), s.allow())
		}
		if err != nil {
			return h, false, ipsetError("list", set, err)
		}
	}
	return h, h.typeName != "", nil
}

// send adds entries to a set (cmdAdd) or deletes them (cmdDel), in as few messages as
// possible. Refused entries are in refused with the reason, and do not affect the others.
func (s *socket) send(command uint16, family uint8, set string, entries []entry) (refused []error, err error) {
	verb := map[uint16]string{cmdAdd: "add to", cmdDel: "delete from"}[command]
	for len(entries) > 0 {
		// The kernel requires a line number beside a list.
		room := make([]byte, 0, min(len(entries)*mostOfEntry, maxList)+mostOfEntry+1<<8)
		body := appendUint32(appendRequest(room, family, set), attrLine, 0)
		list := len(body)
		body = appendNest(body, attrADT)
		n := 0
		for n < len(entries) && len(body)-list < maxList {
			body = appendEntry(body, entries[n], command == cmdDel)
			n++
		}
		closeNest(body, list)
		failed := s.do(verb, set, command, 0, body)
		switch {
		case failed == nil:
		case !isEntryError(failed):
			return refused, failed
		case n == 1:
			refused = append(refused, fmt.Errorf("%s: %w", entries[0].target, failed))
		default:
			// The kernel took the entries before the refused one; bisect.
			for _, half := range [][]entry{entries[:n/2], entries[n/2 : n]} {
				more, err := s.send(command, family, set, half)
				refused = append(refused, more...)
				if err != nil {
					return refused, err
				}
			}
		}
		entries = entries[n:]
	}
	return refused, nil
}

// isEntryError reports whether an error is about one entry, not about the set.
func isEntryError(err error) bool {
	for _, whole := range []error{unix.ENOENT, unix.EPERM, unix.ENOMEM, unix.ENOBUFS, errFull} {
		if errors.Is(err, whole) {
			return false
		}
	}
	var errno unix.Errno
	return errors.As(err, &errno)
}
