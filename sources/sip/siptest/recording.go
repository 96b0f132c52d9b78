package siptest

import (
	"encoding/binary"

	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
)

// Recording returns packets as a recording of HEP datagrams, each behind its length.
func Recording(packets []packet.Packet) []byte {
	var all []byte
	for i := range packets {
		start := len(all)
		all = hep.Append(append(all, 0, 0, 0, 0), &packets[i])
		binary.BigEndian.PutUint32(all[start:], uint32(len(all)-start-4))
	}
	return all
}
