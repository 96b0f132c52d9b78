package exchange

import (
	"net/netip"

	"freeswitch-security/engine/dedup"
)

// Each half of the tables of nonces holds so many: 20 MB in all.
const (
	maxFresh    = 65_536
	maxAccepted = 32_768
)

// nonces holds to which address the switch sent each nonce, by hash.
//
// A nonce with which credentials were accepted moves to a table of its own. A sender of forged
// requests never sees the nonces, so it evicts fresh ones only: that takes 65,536 challenges
// between a challenge and its credentials, which are a second apart.
type nonces struct {
	fresh, accepted dedup.Cache[uint64, recipient]
}

// A recipient is the address to which a nonce was sent. It has no pointer, which spares the
// garbage collector the tables. The zero value stands for several addresses: some switches send
// one nonce to all peers within a second. Such a nonce proves no address.
type recipient [16]byte

func newNonces() nonces {
	return nonces{
		fresh:    dedup.Cache[uint64, recipient]{Half: maxFresh},
		accepted: dedup.Cache[uint64, recipient]{Half: maxAccepted},
	}
}

// send notes that the switch sent a nonce.
func (n *nonces) send(nonce uint64, to netip.Addr) {
	at := recipient(to.As16())
	for _, table := range []*dedup.Cache[uint64, recipient]{&n.accepted, &n.fresh} {
		if before, known := table.Get(nonce); known {
			if before != at {
				table.Put(nonce, recipient{})
			}
			return
		}
	}
	n.fresh.Put(nonce, at)
}

// find returns the address to which a nonce was sent, which is invalid if there are several, and
// whether the switch sent it.
func (n *nonces) find(nonce uint64) (addr netip.Addr, known bool) {
	at, known := n.accepted.Get(nonce)
	if !known {
		at, known = n.fresh.Get(nonce)
	}
	if !known || at == (recipient{}) {
		return netip.Addr{}, known
	}
	return netip.AddrFrom16(at).Unmap(), true
}

// accept notes that credentials with a nonce were accepted.
func (n *nonces) accept(nonce uint64) {
	at, known := n.fresh.Take(nonce)
	if !known {
		at, known = n.accepted.Get(nonce)
	}
	if known {
		n.accepted.Put(nonce, at)
	}
}
