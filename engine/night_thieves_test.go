package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A thief calls from accounts of customers.
type thief struct {
	manner, goal string
	calls        []*nightCall
}

// pays are numbers of the kinds that pay most. Each manner calls another kind.
var pays = map[string]numberRange{
	"parallel": {"3719020", 4}, "steady": {"25261", 7}, "many accounts": {"23225", 6}, "rotating": {"88216", 8}, "patient": {"1767225", 4},
}

// A manner is how a thief goes about it.
type manner struct {
	name  string
	users int // accounts that it has
	steal func(s *nightSwitch, t *thief, users []string, night time.Time, number func() string)
}

var manners = []manner{
	{"parallel", 1, (*nightSwitch).parallel},
	{"steady", 1, (*nightSwitch).steady},
	{"many accounts", 12, (*nightSwitch).manyAccounts},
	{"rotating", 1, (*nightSwitch).rotating},
	{"patient", 1, (*nightSwitch).patient},
}

// goals are the two kinds of numbers: those that pay most, and mobiles of a country that customers call.
var goals = []string{"premium", "ordinary"}

// steal adds each manner with each goal, in nights of the second week.
func (s *nightSwitch) steal() {
	user, night := 1003, 8
	for _, goal := range goals {
		for _, m := range manners {
			t := &thief{manner: m.name, goal: goal}
			var users []string
			for range m.users {
				users = append(users, fmt.Sprint(user))
				user++
			}
			some := numberRange{"447400", 6}
			if goal == "premium" {
				some = pays[m.name]
			}
			m.steal(s, t, users, midnight(night).Add(23*time.Hour), func() string { return "00" + s.numberIn(some) })
			slices.SortFunc(t.calls, func(a, b *nightCall) int { return a.at.Compare(b.at) })
			s.thieves = append(s.thieves, t)
			if night++; night == nightDays-1 {
				night = 8
			}
		}
	}
}

// steals has a thief make a call. It is answered, and lasts until the thief is disturbed.
func (s *nightSwitch) steals(t *thief, at time.Time, user, number string, from netip.AddrPort, talk time.Duration) {
	c := s.dials(at, user, number, from, talk)
	c.thief = t
	t.calls = append(t.calls, c)
}

const wholeNight = 6 * time.Hour

// parallel calls one number 40 times at once, and again when a ban may be over.
func (s *nightSwitch) parallel(t *thief, users []string, night time.Time, number func() string) {
	from, one := s.place(185, 107), number()
	s.registers(night.Add(-time.Minute), users[0], from)
	for at := night; at.Before(night.Add(wholeNight)); at = at.Add(25 * time.Minute) {
		for range 40 {
			s.steals(t, at.Add(s.within(2*time.Second)), users[0], one, from, 20*time.Minute)
		}
	}
}

// steady guesses the password in a few tries, and then calls once a minute.
func (s *nightSwitch) steady(t *thief, users []string, night time.Time, number func() string) {
	from := s.place(45, 134)
	numbers := []string{number(), number(), number()}
	for n := range 6 {
		s.fails(night.Add(time.Duration(n-40)*4*time.Minute), users[0], from)
	}
	s.registers(night.Add(-time.Minute), users[0], from)
	for at := night; at.Before(night.Add(wholeNight)); at = at.Add(time.Minute) {
		s.steals(t, at, users[0], oneOf(s, numbers...), from, time.Minute+s.within(4*time.Minute))
	}
}

// manyAccounts calls one number once with each account.
func (s *nightSwitch) manyAccounts(t *thief, users []string, night time.Time, number func() string) {
	from, one := s.place(185, 108), number()
	for n, user := range users {
		at := night.Add(time.Duration(n) * 3 * time.Minute)
		s.registers(at, user, from)
		s.steals(t, at.Add(10*time.Second), user, one, from, 30*time.Minute)
	}
}

// rotating calls from another address each time.
func (s *nightSwitch) rotating(t *thief, users []string, night time.Time, number func() string) {
	for at := night; at.Before(night.Add(wholeNight)); at = at.Add(5*time.Minute + s.within(5*time.Minute)) {
		from := s.place(byte(100+s.rand.IntN(80)), byte(s.rand.IntN(250)))
		s.registers(at.Add(-20*time.Second), users[0], from)
		s.steals(t, at, users[0], number(), from, 15*time.Minute)
	}
}

// patient registers a week before, and makes some cheap calls, before its night.
func (s *nightSwitch) patient(t *thief, users []string, night time.Time, number func() string) {
	from := s.place(45, 135)
	for at := night.AddDate(0, 0, -7); at.Before(night); at = at.Add(2 * time.Hour) {
		s.registers(at, users[0], from)
	}
	for day := -7; day < 0; day++ {
		s.dials(night.AddDate(0, 0, day), users[0], "0049301234567", from, time.Minute)
		s.dials(night.AddDate(0, 0, day).Add(time.Hour), users[0], "0033142345678", from, time.Minute)
	}
	for at := night; at.Before(night.Add(wholeNight)); at = at.Add(2*time.Minute + s.within(2*time.Minute)) {
		s.steals(t, at, users[0], number(), from, 10*time.Minute+s.within(20*time.Minute))
	}
}
