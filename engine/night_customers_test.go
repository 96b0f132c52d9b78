package engine

import (
	"fmt"
	"net/netip"
	"time"
)

// A customer is an honest account.
type customer struct {
	*nightSwitch
	user    string
	at      netip.AddrPort // where its phone is
	usual   []string       // numbers abroad that it calls
	plus    bool           // dials + instead of 00
	talkFor time.Duration  // the middle length of its calls
}

// customerOf makes an account with a phone at one place, which calls some numbers abroad.
func (s *nightSwitch) customerOf(life, user string, at netip.AddrPort, abroad []numberRange, numbers int) *customer {
	c := &customer{nightSwitch: s, user: user, at: at, talkFor: 3 * time.Minute}
	for range numbers {
		c.usual = append(c.usual, s.numberIn(abroad...))
	}
	s.lived[user] = life
	return c
}

// night returns the midnight before a day, counted from 0.
func midnight(day int) time.Time { return monday.AddDate(0, 0, day) }

func weekend(day int) bool { return day%7 >= 5 }

func (c *customer) abroad(number string) string {
	if c.plus {
		return "+" + number
	}
	return "00" + number
}

func (c *customer) national() string {
	if c.plus {
		return "+4930" + c.digits(7)
	}
	return oneOf(c.nightSwitch, "030", "089", "0171") + c.digits(7)
}

// talks has the customer call a number. One of eight is busy and dialled again, one of six is not
// answered, and one of thirty is lost and called again at once.
func (c *customer) talks(at time.Time, number string) {
	for range c.rand.IntN(9) / 7 * (1 + c.rand.IntN(4)) {
		at = c.dials(at, c.user, number, c.at, 0).ends.Add(5*time.Second + c.within(40*time.Second))
	}
	if c.rand.IntN(6) == 0 {
		c.dials(at, c.user, number, c.at, 0)
		return
	}
	call := c.dials(at, c.user, number, c.at, c.length())
	if c.rand.IntN(30) == 0 {
		c.dials(call.ends.Add(5*time.Second), c.user, number, c.at, c.length())
	}
}

// length returns the length of a call: most are shorter than the middle one, some much longer.
func (c *customer) length() time.Duration {
	return 5*time.Second + time.Duration(c.rand.ExpFloat64()*float64(c.talkFor))
}

// calls has the customer call so many numbers between two times of a day. Of a hundred numbers,
// abroad are of other countries, and rarely of one that is unusual.
func (c *customer) calls(day, count int, from, to time.Duration, abroad int) {
	for range count {
		at := midnight(day).Add(from + c.within(to-from))
		switch n := c.rand.IntN(100); {
		case n == 0 && abroad > 0:
			c.talks(at, c.abroad(c.numberIn(append(unusualAbroad, usualAbroad...)...)))
		case n <= abroad && len(c.usual) > 0:
			c.talks(at, c.abroad(oneOf(c.nightSwitch, c.usual...)))
		case n%2 == 0:
			c.talks(at, fmt.Sprint(1000+c.rand.IntN(60)))
		default:
			c.talks(at, c.national())
		}
	}
}

// accounts makes the fifty accounts of the site, and returns them: offices, homes, mobiles, and a phone
// with an old password.
func (s *nightSwitch) accounts() (all []*customer) {
	office := s.place(203, 0)
	for n := range 30 {
		at := netip.AddrPortFrom(office.Addr(), uint16(5060+n))
		c := s.customerOf("office", fmt.Sprint(1000+n), at, usualAbroad, s.rand.IntN(4))
		s.stays(midnight(0), midnight(nightDays), c.user, at)
		for day := range nightDays {
			if !weekend(day) {
				c.calls(day, 3+s.rand.IntN(8), 8*time.Hour, 18*time.Hour, 8)
			}
		}
		all = append(all, c)
	}
	for n := range 11 {
		abroad := usualAbroad
		if n < 2 { // a family from there
			abroad = cuba
		}
		c := s.customerOf("home", fmt.Sprint(1030+n), s.place(93, byte(200+n)), abroad, 2)
		c.talkFor = 10 * time.Minute
		s.stays(midnight(0), midnight(nightDays), c.user, c.at)
		for day := range nightDays {
			c.calls(day, s.rand.IntN(5), 16*time.Hour, 26*time.Hour, 30)
		}
		all = append(all, c)
	}
	for n := range 8 {
		all = append(all, s.mobile(fmt.Sprint(1041+n)))
	}
	return append(all, s.corrected("1049", office))
}

// mobile makes a phone that is in several networks each day.
func (s *nightSwitch) mobile(user string) *customer {
	c := s.customerOf("mobile", user, s.place(80, 187), usualAbroad, 2)
	c.plus = true
	home := s.place(84, 119)
	for day := range nightDays {
		for hour := 0; hour < 24; hour += 2 + s.rand.IntN(6) {
			at := midnight(day).Add(time.Duration(hour) * time.Hour)
			c.at = oneOf(s, home, home, s.place(80, 187), s.place(109, 41), s.place(46, 114))
			s.registers(at.Add(s.within(time.Minute)), user, c.at)
			if hour > 6 && s.rand.IntN(2) == 0 {
				c.talks(at.Add(time.Minute+s.within(time.Hour)), oneOf(s, c.national(), c.national(), c.abroad(oneOf(s, c.usual...))))
			}
		}
	}
	return c
}

