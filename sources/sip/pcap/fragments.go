package pcap

import (
	"bytes"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"
)

// fragments holds the fragments of datagrams that are not complete yet. The libraries bound the
// fragments of one datagram, not the number of datagrams: after 32 MB of fragments all are
// discarded. That loses the few datagrams that are under way at that moment.
type fragments struct {
	ip4   *ip4defrag.IPv4Defragmenter
	ip6   *ip6defrag.IPv6Defragmenter
	held  int       // bytes since the last reset, at most
	swept time.Time // when old fragments were discarded last
}

const (
	maxFragments = 32 << 20
	fragmentCost = 512              // memory of a fragment beside its bytes
	fragmentLife = 30 * time.Second // as Linux has it
)

func (f *fragments) reset() {
	f.ip4, f.ip6, f.held = ip4defrag.NewIPv4Defragmenter(), ip6defrag.NewIPv6Defragmenter(), 0
}

// join takes the fragment that d has just read. With the last one of a datagram it returns the
// type of what is in the datagram, and its bytes; before, nil.
func (f *fragments) join(layer gopacket.LayerType, d *decoder, at time.Time) (gopacket.LayerType, []byte) {
	if f.held += len(d.ip4.Payload) + len(d.piece6.Payload) + fragmentCost; f.held > maxFragments {
		f.reset()
	}
	if layer == layers.LayerTypeIPv6Fragment {
		piece, head := d.piece6, d.ip6
		piece.Payload = bytes.Clone(piece.Payload)
		head.SrcIP, head.DstIP = bytes.Clone(head.SrcIP), bytes.Clone(head.DstIP)
		if whole := f.ip6.DefragIPv6(&head, &piece); whole != nil {
			return whole.NextHeader.LayerType(), whole.Payload
		}
		return gopacket.LayerTypeZero, nil
	}
	if at.Sub(f.swept).Abs() > fragmentLife {
		f.ip4.DiscardOlderThan(at.Add(-fragmentLife)) // numbers of IPv4 datagrams are used again soon
		f.swept = at
	}
	frame := d.ip4.Contents[:len(d.ip4.Contents)+len(d.ip4.Payload)]
	piece := new(layers.IPv4)
	if piece.DecodeFromBytes(bytes.Clone(frame), d) != nil {
		return gopacket.LayerTypeZero, nil
	}
	whole, err := f.ip4.DefragIPv4WithTimestamp(piece, at)
	if whole == nil || err != nil {
		return gopacket.LayerTypeZero, nil // a fragment that contradicts another one is discarded with it
	}
	return whole.NextLayerType(), whole.Payload
}
