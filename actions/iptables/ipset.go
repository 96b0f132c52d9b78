package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"freeswitch-security/engine/ban"

	"golang.org/x/sys/unix"
)

// The constants of ipset's netlink protocol, from linux/netfilter/ipset/ip_set.h.
// Numbers in a message are in network byte order, the headers of attributes in the
// host's. No maintained library sends many entries in one message or restores counters:
// with one message each, 100,000 entries take 100,000 system calls.
const (
	// ipsetProtocol 6 is supported since Linux 2.6.39. Version 7 only adds commands
	// that are not used here.
	ipsetProtocol = 6
	// The first revisions of hash:net and hash:ip,port with counters (Linux 3.10).
	// Revision 0 would silently drop them.
	netRevision  = 3
	portRevision = 2

	cmdCreate  = 2
	cmdDestroy = 3
	cmdSwap    = 6
	cmdList    = 7
	cmdAdd     = 9
	cmdDel     = 10
	cmdType    = 13

	attrProtocol = 1
	attrSetName  = 2
	attrTypeName = 3 // in a swap: the second name
	attrRevision = 4
	attrFamily   = 5
	attrFlags    = 6
	attrData     = 7
	attrADT      = 8 // a list of attrData, one for each entry
	attrLine     = 9

	dataIP         = 1
	dataCIDR       = 3
	dataPort       = 4
	dataTimeout    = 6
	dataProtocol   = 7
	dataFlags      = 8
	dataHashSize   = 18
	dataMaxElem    = 19
	dataReferences = 25 // of a set
	dataBytes      = 24 // of an entry
	dataPackets    = 25 // of an entry

	addrIPv4 = 1
	addrIPv6 = 2

	flagListHeader   = 1 << 2 // in attrFlags: no entries
	flagWithCounters = 1 << 3 // in dataFlags

	nested       = unix.NLA_F_NESTED
	networkOrder = unix.NLA_F_NET_BYTEORDER
	attrType     = ^uint16(nested | networkOrder)
)

// maxTimeout is the longest timeout of an entry in seconds: 24.8 days. The kernel
// silently shortens longer ones.
const maxTimeout = 2147483

// maxList bounds the entries of one message, in bytes: an attribute's length has 16 bits.
const maxList = 60000

// mostOfEntry is the most bytes that an entry takes: of an IPv6 endpoint with counters.
const mostOfEntry = 88

// An entry is one element of a set.
type entry struct {
	target  ban.Target
	timeout uint32 // seconds; 0: permanent
	packets uint64
	bytes   uint64
}

// A setHeader describes a set.
type setHeader struct {
	typeName string
	family   uint8
	maxElem  uint32
	counters bool
	timeouts bool
	users    uint32 // rules that refer to it
}

