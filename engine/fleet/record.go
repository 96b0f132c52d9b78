package fleet

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"

	fastjson "github.com/go-json-experiment/json"
	fastoptions "github.com/go-json-experiment/json/v1"
)

// A Kind says what a record decides about its target.
type Kind string

// The kinds of records.
const (
	KindBan     Kind = "ban"
	KindUnban   Kind = "unban"
	KindTrust   Kind = "trust"
	KindUntrust Kind = "untrust"
)

// AuthorPrefix is how the author of a peer's decision begins; the name of the node follows.
const AuthorPrefix = "peer "

// A Record is one decision of a node, as the value of a key in the bucket.
type Record struct {
	Kind   Kind       `json:"kind"`
	Target ban.Target `json:"target"`
	Node   string     `json:"node"` // that decided
	Stamp  Stamp      `json:"stamp"`

	// Start is the time of the offence, or of the decision. Until is the end of a ban or a trust,
	// zero if it has none, or of the grace of an unban, zero if there is none.
	Start time.Time `json:"start"`
	Until time.Time `json:"until,omitzero"`

	Author string `json:"author"`
	Reason string `json:"reason,omitempty"`

	// Of a ban.
	Rule     string         `json:"rule,omitempty"`
	Key      string         `json:"key,omitempty"`
	Offence  int            `json:"offence,omitempty"`
	Forget   time.Duration  `json:"forget,omitempty"`
	Actions  []string       `json:"actions,omitempty"`
	Proven   bool           `json:"proven,omitempty"` // see [ban.Order]
	Evidence []ban.Evidence `json:"evidence,omitempty"`

	here bool // it holds at this node alone, and is not told
}

// Bounds of a record: a peer may be broken, or an attacker's.
const (
	maxRecord   = 8 << 10 // bytes of the value
	maxEvidence = 5
	maxText     = 200 // bytes of each text of the evidence
	maxReason   = 500 // bytes
	maxWord     = 128 // bytes of a name, such as that of a rule
	maxActions  = 16
	maxOffence  = 1000

	minBits4, minBits6 = 16, 32 // of networks: a wider one is many networks of others
)

// ByRule reports whether a rule decided.
func (r *Record) ByRule() bool { return r.Author == ban.ByRule }

// over reports whether the record says nothing any more.
func (r *head) over(now time.Time) bool {
	switch r.kind {
	case KindBan, KindTrust:
		return !r.until.IsZero() && !now.Before(r.until)
	case KindUnban, KindUntrust:
		return now.Sub(r.stamp.Time()) > remembered && !now.Before(r.until)
	}
	return true
}

// A head is what a node keeps in memory of the record that the bucket has.
type head struct {
	kind   Kind // "": there is none, or it was refused
	author string
	node   string
	stamp  Stamp
	until  time.Time
	start  time.Time
}

func (r *Record) head() head {
	author := r.Author
	if r.ByRule() {
		author = ban.ByRule // one string for all
	}
	return head{kind: r.Kind, author: author, node: r.Node, stamp: r.Stamp, until: r.Until, start: r.Start}
}

// record returns a record of what the head has.
func (h *head) record(target ban.Target) *Record {
	return &Record{Kind: h.kind, Target: target, Node: h.node, Stamp: h.stamp, Start: h.start, Until: h.until, Author: h.author}
}

// outlasts reports whether a ban or trust that ends at a ends later than one that ends at b; zero is never.
func outlasts(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// beats reports whether the record replaces another one for its target, which did not know of it,
// nor it of that. Of two bans the longer one stands, as in one ledger. A rule does not ban in
// the grace of an unban. Otherwise the later stamp decides.
func (r *Record) beats(b head) bool {
	a := r.head()
	switch {
	case b.kind == "":
		return true
	case a.kind == KindBan && b.kind == KindBan:
		return outlasts(a.until, b.until)
	case a.kind == KindBan && b.kind == KindUnban && a.author == ban.ByRule && a.start.Before(b.until):
		return false
	case a.kind == KindUnban && b.kind == KindBan && b.author == ban.ByRule && b.start.Before(a.until):
		return true
	case a.stamp != b.stamp:
		return a.stamp > b.stamp
	}
	return a.node > b.node
}

// encode returns the value of the record.
func (r *Record) encode() []byte {
	value, err := json.Marshal(r)
	if err != nil || len(value) > maxRecord {
		bare := *r
		bare.Evidence = nil
		value, _ = json.Marshal(&bare) // of bounded texts
	}
	return value
}

// unmarshal reads what encoding/json has written, in a fifth of its time.
func unmarshal(value []byte, to any) error {
	return fastjson.Unmarshal(value, to, fastoptions.FormatDurationAsNano(true))
}

// decode reads the value of a key. What is too long is cut.
func decode(key string, value []byte, now time.Time) (*Record, error) {
	if len(value) > maxRecord {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(value), maxRecord)
	}
	var r Record
	if err := unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	r.cut()
	return &r, r.check(key, now)
}

