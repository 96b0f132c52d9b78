package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestAudit: every change is logged, done or refused, with its author, its target and
// the reason.
func TestAudit(t *testing.T) {
	l := newLab(t, nil)
	const who = ` who=127.0.0.1 via=127.0.0.1 what=`
	for _, c := range []struct{ method, target, body, logged string }{
		{"POST", "/security/blacklist", `{"ip":"203.0.113.7","ttl":"2h","reason":"scanner"}`, `"admin change"` + who + `ban ip=203.0.113.7 for=2h why=scanner`},
		{"POST", "/security/blacklist", `{"ip":"203.0.113.8"}`, `"admin change"` + who + "ban ip=203.0.113.8\n"},
		{"POST", "/security/blacklist", `{"ip":"198.51.100.7","reason":"x"}`, `"admin change refused"` + who + `ban ip=198.51.100.7 why=x err="198.51.100.7 not banned: trusted`},
		{"POST", "/security/blacklist/batch", `[{"ip":"203.0.113.9","permanent":true,"reason":"import of noc"}]`, `"admin change"` + who + `ban ip=203.0.113.9 for=permanent why="import of noc"`},
		{"DELETE", "/security/blacklist/203.0.113.7?grace=1h&reason=customer", "", `"admin change"` + who + `unban ip=203.0.113.7 for=1h why=customer`},
		{"DELETE", "/security/blacklist/203.0.113.8", "", `"admin change"` + who + "unban ip=203.0.113.8\n"},
		{"POST", "/security/blacklist", `{"ip":"203.0.113.8","here":true}`, `"admin change"` + who + "ban ip=203.0.113.8 only_here=true\n"},
		{"DELETE", "/security/blacklist/203.0.113.8?here=true", "", `"admin change"` + who + "unban ip=203.0.113.8 only_here=true\n"},
		{"POST", "/security/whitelist", `{"ip":"192.0.2.0/24","ttl":"7d","comment":"new trunk"}`, `"admin change"` + who + `trust ip=192.0.2.0/24 for=7d why="new trunk"`},
		{"POST", "/security/whitelist/batch", `[{"ip":"192.0.2.7","permanent":true}]`, `"admin change"` + who + "trust ip=192.0.2.7 for=permanent\n"},
		{"DELETE", "/security/whitelist/192.0.2.7?reason=gone", "", `"admin change"` + who + `untrust ip=192.0.2.7 why=gone`},
		{"DELETE", "/security/whitelist/198.51.100.7?reason=no", "", `"admin change refused"` + who + `untrust ip=198.51.100.7 why=no err=`},
		{"POST", "/security/reload?reason=new+rule", "", `"admin change"` + who + `reload why="new rule"`},
	} {
		before := len(l.log.String())
		l.ask(c.method, c.target, c.body)
		if logged := l.log.String()[before:]; !strings.Contains(logged, c.logged) {
			t.Errorf("%s %s %s: the log lacks %s\n%s", c.method, c.target, c.body, c.logged, logged)
		}
	}
}

// TestAuditOfBatches: a batch has a line for itself, with the digest of its list, and a bounded number of
// lines for its items.
func TestAuditOfBatches(t *testing.T) {
	l := newLab(t, nil)
	var body strings.Builder
	for i := range 3 * mostAudited {
		fmt.Fprintf(&body, `,{"ip":"198.51.100.7"},{"ip":"203.0.%d.%d"}`, i/200, i%200)
	}
	digest := strings.Repeat("0f", 32)
	l.ask("POST", "/security/blacklist/batch?list="+digest, "["+body.String()[1:]+`,{"ip":"x"}]`)
	logged := l.log.String()
	if want := fmt.Sprintf(`msg="admin batch" who=127.0.0.1 via=127.0.0.1 what=ban items=%d made=%d refused=%d sha256=%s`, 6*mostAudited+1, 3*mostAudited, 3*mostAudited, digest); !strings.Contains(logged, want) {
		t.Errorf("the log lacks %s", want)
	}
	for _, message := range []string{`"admin change"`, `"admin change refused"`} {
		if n := strings.Count(logged, message); n != mostAudited {
			t.Errorf("%d lines of %s", n, message)
		}
	}
	if code, _ := l.ask("POST", "/security/blacklist/batch?list=12", "[]"); code != http.StatusBadRequest {
		t.Errorf("a digest that is none: %d", code)
	}
}
