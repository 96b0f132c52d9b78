package learn

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

const (
	officeIP = "203.0.113.7"
	thiefIP  = "192.0.2.66"
)

// dial plays a call of an account that lasts until hang-up.
func (r *recording) dial(ip, user, number string) (hangUp func()) {
	r.at = r.at.Add(time.Second)
	uuid := fmt.Sprint(r.events)
	if r.twice {
		r.play(&event.Event{Time: r.at, Name: event.Call, Source: "sip.wire", IP: netip.MustParseAddr(ip), User: user, Domain: "pbx.example",
			Destination: number, Fields: map[string]string{"variable_sip_authorized": "true"}})
	}
	r.play(&event.Event{Time: r.at, Name: event.Call, Source: stream, IP: netip.MustParseAddr(ip), User: user, Domain: "pbx.example",
		UUID: uuid, Destination: number, Fields: map[string]string{"variable_sip_authorized": "true"}})
	return func() { r.play(&event.Event{Time: r.at, Name: event.CallEnded, Source: stream, UUID: uuid}) }
}

// workday plays a day of an office: two of its accounts call abroad, and one has three calls at once.
func (r *recording) workday() {
	r.office(officeIP)
	for hour := range 9 {
		r.at = r.at.Truncate(24 * time.Hour).Add(time.Duration(8+hour)*time.Hour + 10*time.Minute)
		for i := range 3 {
			r.dial(officeIP, fmt.Sprint(200+i), "0301234567")()
			r.dial(officeIP, fmt.Sprint(200+i), "004314277")()
		}
	}
	var ends []func()
	for range 3 {
		ends = append(ends, r.dial(officeIP, "202", "0301234567"))
	}
	for _, end := range ends {
		end()
	}
}

// words writes what the calls show.
func (t *Traffic) words() string {
	var out []string
	for _, c := range t.Countries {
		word := "uncertain"
		if c.Usual {
			word = "usual"
		}
		out = append(out, c.Code+" "+word)
	}
	for _, d := range t.Dialers {
		word := "uncertain"
		if d.Sure {
			word = "sure"
		}
		out = append(out, "dialer "+d.Name+" "+word)
	}
	return fmt.Sprintf("%s; at once %d; %s", strings.Join(out, ", "), t.Concurrent, t.Hours)
}