func appendAttr(b []byte, kind uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendUint32(b []byte, kind uint16, v uint32) []byte {
	b = binary.NativeEndian.AppendUint16(b, 8)
	b = binary.NativeEndian.AppendUint16(b, kind|networkOrder)
	return binary.BigEndian.AppendUint32(b, v)
}

func appendUint64(b []byte, kind uint16, v uint64) []byte {
	b = binary.NativeEndian.AppendUint16(b, 12)
	b = binary.NativeEndian.AppendUint16(b, kind|networkOrder)
	return binary.BigEndian.AppendUint64(b, v)
}

func appendText(b []byte, kind uint16, s string) []byte {
	return appendAttr(b, kind, append([]byte(s), 0)...)
}

// appendNest opens an attribute of attributes. closeNest, given the length of b before
// it, writes the attribute's length.
func appendNest(b []byte, kind uint16) []byte { return appendAttr(b, kind|nested) }

func closeNest(b []byte, start int) {
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
}

// appendRequest begins a message about a set: netfilter's header, the protocol, the
// name.
func appendRequest(b []byte, family uint8, set string) []byte {
	b = append(b, family, unix.NFNETLINK_V0, 0, 0)
	b = appendAttr(b, attrProtocol, ipsetProtocol)
	if set != "" {
		b = appendText(b, attrSetName, set)
	}
	return b
}

// appendEntry appends one entry. Counters of 0 are left out, so that an entry that
// exists keeps its own.
func appendEntry(b []byte, e entry, forDelete bool) []byte {
	start := len(b)
	b = appendNest(b, attrData)
	ip := len(b)
	b = appendNest(b, dataIP)
	if addr := e.target.Prefix().Addr(); addr.Is4() {
		a := addr.As4()
		b = appendAttr(b, addrIPv4|networkOrder, a[:]...)
	} else {
		a := addr.As16()
		b = appendAttr(b, addrIPv6|networkOrder, a[:]...)
	}
	closeNest(b, ip)
	if a, protocol, ok := e.target.Endpoint(); ok {
		b = appendAttr(b, dataPort|networkOrder, binary.BigEndian.AppendUint16(nil, a.Port())...)
		b = appendAttr(b, dataProtocol, uint8(protocol))
	} else {
		b = appendAttr(b, dataCIDR, uint8(e.target.Prefix().Bits()))
	}
	if !forDelete {
		b = appendUint32(b, dataTimeout, e.timeout)
		if e.packets > 0 {
			b = appendUint64(b, dataPackets, e.packets)
			b = appendUint64(b, dataBytes, e.bytes)
		}
	}
	closeNest(b, start)
	return b
}

// appendCreate appends the creation of a set of the kind of like, with timeouts and counters. A hash of
// a quarter of its entries is not rehashed while it fills; rehashing would take most
// of the kernel's time.
func appendCreate(b []byte, family uint8, like *set, name string, maxElem uint32) []byte {
	b = appendRequest(b, family, name)
	b = appendText(b, attrTypeName, like.kind)
	b = appendAttr(b, attrRevision, like.revision)
	b = appendAttr(b, attrFamily, family)
	start := len(b)
	b = appendNest(b, attrData)
	b = appendUint32(b, dataHashSize, max(maxElem/4, minEntries))
	b = appendUint32(b, dataMaxElem, maxElem)
	b = appendUint32(b, dataTimeout, 0)
	b = appendUint32(b, dataFlags, flagWithCounters)
	closeNest(b, start)
	return b
}

var errMalformed = errors.New("malformed netlink attribute")

// attrs yields the kinds, without their flags, and the values of the attributes
// in b. It sets malformed and stops where b holds none.
func attrs(b []byte, malformed *bool) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(binary.NativeEndian.Uint16(b))
			if n < 4 || n > len(b) {
				*malformed = true
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&attrType, b[4:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// decodeList reads one message of a list: the set's header, which only the first
// message has, and entries.
func decodeList(b []byte, h *setHeader, each func(entry)) error {
	if len(b) < 4 {
		return errMalformed
	}
	var malformed bool
	for kind, value := range attrs(b[4:], &malformed) {
		switch kind {
		case attrTypeName:
			h.typeName = unix.ByteSliceToString(value)
		case attrFamily:
			h.family = uint8(number(value))
		case attrData:
			decodeHeader(value, h, &malformed)
		case attrADT:
			for _, value := range attrs(value, &malformed) {
				if e := decodeEntry(value, &malformed); !malformed {
					each(e)
				}
			}
		}
	}
	if malformed {
		return errMalformed
	}
	return nil
}

func decodeHeader(b []byte, h *setHeader, malformed *bool) {
	for kind, value := range attrs(b, malformed) {
		v := number(value)
		switch kind {
		case dataMaxElem:
			h.maxElem = uint32(v)
		case dataTimeout:
			h.timeouts = true
		case dataFlags:
			h.counters = v&flagWithCounters != 0
		case dataReferences:
			h.users = uint32(v)
		}
	}
}

func decodeEntry(b []byte, malformed *bool) (e entry) {
	var addr netip.Addr
	var port uint16
	var protocol ban.Protocol
	bits := -1
	for kind, value := range attrs(b, malformed) {
		switch kind {
		case dataIP:
			for _, value := range attrs(value, malformed) {
				addr, _ = netip.AddrFromSlice(value)
			}
		case dataCIDR:
			bits = int(number(value))
		case dataPort:
			port = uint16(number(value))
		case dataProtocol:
			protocol = ban.Protocol(number(value))
		case dataTimeout:
			e.timeout = uint32(number(value))
		case dataPackets:
			e.packets = number(value)
		case dataBytes:
			e.bytes = number(value)
		}
	}
	if bits < 0 { // a single address has none
		bits = addr.BitLen()
	}
	if e.target = ban.Network(netip.PrefixFrom(addr, bits)); e.target.IsValid() && port != 0 {
		e.target = ban.Endpoint(netip.AddrPortFrom(addr, port), protocol)
	}
	*malformed = *malformed || !e.target.IsValid()
	return e
}

// number reads a number of up to 8 bytes, in network order.
func number(b []byte) (n uint64) {
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return n
}

// errFull is the kernel's error for a set with maxElem entries.
const errFull = unix.Errno(4352)

// ipsetErrors describes those of ipset's own error numbers that can occur.
var ipsetErrors = map[unix.Errno]string{
	4098:    "this kernel does not have the set type",
	4100:    "the set is in use",
	4108:    "the set is in use by a rule",
	errFull: "the set is full",
}

// ipsetError wraps an error of the kernel with its description; nil stays nil.
func ipsetError(action, set string, err error) error {
	if err == nil {
		return nil
	}
	var errno unix.Errno
	errors.As(err, &errno)
	switch {
	case errno == unix.EPERM:
		return fmt.Errorf("ipset %s %s: %w: %s", action, set, errno, whyDenied())
	case ipsetErrors[errno] != "":
		return fmt.Errorf("ipset %s %s: %s: %w", action, set, ipsetErrors[errno], errno)
	}
	return fmt.Errorf("ipset %s %s: %w", action, set, err)
}
