package siptest

import (
	"encoding/binary"
	"testing"

	"freeswitch-security/engine/golden"
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

// Recorded returns the packets of a recording of HEP, in a file.
func Recorded(t testing.TB, path string) (all []packet.Packet) {
	t.Helper()
	for b := golden.Read(t, path); len(b) > 0; {
		n := 4 + binary.BigEndian.Uint32(b)
		var p packet.Packet
		if err := hep.Decode(b[4:n], "", &p); err != nil {
			t.Fatal(err)
		}
		all, b = append(all, p), b[n:]
	}
	return all
}
