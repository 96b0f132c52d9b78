package doctor

import (
	"strings"
	"testing"

	"freeswitch-security/engine/config"
)

// TestDoctorAndTheListener: who may tell the guard what to do is said where that is
// everybody on the host.
func TestDoctorAndTheListener(t *testing.T) {
	for want, listeners := range map[bool][]*config.Admin{
		true:  {{Listen: "127.0.0.1:8080"}, {Listen: "[::1]:8080", Socket: "/run/admin.sock"}},
		false: {nil, {Socket: "/run/admin.sock"}, {Listen: "127.0.0.1:8080", Token: "x"}, {Listen: "192.0.2.1:8080", ClientCA: "ca.pem"}},
	} {
		for _, listener := range listeners {
			x := &exam{host: healthyHost(), cfg: &config.Config{Admin: listener}}
			if found := x.ofAdmin(); (len(found) == 1) != want {
				t.Errorf("%+v: %+v", listener, found)
			}
		}
	}
	x := &exam{host: healthyHost(), cfg: &config.Config{Admin: &config.Admin{Listen: "127.0.0.1:8080", TLSCert: "a.pem"}}}
	if found := x.ofAdmin(); len(found) != 1 || !strings.HasSuffix(found[0].What, " https://127.0.0.1:8080") {
		t.Errorf("with TLS: %+v", found)
	}
	if found := new(exam).ofAdmin(); found != nil {
		t.Errorf("without rules: %+v", found)
	}
}