// check returns why a record of a peer must not be taken.
func (r *Record) check(key string, now time.Time) error {
	switch {
	case !config.IsNode(r.Node):
		return errors.New("it names no node")
	case r.Kind != KindBan && r.Kind != KindUnban && r.Kind != KindTrust && r.Kind != KindUntrust:
		return errors.New("it is of an unknown kind: the node is newer")
	case !r.Target.IsValid() || keyOf(r.Kind, r.Target) != key:
		return errors.New("its target is not that of its key")
	case r.Stamp.Time().Sub(now) > refuseAhead:
		return fmt.Errorf("the clock of its node is ahead by %s", r.Stamp.Time().Sub(now).Round(time.Minute))
	case r.Start.Sub(now) > refuseAhead || r.Until.Sub(now) > ban.MaxDuration || r.Start.Year() < 2000:
		return errors.New("its times are out of range")
	case r.Kind == KindBan && !r.Until.IsZero() && !r.Until.After(r.Start):
		return errors.New("it ends before it starts")
	}
	if network, ok := r.Target.Network(); ok && network.Bits() < least(network.Addr().Is4()) && (r.Kind == KindBan || r.Kind == KindTrust) {
		return fmt.Errorf("the network is wider than a /%d, which is not taken from a peer", least(network.Addr().Is4()))
	}
	return nil
}

func least(is4 bool) int {
	if is4 {
		return minBits4
	}
	return minBits6
}

// cut bounds what the record holds.
func (r *Record) cut() {
	r.Reason, r.Rule, r.Key, r.Author = clip(r.Reason, maxReason), clip(r.Rule, maxWord), clip(r.Key, maxWord), clip(r.Author, maxWord)
	r.Offence = min(max(r.Offence, 1), maxOffence)
	r.Forget = min(max(r.Forget, 0), ban.MaxDuration)
	if len(r.Actions) > maxActions {
		r.Actions = r.Actions[:maxActions]
	}
	for i := range r.Actions {
		r.Actions[i] = clip(r.Actions[i], maxWord)
	}
	if n := len(r.Evidence); n > maxEvidence { // the first one, and the last ones
		r.Evidence = append([]ban.Evidence{r.Evidence[0]}, r.Evidence[n-maxEvidence+1:]...)
	}
	for i := range r.Evidence {
		e := &r.Evidence[i]
		e.Event, e.Source, e.User, e.Domain = clip(e.Event, maxWord), clip(e.Source, maxWord), clip(e.User, maxWord), clip(e.Domain, maxWord)
		e.Text = clip(e.Text, maxText)
	}
}

// clip cuts a text after so many bytes, between two characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	if r, size := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && size == 1 {
		s = s[:len(s)-1]
	}
	return s
}

// An id names the key of a target: one for its bans, one for its trust.
type id struct {
	trust  bool
	target ban.Target
}

func (r *Record) id() id { return id{r.Kind == KindTrust || r.Kind == KindUntrust, r.Target} }

func (i id) key() string {
	if i.trust {
		return keyOf(KindTrust, i.target)
	}
	return keyOf(KindBan, i.target)
}

// keyOf returns the key of a target in the bucket: "ban.203.0.113.7", "ban.2001=db8==7", and for
// endpoints and accounts a text in base64, because a key holds no colon and no blank.
func keyOf(kind Kind, target ban.Target) string {
	prefix := "ban."
	if kind == KindTrust || kind == KindUntrust {
		prefix = "trust."
	}
	text := target.String()
	if _, ok := target.Network(); ok {
		return prefix + strings.ReplaceAll(text, ":", "=")
	}
	return prefix + "other." + base64.RawURLEncoding.EncodeToString([]byte(text))
}

// idOf returns the target of a key; ok is false if it is none of a target.
func idOf(key string) (i id, ok bool) {
	text, isBan := strings.CutPrefix(key, "ban.")
	if !isBan {
		if text, i.trust = strings.CutPrefix(key, "trust."); !i.trust {
			return i, false
		}
	}
	if coded, other := strings.CutPrefix(text, "other."); other {
		plain, err := base64.RawURLEncoding.DecodeString(coded)
		if err != nil {
			return i, false
		}
		text = string(plain)
	} else {
		text = strings.ReplaceAll(text, "=", ":")
	}
	var err error
	i.target, err = ban.ParseTarget(text)
	return i, err == nil
}
