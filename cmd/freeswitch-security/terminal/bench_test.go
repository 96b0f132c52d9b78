package terminal

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

// aChange is a ban for as many failures as a change has evidence at most.
func aChange() *ban.Change {
	at := time.Date(2026, 3, 1, 23, 15, 0, 341855000, time.UTC)
	ip := netip.MustParseAddr("203.0.113.7")
	c := &ban.Change{Seq: 7, Kind: ban.KindBan, At: at, Ban: ban.Ban{
		Target: ban.Address(ip), Rule: "slow password guessing", Source: "log.freeswitch", Author: ban.ByRule, Key: "203.0.113.7",
		Reason: "20 in 12h, per ip 203.0.113.7", Offence: 1, Term: ban.Term(time.Hour), Start: at, Until: at.Add(time.Hour),
	}}
	for range 20 {
		c.Evidence = append(c.Evidence, ban.Evidence{
			Time: at, Event: "auth_failure", Source: "log.freeswitch", IP: ip, User: "1000", Domain: "10.77.0.10",
			Text: "2026-03-01 23:15:00.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip 203.0.113.7",
		})
	}
	return c
}

func BenchmarkChanges(b *testing.B) {
	show, c := Changes(io.Discard), aChange()
	b.ReportAllocs()
	for b.Loop() {
		_ = show(c)
	}
}

func BenchmarkObject(b *testing.B) {
	c := aChange()
	b.ReportAllocs()
	for b.Loop() {
		_ = Object(io.Discard, c)
	}
}
