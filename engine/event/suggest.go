package event

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DidYouMean returns a sentence that suggests the known word nearest to given,
// with a space before it. It is empty if no known word is near.
func DidYouMean(given string, known []string) string {
	if best := Nearest(given, known); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

// otherFields are the words of other programs for fields.
var otherFields = map[string]string{
	"address": "ip", "ip_address": "ip", "ipaddress": "ip", "addr": "ip", "src_ip": "ip", "source_ip": "ip", "remote_ip": "ip", "network_ip": "ip",
	"host": "ip", "peer": "ip", "subnet": "ip/24", "network": "ip/24", "src_port": "port", "source_port": "port",
	"account": "user", "username": "user", "user_name": "user", "extension": "user", "login": "user", "from_user": "user", "from": "user", "auth_user": "user",
	"realm": "domain", "domain_name": "domain", "sip_method": "method", "agent": "user_agent", "ua": "user_agent", "callid": "call_id",
	"to": "to_user", "callee": "destination", "called": "destination", "dialled": "destination", "dialed": "destination", "number": "destination",
	"dst": "destination", "code": "answer", "status": "answer", "response": "answer", "protocol": "transport", "proto": "transport", "day": "weekday",
}

// otherEvents are the words of other programs for events.
var otherEvents = map[string]string{
	"register": Registered, "registration": Registered, "unregister": Unregistered, "invite": Call, "options": SIPRequest, "message": SIPRequest, "subscribe": SIPRequest,
	"request": SIPRequest, "login": AuthSuccess, "auth": AuthFailure, "login_failure": AuthFailure, "login_failed": AuthFailure, "failed_auth": AuthFailure,
	"failed_login": AuthFailure, "wrong_password": AuthFailure, "failure": AuthFailure, "hangup": CallEnded, "bye": CallEnded, "answer": CallAnswered,
	"blacklist": Listed, "blocklist": Listed,
}

// MeantField is [DidYouMean] for a field, which may have the name that other programs give it.
func MeantField(given string) string { return meant(given, FieldNames, otherFields) }

// MeantEvent is [MeantField] for an event.
func MeantEvent(given string, known []string) string { return meant(given, known, otherEvents) }

func meant(given string, known []string, others map[string]string) string {
	plain := strings.ToLower(strings.ReplaceAll(given, "-", "_"))
	best := others[plain]
	if best == "" {
		best = Mistyped(plain, known)
	}
	if best == "" {
		best = others[Mistyped(plain, slices.Sorted(maps.Keys(others)))]
	}
	if best == "" {
		best = Nearest(plain, known)
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// Nearest returns the known word with the smallest edit distance from given, of at
// most about a third of its length; "" if there is none. On a tie it is the one with the longer
// beginning in common, else the first. Case is ignored.
func Nearest(given string, known []string) string {
	return nearest(given, known, min(len(given)/3+1, len(given)-1))
}

// Mistyped returns the known word that differs from given by at most two edits, or
// by one if given is too short for two. It is stricter than [Nearest]: use it where
// an operator may also choose a name.
func Mistyped(given string, known []string) string {
	return nearest(given, known, min(2, 1+len(given)/5))
}

// nearest returns the known word with the smallest edit distance, of at most limit; on a tie that with
// the longer beginning in common.
func nearest(given string, known []string, limit int) string {
	const longest = 64 // bytes; the distance takes quadratic time
	best, shared := "", 0
	given = strings.ToLower(given)
	for _, word := range known {
		if len(given) > longest || len(word) > longest {
			continue
		}
		lower := strings.ToLower(word)
		d, common := distance(given, lower), beginning(given, lower)
		if d < limit || d == limit && (best == "" || common > shared) {
			best, limit, shared = word, d, common
		}
	}
	return best
}

// beginning returns how many bytes two words have in common at their beginning.
func beginning(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// distance returns how many insertions, removals, replacements and swaps of neighbours lead from one
// word to the other, in bytes. No byte is edited twice.
func distance(a, b string) int {
	var before, above, row []int // of the matrix, the last of them under way
	for i := range len(a) + 1 {
		before, above, row = above, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			if i == 0 {
				row[j] = j
				continue
			}
			replaced := above[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
