//go:build kernel

package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

// doubted is a site that believes the log only if the switch reports the same.
const doubted = `
source "log" "freeswitch" {
  path        = %q
  timezone    = "UTC"
  corroborate = source.esl.pbx
}
action "iptables" "drop" {
  backend = "ipset"
}
rule "forging" {
  on    = [source.log.freeswitch]
  match = "event == 'log_forgery'"
  ban { for = "1h" }
}
`

// TestForgedLine has a caller write a failure of a victim into FreeSWITCH's log, which the log
// alone cannot disprove. The packets of the victim get through. Those of the forger do not, nor
// those of addresses whose failures the log and the switch both report.
func TestForgedLine(t *testing.T) {
	const forger, victim = "203.0.113.80", "198.18.3.1"
	pbx := esltest.Start(t, healthy)
	d := prepare(t, ``, atOnce)
	text := fmt.Sprintf(doubted, d.log.Name()) + fmt.Sprintf(onStream, pbx.Addr()) + atOnce
	if err := os.WriteFile(filepath.Join(d.dir, "rules.d", "rules.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	subscribed(t, pbx)
	e := listen(t)
	for _, ip := range []string{forger, victim} {
		stop := chatter(t, ip, time.Millisecond)
		defer stop()
	}

	// In the first two seconds the switch may not have been heard: the forger repeats.
	var wrote time.Time
	eventually(t, 10*time.Second, "the forger is banned", func() bool {
		if time.Since(wrote) > 200*time.Millisecond {
			d.write(call(forger, "x\n"+strings.TrimSpace(failure(victim))))
			wrote = time.Now()
		}
		return inSet(forger)
	})
	told := time.Now()
	var took []time.Duration
	for i := range 20 {
		guesser := fmt.Sprintf("198.18.4.%d", i)
		took = append(took, silenced(t, e, guesser, func() {
			d.write(failure(guesser))
			fails(pbx, guesser, 1)
		}))
	}
	t.Logf("addresses with true failures got through for, in %s", percentilesOf(took))
	pause(3 * time.Second) // longer than a line is held for the switch
	if _, last := e.heard(forger); last.Sub(told) > time.Second {
		t.Error("the forger's packets get through")
	}
	before, _ := e.heard(victim)
	eventually(t, time.Second, "the victim's packets get through", func() bool { n, _ := e.heard(victim); return n > before })
	if said := d.said.String(); strings.Contains(said, "target="+victim) || !strings.Contains(said, "msg=ban target="+forger+" rule=forging") {
		t.Errorf("the log says otherwise:\n%s", said)
	}
}

// call is the log of a call. The caller chooses its Call-ID.
func call(from, callID string) string {
	const session = "2f663d64-fff8-482e-b5be-9d4bfa947ad8"
	head := func(level, file string) string {
		return session + " " + time.Now().UTC().Format("2006-01-02 15:04:05.000000") + " 97.10% [" + level + "] " + file + " "
	}
	states := strings.Repeat(head("DEBUG", "switch_core_state_machine.c:600")+"(sofia/external/1000@pbx) Running State Change CS_ROUTING (Cur 1 Tot 188)\n", 40)
	return states + head("INFO", "sofia.c:10458") + "sofia/external/1000@pbx receiving invite from " + from +
		":5060 version: 1.10  64bit call-id: " + callID + "\n" + states
}
