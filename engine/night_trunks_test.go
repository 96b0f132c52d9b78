package engine

import (
	"fmt"
	"time"
)

// trunks are accounts that are no single phone, and customers that call as thieves do.
func (s *nightSwitch) trunks() {
	s.hotel()
	s.conference()
	s.pbx()
	s.faxes()
	s.alarm()
	s.school()
	s.agency()
	s.charity()
	s.impatient()
}

// hotel is a trunk whose guests call all over the world at any hour.
func (s *nightSwitch) hotel() {
	c := s.customerOf("hotel", "3300", s.place(62, 81), usualAbroad, 20)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	c.talkFor = 8 * time.Minute
	for day := range nightDays {
		c.calls(day, 15, 7*time.Hour, 26*time.Hour, 60)
		for range 3 {
			c.talks(midnight(day).Add(18*time.Hour+s.within(12*time.Hour)), "00"+s.numberIn(unusualAbroad...))
		}
	}
}

// conference is a trunk through which twelve people call a conference bridge abroad, each week; and once one in
// a country that none of them called before.
func (s *nightSwitch) conference() {
	c := s.customerOf("conference", "3500", s.place(62, 82), usualAbroad, 4)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	for _, one := range []struct {
		day    int
		bridge string
	}{{0, "442079460123"}, {7, "442079460123"}, {3, "6531581234"}, {9, "12127360000"}} {
		for range 12 {
			c.dials(midnight(one.day).Add(15*time.Hour+s.within(2*time.Minute)), c.user, "00"+one.bridge, c.at, 40*time.Minute+s.within(20*time.Minute))
		}
	}
	for day := range nightDays {
		c.calls(day, 10, 8*time.Hour, 18*time.Hour, 20)
	}
}

// pbx is a trunk with thirty channels, which forwards the calls for a manager to a mobile abroad.
func (s *nightSwitch) pbx() {
	c := s.customerOf("pbx", "3600", s.place(62, 83), usualAbroad, 30)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	manager := "00" + s.numberIn(numberRange{"34612", 6})
	for day := range nightDays {
		if weekend(day) {
			continue
		}
		c.calls(day, 60, 8*time.Hour, 18*time.Hour, 15)
		for range 10 {
			at := midnight(day).Add(9*time.Hour + s.within(8*time.Hour))
			for range 1 + s.rand.IntN(3) { // as many at once as his phone shows
				c.dials(at.Add(s.within(20*time.Second)), c.user, manager, c.at, c.length()*time.Duration(s.rand.IntN(2)))
			}
		}
	}
}

// faxes are sent at night, two at a time, to a list of customers in several countries. Busy ones are
// tried again.
func (s *nightSwitch) faxes() {
	c := s.customerOf("fax server", "3200", s.place(62, 84), nil, 0)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	for day := 1; day < nightDays; day += 4 {
		for range 2 {
			at := midnight(day).Add(22 * time.Hour)
			for range 25 {
				number := "00" + s.numberIn(numberRange{"4822", 7}, numberRange{"4822", 7}, numberRange{"390669", 6}, numberRange{"8133", 7}, numberRange{"30210", 7})
				for tries := 0; tries < 3; tries++ {
					call := c.dials(at, c.user, number, c.at, time.Duration(s.rand.IntN(3))*(40*time.Second+s.within(time.Minute)))
					at = call.ends.Add(10 * time.Second)
					if !call.answered.IsZero() {
						break
					}
				}
			}
		}
	}
}

// alarm is a system with a fault, which calls its station in Austria every minute for a night; on another
// day another one calls a mobile in Switzerland.
func (s *nightSwitch) alarm() {
	for n, station := range []string{"00431" + s.digits(7), "004179" + s.digits(7)} {
		c := s.customerOf("alarm", fmt.Sprint(3900+n), s.place(62, 85), nil, 0)
		s.stays(midnight(0), midnight(nightDays), c.user, c.at)
		for day := range nightDays { // its test call
			c.dials(midnight(day).Add(3*time.Hour), c.user, station, c.at, 20*time.Second)
		}
		for minute := range 240 {
			at := midnight(6 + n).Add(time.Hour + time.Duration(minute)*time.Minute)
			c.dials(at, c.user, station, c.at, 10*time.Second+s.within(20*time.Second))
		}
	}
}

// school calls all parents within minutes.
func (s *nightSwitch) school() {
	c := s.customerOf("school", "3400", s.place(62, 86), usualAbroad, 2)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	for n := range 120 {
		at := midnight(8).Add(7*time.Hour + time.Duration(n)*3*time.Second)
		number := "0171" + s.digits(7)
		if n%20 == 0 {
			number = "00" + s.numberIn(usualAbroad...)
		}
		c.dials(at, c.user, number, c.at, s.within(time.Minute))
	}
	for day := range nightDays {
		if !weekend(day) {
			c.calls(day, 15, 7*time.Hour, 17*time.Hour, 3)
		}
	}
}

// agency calls ships every day and at any hour, also two at once. A second account of it begins on the
// ninth day.
func (s *nightSwitch) agency() {
	for n, first := range []int{0, 8} {
		c := s.customerOf("agency", fmt.Sprint(4000+n), s.place(62, 87), ships, 12)
		s.stays(midnight(first), midnight(nightDays), c.user, c.at)
		for day := first; day < nightDays; day++ {
			for range 3 + s.rand.IntN(5) {
				at := midnight(day).Add(6*time.Hour + s.within(19*time.Hour))
				c.talks(at, c.abroad(oneOf(s, c.usual...)))
				if s.rand.IntN(6) == 0 { // a second line
					c.talks(at.Add(s.within(time.Minute)), c.abroad(oneOf(s, c.usual...)))
				}
			}
		}
	}
}

// charity has an office in Sierra Leone, and calls it with four lines of one account.
func (s *nightSwitch) charity() {
	c := s.customerOf("charity", "4100", s.place(62, 88), sierraLeone, 6)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	c.talkFor = 12 * time.Minute
	for day := range nightDays {
		for range 8 {
			at := midnight(day).Add(8*time.Hour + s.within(14*time.Hour))
			c.talks(at, c.abroad(oneOf(s, c.usual...)))
		}
	}
}

// impatient customers dial a busy number again and again; one of them calls Cuba for the first time, late, and
// the line drops twice.
func (s *nightSwitch) impatient() {
	for n, number := range []string{"0053" + s.digits(8), "00447400" + s.digits(6), "0088163" + s.digits(7)} {
		c := s.customerOf("impatient", fmt.Sprint(4200+n), s.place(93, byte(240+n)), nil, 0)
		s.stays(midnight(0), midnight(nightDays), c.user, c.at)
		at := midnight(5 + n).Add(22 * time.Hour)
		for range 15 {
			at = c.dials(at, c.user, number, c.at, 0).ends.Add(5*time.Second + s.within(20*time.Second))
		}
		for _, talk := range []time.Duration{4 * time.Minute, 7 * time.Minute, 20 * time.Minute} {
			at = c.dials(at, c.user, number, c.at, talk).ends.Add(10 * time.Second)
		}
		for day := range nightDays {
			c.calls(day, 3, 9*time.Hour, 20*time.Hour, 0)
		}
	}
}
