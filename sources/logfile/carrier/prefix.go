package carrier

import (
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/regex"
)

const (
	isoStamp = `(?P<date>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(?P<zone>Z|[+-]\d\d:?\d\d)?`
	docker   = `(?P<date>\d{4}-\d\d-\d\d)T(?P<clock>\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?P<zone>Z|[+-]\d\d:\d\d) `
	months   = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
	days     = `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`
	// 2026 May  3 21:30:11, May  3 2026 21:30:11, May 03 21:30:11.034211, Sun May  3 21:30:11 2026
	classic = `(?:` + days + ` )?(?:(?P<year>\d{4}) )?(?P<day>` + months + ` [ \d]\d) (?:(?P<year>\d{4}) )?(?P<clock>\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?: (?P<year>\d{4}))?`
	// of journalctl: short-full, short-monotonic and short-delta, short-unix
	full      = days + ` (?P<date>\d{4}-\d\d-\d\d) (?P<clock>\d\d:\d\d:\d\d(?:\.\d{1,9})?) (?P<zone>[A-Z]{1,5}|[+-]\d{2,4})`
	monotonic = `\[ *\d+\.\d+(?: < *\d+\.\d+ >)?\]`
	unix      = `(?P<unix>\d{9,11}\.\d{6})`

	priority = `(?:<\d{1,3}>)?`
	word     = `[^\x00-\x20]+`
	program  = `[^\x00-\x20\[\]]+`
	solaris  = `(?:\[ID \d+ \w+\.\w+\] )?`
)

// The forms of lines with a prefix. The groups say what a part is; see matching.
const (
	// <28>1 2026-05-03T21:30:11.034211Z pbx freeswitch 812 - [a b="c"] …
	rfc5424 = `^(?:\d+ )?` + priority + `1 (?:` + isoStamp + `|-) (?P<writer>` + word + ` ` + word + `) ` + word + ` ` + word +
		` (?:-|(?:\[[^\]" ]+(?: [^\]"= ]+="(?:\\.|[^"\\])*")*\])+)(?: \x{feff}?|$)(?P<syslog>)`

	// May  3 21:30:11 pbx daemon.warning freeswitch[812]: [ID 702911 local0.warning] …
	syslog = `^` + priority + `(?:` + isoStamp + `|` + classic + `|` + full + `|` + monotonic + `|` + unix + `) (?:(?P<writer>` +
		word + ` (?:\w+\.\w+ )?` + program + `)(?:\[\d*\])?|(?P<writer>` + program + `)\[\d+\]):(?: |$)` + solaris + `(?P<syslog>)`

	// pbx freeswitch[812]: …
	untimed = `^` + priority + `(?P<writer>(?:` + word + ` )?` + program + `)\[\d+\]: (?P<syslog>)`

	// freeswitch-1  | …, [pod/fs-0/freeswitch] …
	compose = `^(?P<writer>[\w.@-]+ +\||\[pod/[\w./-]+\]) (?:` + docker + `)?`

	// 2026-05-03T21:30:13.034211123Z stdout F …
	cri = `^` + docker + `(?P<stream>stdout|stderr) (?P<part>[FP])(?: |$)`

	// 2026-05-03T21:30:13.034211123Z …
	timed = `^` + docker
)

// matching returns the parser of lines that begin with a form.
func matching(form string) func(string) (piece, bool) {
	head := regex.New(form)
	return func(line string) (p piece, ok bool) {
		m := head.Use().FindStringSubmatchIndex(line)
		if m == nil {
			return p, false
		}
		p.text, p.width = line[m[1]:], m[1]
		var year, date, clock, zone string
		for i, name := range head.Use().SubexpNames() {
			if name == "" || m[2*i] < 0 {
				continue
			}
			switch part := line[m[2*i]:m[2*i+1]]; name {
			case "date":
				date = part
			case "year":
				year = part + "-"
			case "day":
				day, _ := time.Parse("Jan _2", part)
				date = day.Format("01-02")
			case "clock":
				clock = strings.Replace(part, ",", ".", 1)
			case "zone":
				zone = part
			case "unix":
				seconds, micros, _ := strings.Cut(part, ".")
				s, _ := strconv.ParseInt(seconds, 10, 64)
				us, _ := strconv.ParseInt(micros, 10, 64)
				p.at = time.Unix(s, us*1000)
			case "writer":
				p.writer, p.stamp = part, m[2*i]
			case "stream":
				p.stream = part
			case "part":
				p.part = part == "P"
			case "syslog":
				p.syslog = true
			}
		}
		for _, layout := range []string{"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-0700", "2006-01-02 15:04:05-07", "2006-01-02 15:04:05UTC"} {
			if at, err := time.Parse(layout, date+" "+clock+zone); err == nil {
				p.at = at
				break
			}
		}
		if p.at.IsZero() && date != "" {
			p.local = year + date + " " + clock
		}
		return p, true
	}
}
