package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"
)

func TestFleet(t *testing.T) {
	now := time.Now()
	joined := func(problems ...status.Problem) *status.Fleet {
		return &status.Fleet{Joined: true, Server: "tls://192.0.2.10:4222", Peers: status.List[status.Peer]{{Name: "sbc2", Heard: now}}, Problems: problems}
	}
	silent := joined()
	silent.Peers[0].Heard = now.Add(-2 * time.Hour)
	for name, c := range map[string]struct {
		server string
		fleet  *status.Fleet
		err    error
		want   []string
	}{
		"well":       {"tls://192.0.2.10:4222", joined(), nil, []string{"ok the fleet is joined at tls://192.0.2.10:4222, with 1 peer"}},
		"plain":      {"nats://192.0.2.10:4222", joined(), nil, []string{"warning the connection to the server of the fleet is not encrypted", "ok the fleet is joined"}},
		"loopback":   {"nats://127.0.0.1:4222", joined(), nil, []string{"ok the fleet is joined"}},
		"no answer":  {"tls://192.0.2.10:4222", nil, errors.New("connection refused"), []string{"info the fleet was not examined"}},
		"not reread": {"tls://192.0.2.10:4222", nil, nil, []string{"warning the rules have a fleet, and the running guard is in none"}},
		"silent":     {"tls://192.0.2.10:4222", silent, nil, []string{"info 1 peer of the fleet not heard: sbc2 for 2h", "ok the fleet is joined"}},
		"clocks and refusals": {"tls://192.0.2.10:4222", joined(status.Problem{Severity: status.Warning, Text: "the clocks of peers are ahead"}, status.Problem{Severity: status.Info, Text: "3 decisions"}), nil,
			[]string{"warning fleet: the clocks of peers are ahead"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := &exam{host: thisHost(), cfg: &config.Config{Fleet: &config.Fleet{Servers: []string{c.server}}}}
			x.askGuard(context.Background(), func(context.Context) (status.Status, error) { return status.Status{Fleet: c.fleet}, c.err })
			x.judgeFleet()
			if len(x.found) != len(c.want) {
				t.Fatalf("%+v", x.found)
			}
			for i, want := range c.want {
				if got := string(x.found[i].Severity) + " " + x.found[i].What; !strings.HasPrefix(got, want) {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}
