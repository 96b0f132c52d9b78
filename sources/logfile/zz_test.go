package logfile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

func scratchSource() *source {
	return &source{name: "log.x", zone: time.UTC, patterns: catalogue()}
}

func TestZZ1M(t *testing.T) {
	for range 4 {
		f, _ := os.Open("/tmp/d/fs1m.log")
		n := map[string]int{}
		start := time.Now()
		st, err := scratchSource().Replay(context.Background(), plugin.Recording{Name: "x", R: f}, nil, func(e *event.Event) error { n[e.Name]++; if e.Repeat {n["repeat "+e.Name]++}; return nil })
		d := time.Since(start)
		fmt.Println(d, float64(st.Lines)/d.Seconds()/1e6, "Ml/s", float64(st.Bytes)/d.Seconds()/1e6, "MB/s", st, err, n)
		f.Close()
	}
}

func TestZZTruth(t *testing.T) {
	var truth struct {
		NeverBlock []string `json:"never_block"`
		Sources    map[string]struct {
			Evidence struct{ Log map[string]int }
		}
	}
	b, _ := os.ReadFile("/tmp/d/truth.json")
	json.Unmarshal(b, &truth)
	got := map[string]map[string]int{}
	for _, name := range []string{"security.log.2", "security.log.1", "security.log"} {
		f, _ := os.Open("/tmp/d/" + name)
		st, err := scratchSource().Replay(context.Background(), plugin.Recording{Name: "x", R: f}, nil, func(e *event.Event) error {
			k := ""
			switch {
			case e.Name == "auth_failure": k = "failure " + e.Method + " (sofia_reg.c)"
			case e.Name == "challenge": k = "challenge " + e.Method + " (sofia_reg.c)"
			case e.Name == "unknown_user": k = "Can't find user (sofia_reg.c)"
			}
			if k != "" {
				if got[e.IP.String()] == nil { got[e.IP.String()] = map[string]int{} }
				got[e.IP.String()][k]++
			}
			return nil
		})
		fmt.Println(st, err)
	}
	bad := 0
	for ip, s := range truth.Sources {
		for _, k := range []string{"failure REGISTER (sofia_reg.c)", "failure INVITE (sofia_reg.c)", "challenge REGISTER (sofia_reg.c)", "challenge INVITE (sofia_reg.c)", "Can't find user (sofia_reg.c)"} {
			if s.Evidence.Log[k] != got[ip][k] {
				fmt.Println(ip, k, s.Evidence.Log[k], got[ip][k])
				bad++
			}
		}
	}
	for ip := range got { if _, ok := truth.Sources[ip]; !ok { fmt.Println("extra", ip, got[ip]) } }
	fmt.Println("bad", bad)
}
