package iptables

import "time"

// A moveLimiter keeps two programs from moving their jumps above each other for ever:
// it allows moveBurst moves within an hour, and then one every moveEvery.
type moveLimiter struct{ moves []time.Time }

const (
	moveBurst = 20
	moveEvery = 5 * time.Minute
)

func (m *moveLimiter) allows(now time.Time) bool {
	for len(m.moves) > 0 && now.Sub(m.moves[0]) > time.Hour {
		m.moves = m.moves[1:]
	}
	n := len(m.moves)
	return n < moveBurst || now.Sub(m.moves[n-1]) >= moveEvery
}

func (m *moveLimiter) record(now time.Time) { m.moves = append(m.moves, now) }
