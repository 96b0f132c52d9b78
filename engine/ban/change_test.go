package ban

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestWireFormat is the JSON of changes, which programs read.
func TestWireFormat(t *testing.T) {
	l := NewLedger(NewTrust([]Trusted{{Target: Network(network("198.51.100.0/24")), Name: "office"}}))
	o := order("203.0.113.7", t0, "10m")
	o.Source, o.Key, o.Reason = "log.x", "203.0.113.7", "5 in 10m"
	o.Evidence = []Evidence{{Time: t0, Event: "auth_failure", Source: "log.x", IP: netip.MustParseAddr("203.0.113.7"), User: "1000", Domain: "pbx", Text: "line"}}
	trusted := order("198.51.100.7", t0.In(time.FixedZone("", 3600)), "permanent")
	for i, c := range []*Change{l.Enter(o, t0), l.Enter(o, t0), l.Enter(trusted, t0), l.Add(Change{Kind: KindAlert, At: t0, Ban: Ban{Rule: "r", Actions: []string{"webhook.noc"}, Evidence: []Evidence{}}})} {
		const evidence = `[{"time":"2026-05-04T10:00:00Z","event":"auth_failure","source":"log.x","ip":"203.0.113.7","user":"1000","domain":"pbx","proven":false,"text":"line"}]`
		const about = `"target":"203.0.113.7","rule":"r","source":"log.x","author":"rule","key":"203.0.113.7","reason":"5 in 10m","offence":1,"for":"10m",` +
			`"addedAt":"2026-05-04T10:00:00Z","expiresAt":"2026-05-04T10:10:00Z","actions":null,"evidence":` + evidence
		want := []string{
			`{"seq":1,"kind":"ban","time":"2026-05-04T10:00:00Z",` + about + `,"why":"","standing":false,"dryRun":false}`,
			`{"seq":2,"kind":"refuse","time":"2026-05-04T10:00:00Z",` + about + `,"why":"already banned until 2026-05-04 10:10:00 UTC","standing":true,"dryRun":false}`,
			`{"seq":3,"kind":"refuse","time":"2026-05-04T10:00:00Z","target":"198.51.100.7","rule":"r","source":"","author":"rule","key":"","reason":"","offence":1,"for":"permanent",` +
				`"addedAt":"2026-05-04T10:00:00Z","actions":null,"evidence":[],"why":"trusted: office","standing":false,"dryRun":false}`,
			`{"seq":4,"kind":"alert","time":"2026-05-04T10:00:00Z","target":"","rule":"r","source":"","author":"","key":"","reason":"","offence":0,` +
				`"actions":["webhook.noc"],"evidence":[],"why":"","standing":false,"dryRun":false}`,
		}[i]
		got, err := json.Marshal(c)
		if err != nil || string(got) != want {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
		var back Change
		if err := json.Unmarshal(got, &back); err != nil || back.Target != c.Target || back.Term != c.Term || !back.Until.Equal(c.Until) || back.Kind != c.Kind {
			t.Errorf("read back: %+v, %v", back, err)
		}
	}
}

// TestCursorsOfKinds floods the ledger with refusals: a level sees the ban and its end
// alone, and loses none of them.
func TestCursorsOfKinds(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	level, told, all := l.Cursor(true, Levels), l.Cursor(false, Told), l.Cursor(false, Kinds)
	o := order("203.0.113.7", t0, "1h")
	l.Enter(o, t0)
	banned := l.Seq()
	for i := range maxPending + 1 {
		l.Enter(o, t0)
		if i%1000 == 0 {
			l.Publish()
		}
	}
	if got := l.Seq(); got != banned {
		t.Errorf("the bans are at change %d after refusals, want %d", got, banned)
	}
	l.Add(Change{Kind: KindAlert, At: t0})
	l.Advance(at("1h"))
	committed, err := l.Commit()
	if err != nil || len(committed) != maxPending+4 {
		t.Fatalf("%d changes committed, %v", len(committed), err)
	}
	for name, test := range map[string]struct {
		cursor *Cursor
		want   []Kind
		lost   bool
	}{
		"level": {level, []Kind{KindBan, KindExpire}, false},
		"told":  {told, []Kind{KindBan, KindAlert, KindExpire}, false},
		"all":   {all, nil, true},
	} {
		changes, lost := test.cursor.Take()
		var kinds []Kind
		for _, c := range changes {
			kinds = append(kinds, c.Kind)
		}
		if lost != test.lost || !slices.Equal(kinds, test.want) {
			t.Errorf("%s: kinds %v, lost %t", name, kinds, lost)
		}
	}
}
