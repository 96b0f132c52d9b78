package main

import (
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// The reference reads a recording without sources and rules of the product: the events and log records
// of the event socket, each of which is a message of its own and cannot contain another.

// An act is one report about an address.
type act struct {
	at      time.Time
	failure bool   // credentials were refused
	account string // that failed: "1000@pbx"; "" for a call, which has only a number
}

// acts are the reports about each address, in the order of the recording.
type acts map[netip.Addr][]act

func (a acts) note(address string, one act) {
	if ip, _, ok := event.ParseAddr(address); ok {
		a[ip] = append(a[ip], one)
	}
}

// with adds the addresses that only the other reference has. On the others, the first counts better.
func (a acts) with(more acts) acts {
	joined := maps.Clone(more)
	maps.Copy(joined, a)
	return joined
}

// An eventOf is the fields of an event that the reference reads.
type eventOf struct {
	Name      string `json:"Event-Name"`
	Subclass  string `json:"Event-Subclass"`
	IP        string `json:"network-ip"`
	ToUser    string `json:"to-user"`
	ToHost    string `json:"to-host"`
	Kind      string `json:"registration-type"`
	Abandoned string `json:"network_ip"`
	Verto     string `json:"verto_client_address"`
	Success   string `json:"verto_success"`
	Caller    string `json:"Caller-Network-Addr"`
	Direction string `json:"Call-Direction"`
	Channel   string `json:"Channel-Name"`
}

// inEvents reads the events of an event socket.
func inEvents(t *testing.T, sent []frame) acts {
	t.Helper()
	found := acts{}
	for _, f := range sent {
		if !strings.Contains(f.headers, "text/event-json") {
			continue
		}
		var e eventOf
		if err := json.Unmarshal(f.body, &e); err != nil {
			continue // bytes of a caller that are not JSON
		}
		one := act{at: f.at}
		switch {
		case e.Subclass == "sofia::register_failure":
			one.failure = true
			if e.Kind == "REGISTER" {
				one.account = e.ToUser + "@" + e.ToHost
			}
			found.note(e.IP, one)
		case e.Subclass == "sofia::pre_register":
			found.note(e.IP, one)
		case e.Subclass == "sofia::wrong_call_state":
			found.note(e.Abandoned, one)
		case e.Subclass == "verto::login" && e.Success == "0":
			found.note(e.Verto, one)
		case e.Name == "CHANNEL_CREATE" && e.Direction == "inbound" && !strings.HasPrefix(e.Channel, "loopback/"):
			found.note(e.Caller, one)
		}
	}
	return found
}

var (
	recordHead = regexp.MustCompile(`^\S+ \S+ (?:[0-9.]+% )?\[[A-Z]+\] [a-z_]+\.c:\d+ (.*)$`)
	refused    = regexp.MustCompile(`^SIP auth failure \((REGISTER|INVITE)\) on sofia profile '[^']*' for \[(.*)\] from ip (\S+)$`)
	unknown    = regexp.MustCompile(`^Can't find user \[(.*)\] from (\S+)$`)
	otherwise  = []*regexp.Regexp{
		regexp.MustCompile(`^SIP auth challenge \((?:REGISTER|INVITE)\) on sofia profile '[^']*' for \[.*\] from ip (\S+)$`),
		regexp.MustCompile(`^IP (\S+) Rejected by (?:register |user )?acl `),
		regexp.MustCompile(`^Can not do authorization without a complete header in REGISTER request from (\S+)$`),
	}
)

// inRecords reads the log records of an event socket. An unknown user has two records; one counts.
func inRecords(sent []frame) acts {
	found := acts{}
	counted := map[string]time.Time{} // by address: an unknown user whose second record follows
	for _, f := range sent {
		text, _, _ := strings.Cut(string(f.body), "\n")
		head := recordHead.FindStringSubmatch(text)
		if head == nil || !strings.Contains(f.headers, "log/data") {
			continue
		}
		message := head[1]
		if m := unknown.FindStringSubmatch(message); m != nil {
			found.note(m[2], act{f.at, true, m[1]})
			counted[m[2]] = f.at
			continue
		}
		if m := refused.FindStringSubmatch(message); m != nil {
			at, second := counted[m[3]]
			delete(counted, m[3])
			switch {
			case second && at.Equal(f.at):
			case m[1] == "REGISTER":
				found.note(m[3], act{f.at, true, m[2]})
			default:
				found.note(m[3], act{at: f.at, failure: true})
			}
			continue
		}
		for _, pattern := range otherwise {
			if m := pattern.FindStringSubmatch(message); m != nil {
				found.note(m[1], act{at: f.at})
			}
		}
	}
	return found
}

// fifth returns the time of the fifth failure of an address in ten minutes.
func fifth(list []act) (at time.Time, ok bool) {
	var failed []time.Time
	for _, one := range list {
		if !one.failure {
			continue
		}
		failed = append(failed, one.at)
		if n := len(failed); n >= 5 && failed[n-1].Sub(failed[n-5]) <= 10*time.Minute {
			return one.at, true
		}
	}
	return time.Time{}, false
}

// effort returns the attempts of an address until its ban, and their duration: its failures, or all
// reports if it never failed. The clock of the switch advances in steps: of the attempts at the
// moment of the ban, only those in the ban's evidence count.
func effort(list []act, banned time.Time, evidence int) (attempts int, took time.Duration) {
	var all, failures, before, failuresBefore int
	for _, one := range list {
		if one.at.After(banned) {
			continue
		}
		all++
		took = max(took, banned.Sub(one.at))
		if one.at.Before(banned) {
			before++
		}
		if one.failure {
			failures++
			if one.at.Before(banned) {
				failuresBefore++
			}
		}
	}
	if failures > 0 {
		all, before = failures, failuresBefore
	}
	return min(all, max(before+1, evidence)), took
}