// corrected makes a phone of an office that has an old password on the third day, until it is corrected.
// It calls abroad at once.
func (s *nightSwitch) corrected(user string, office netip.AddrPort) *customer {
	at := netip.AddrPortFrom(office.Addr(), 5999)
	c := s.customerOf("old password", user, at, usualAbroad, 2)
	for n := range 60 {
		s.fails(midnight(2).Add(9*time.Hour+time.Duration(n)*time.Minute), user, at)
	}
	begin := midnight(2).Add(10*time.Hour + 5*time.Minute)
	s.registers(begin, user, at)
	c.talks(begin.Add(time.Minute), c.abroad(c.usual[0]))
	c.talks(begin.Add(10*time.Minute), c.abroad(s.numberIn(unusualAbroad...)))
	s.stays(begin, midnight(nightDays), user, at)
	for day := 3; day < nightDays; day++ {
		if !weekend(day) {
			c.calls(day, 8, 8*time.Hour, 18*time.Hour, 10)
		}
	}
	return c
}

// dialer is the account of a dialer, which the site trusts. callCentre has twelve seats in one account,
// which works for a customer in another country on one day.
func (s *nightSwitch) dialer() {
	c := s.customerOf("dialer", "2000", s.place(10, 20), nil, 0)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	for _, day := range []int{3, 10} {
		for at := midnight(day).Add(9 * time.Hour); at.Before(midnight(day).Add(10 * time.Hour)); at = at.Add(5*time.Second + s.within(10*time.Second)) {
			c.dials(at, c.user, oneOf(s, c.national(), "00"+s.numberIn(usualAbroad...)), c.at, s.within(time.Minute)*time.Duration(s.rand.IntN(2)))
		}
	}
}

func (s *nightSwitch) callCentre() {
	c := s.customerOf("call centre", "2100", s.place(62, 80), usualAbroad, 5)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	for _, day := range []int{0, 2, 8} {
		for range 12 {
			for at := midnight(day).Add(9 * time.Hour); at.Before(midnight(day).Add(12 * time.Hour)); {
				number := c.national()
				if day == 2 { // for a customer in Poland
					number = "00" + s.numberIn(numberRange{"48512", 6}, numberRange{"4822", 7})
				}
				call := c.dials(at, c.user, number, c.at, c.length()*time.Duration(s.rand.IntN(3)))
				at = call.ends.Add(20*time.Second + s.within(5*time.Minute))
			}
		}
	}
}

// A journey of the salesman: from the morning of a day on he is in a country for three days.
type journey struct {
	day   int
	a, b  byte // the network of his hotel
	local []numberRange
}

// salesman travels. He calls home, and from each country its numbers, at its hours.
func (s *nightSwitch) salesman() {
	c := s.customerOf("salesman", "3000", s.place(93, 230), usualAbroad, 3)
	c.plus = true
	for _, j := range []journey{
		{0, 93, 230, usualAbroad}, {2, 177, 32, []numberRange{{"55113", 7}, {"551197", 7}}}, {5, 93, 230, usualAbroad},
		{7, 197, 215, sierraLeone}, {9, 41, 90, []numberRange{{"254712", 6}, {"25420", 7}}}, {11, 112, 79, []numberRange{{"9198", 8}}},
	} {
		c.at = s.place(j.a, j.b)
		begin := midnight(j.day).Add(7 * time.Hour)
		s.stays(begin, midnight(min(j.day+3, nightDays)), c.user, c.at)
		for day := j.day; day < min(j.day+2, nightDays); day++ {
			for range 6 + s.rand.IntN(6) {
				at := midnight(day).Add(8*time.Hour + s.within(18*time.Hour))
				c.talks(at, oneOf(s, c.national(), c.national(), "+"+s.numberIn(j.local...), "+"+s.numberIn(j.local...), c.abroad(c.usual[0])))
			}
		}
	}
}

// doctor is on call every third night, and calls hospitals abroad at about 3.
func (s *nightSwitch) doctor() {
	c := s.customerOf("doctor", "3100", s.place(93, 231), usualAbroad, 3)
	s.stays(midnight(0), midnight(nightDays), c.user, c.at)
	for day := 0; day < nightDays; day += 3 {
		for range 1 + s.rand.IntN(3) {
			at := midnight(day).Add(2*time.Hour + 30*time.Minute + s.within(90*time.Minute))
			c.talks(at, c.abroad(oneOf(s, c.usual[0], c.usual[1], c.usual[2], s.numberIn(unusualAbroad...))))
		}
		c.calls(day, 8, 8*time.Hour, 18*time.Hour, 10)
	}
}