func TestTraffic(t *testing.T) {
	const ofOffice = "DE usual, AT usual; at once 5; Mon-Fri 08:00-17:00"
	abroad := func(r *recording, ip, user string, n int) {
		for range n {
			r.dial(ip, user, "00231770123456")
		}
	}
	dials := func(r *recording, ip, user, number string, n int) {
		r.register(ip, user)
		for i := range n {
			r.dial(ip, user, strings.Replace(number, "<n>", fmt.Sprintf("%05d", i), 1))()
		}
	}
	for name, c := range map[string]struct {
		play func(r *recording)
		want string
	}{
		"an office": {func(r *recording) {}, ofOffice},
		"a thief who guessed": {func(r *recording) {
			r.fail(thiefIP, "203", 4)
			r.register(thiefIP, "203")
			abroad(r, thiefIP, "203", 40)
		}, ofOffice},
		"a thief who tries others": {func(r *recording) {
			r.register(thiefIP, "205")
			r.register(thiefIP, "206")
			r.register(thiefIP, "207")
			for i := range 3 {
				r.fail(thiefIP, fmt.Sprint(300+i), 1)
			}
			abroad(r, thiefIP, "205", 10)
			abroad(r, thiefIP, "206", 10)
			abroad(r, thiefIP, "207", 10)
		}, ofOffice},
		"three accounts abroad on one day": {func(r *recording) {
			if r.at.Day() == 4 {
				r.dial(officeIP, "200", "00231770123456")()
				r.dial(officeIP, "201", "00231770123456")()
				r.dial(officeIP, "202", "00231770123456")()
			}
		}, "DE usual, AT usual, LR uncertain; at once 5; Mon-Fri 08:00-17:00"},
		"a call at night": {func(r *recording) {
			if r.at.Day() == 8 {
				r.at = r.at.Add(12 * time.Hour)
				r.dial(officeIP, "200", "0301234567")()
			}
		}, ofOffice},
		"a dialer in the evening": {func(r *recording) {
			r.at = r.at.Truncate(24 * time.Hour).Add(18 * time.Hour)
			for i := range 300 {
				r.at = r.at.Add(time.Minute)
				r.dial(officeIP, "203", fmt.Sprint("0301", 10000+i))
			}
		}, "DE usual, AT usual, dialer 203@pbx.example sure; at once 5; Mon-Fri 08:00-17:00"},
		"a thief that a rule noticed": {func(r *recording) {
			r.register(thiefIP, "203")
			abroad(r, thiefIP, "203", 40)
		}, "DE usual, AT usual, LR uncertain; at once 5; Mon-Fri 08:00-17:00"},
		"a thief with three accounts that a rule noticed": {func(r *recording) {
			for _, user := range []string{"205", "206", "207"} {
				r.register(thiefIP, user)
				abroad(r, thiefIP, user, 40)
			}
		}, "DE usual, AT usual, LR uncertain; at once 5; Mon-Fri 08:00-17:00"},
		"calls without a password": {func(r *recording) {
			for i := range 40 {
				r.play(&event.Event{Time: r.at, Name: event.Call, Source: stream, IP: netip.MustParseAddr(officeIP), User: fmt.Sprint(200 + i%3), Domain: "pbx.example",
					UUID: fmt.Sprint("x", i), Destination: "00231770123456"})
			}
		}, ofOffice},
		"lines in a log": {func(r *recording) {
			for i := range 40 {
				r.play(&event.Event{Time: r.at, Name: event.Call, Source: log, IP: netip.MustParseAddr(officeIP), User: fmt.Sprint(300 + i%3), Domain: "pbx.example",
					Destination: "00231770123456", Fields: map[string]string{"variable_sip_authorized": "true"}})
			}
		}, ofOffice},
		"one account abroad, slowly": {func(r *recording) { r.dial(officeIP, "200", "00231770123456")() }, "DE usual, AT usual, LR uncertain; at once 5; Mon-Fri 08:00-17:00"},
		"a dialer of the office": {func(r *recording) {
			dials(r, officeIP, "204", "0301<n>", 400)
		}, "DE usual, AT usual, dialer 204@pbx.example sure; at once 5; Mon-Fri 08:00-17:00"},
		"a dialer elsewhere": {func(r *recording) {
			dials(r, thiefIP, "204", "0301<n>", 400)
		}, "DE usual, AT usual, dialer 204@pbx.example uncertain; at once 5; Mon-Fri 08:00-17:00"},
		"a thief dials abroad":          {func(r *recording) { dials(r, officeIP, "204", "00231770<n>0", 400) }, "DE usual, AT usual, LR uncertain; at once 5; Mon-Fri 08:00-17:00"},
		"a thief dials premium numbers": {func(r *recording) { dials(r, officeIP, "204", "09001<n>0", 400) }, ofOffice},
		"a thief dials one number":      {func(r *recording) { dials(r, officeIP, "204", "030123456", 400) }, ofOffice},
	} {
		t.Run(name, func(t *testing.T) {
			fast := spec(t, "calls", "event == 'call' and fields['variable_sip_authorized'] == 'true'", perIP(30, time.Minute))
			fast.Threshold.Per, _ = rule.ParseKey([]string{"user@domain"})
			fast.Ban, fast.Alert = nil, &rule.Alert{}
			r := record(t, guessing(t), fast)
			r.twice = strings.Contains(name, "dialer of")
			r.daily(5, func() {
				r.workday()
				c.play(r)
			})
			f := r.Conclude()
			if got := f.Traffic.words(); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}
