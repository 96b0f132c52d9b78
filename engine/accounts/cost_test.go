package accounts

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
)

// full returns a table of as many accounts.
func full(accounts, networks, destinations int) (*Table, time.Time) {
	t, now := NewTable(), time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range accounts {
		for n := range max(networks, destinations) {
			ev := event.Event{Time: now, Name: event.Call, Source: "esl.pbx", User: fmt.Sprint(100000 + i), Domain: "pbx.example",
				IP: netip.AddrFrom4([4]byte{10, byte(i), byte(n % networks), 7}), DestinationCountry: fmt.Sprint(n % destinations), DestinationType: "mobile",
				Fields: map[string]string{"variable_sip_authorized": "true"}}
			t.Learn(&ev, false, now)
		}
	}
	return t, now
}

// TestMemory holds the table to what doc.go says. With all lists full it takes 44 MB.
func TestMemory(t *testing.T) {
	before := golden.Heap()
	table, _ := full(maxAccounts, 2, 3)
	if used := (golden.Heap() - before) >> 20; used > 8 {
		t.Errorf("%d MB, want at most 8", used)
	}
	runtime.KeepAlive(table)
}
