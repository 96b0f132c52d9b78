//go:build kernel

package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/esl/esltest"
)

// longestOutage is the longest duration of an outage: a silent switch is given up after 60 s, and
// a switch that refused the daemon is tried again after 60 to 75 s.
const longestOutage = 95 * time.Second

// An outage is one way in which a switch fails.
type outage struct {
	name string // of the source
	// starts changes a healthy switch before the daemon connects; nil: it stays healthy.
	starts func(*esltest.Options)
	// fails makes a connected, healthy switch fail; nil: it fails from the start.
	fails func(t testing.TB, s *esltest.Switch)
	// fault is part of the fault that the source must report; "": none.
	fault string
	// lost is the number of events that the switch reports as lost.
	lost int64
	// replaced says that the outage ends with another switch at the same address.
	replaced bool
}

var outages = []outage{
	{name: "killed", fails: func(_ testing.TB, s *esltest.Switch) { s.Drop() }, fault: "closed the connection without a notice"},
	{name: "reset", fails: func(_ testing.TB, s *esltest.Switch) { s.Reset() }, fault: "closed the connection"},
	{name: "shutdown", fails: func(_ testing.TB, s *esltest.Switch) { s.Shutdown() }, fault: "The system is being shut down"},
	{name: "restarted", fails: func(_ testing.TB, s *esltest.Switch) { s.Close() }, fault: "cannot be reached", replaced: true},
	{name: "too-slow-for", fails: killSlow, fault: "killed listener because of lost events", lost: 501},

	{name: "silent", fails: func(_ testing.TB, s *esltest.Switch) { s.Freeze() }, fault: "neither an answer nor a heartbeat came in time"},
	{name: "half-open", fails: cutOff, fault: "neither an answer nor a heartbeat came in time"},
	{name: "never-asks", starts: muteFrom(esltest.Connect), fault: "does not ask for the password", replaced: true},
	{name: "never-answers", starts: muteFrom(esltest.Auth), fault: "does not answer to the password", replaced: true},
	{name: "never-subscribes", starts: muteFrom(esltest.Ready), fault: "neither an answer nor a heartbeat came in time", replaced: true},

	{name: "refuses-address", starts: func(o *esltest.Options) { o.RefuseACL = true }, fault: "access list refuses this host", replaced: true},
	{name: "refuses-password", starts: func(o *esltest.Options) { o.Password = "another" }, fault: "refuses the password", replaced: true},

	{name: "in-pieces", starts: func(o *esltest.Options) { o.Shred = 7 }, fails: dribble},
	{name: "garbage", fails: garbage, fault: "not FreeSWITCH's event socket protocol"},
	{name: "http", fails: func(_ testing.TB, s *esltest.Switch) { s.Raw("HTTP/1.1 400 Bad Request\r\n\r\n") }, fault: `it sends "HTTP/1.1 400 Bad Request"`},
	{name: "parrot", fails: func(_ testing.TB, s *esltest.Switch) { s.Raw("you said " + eslPassword + "\n\n") }, fault: `it sends "you said [password]"`},
	{name: "negative", fails: func(_ testing.TB, s *esltest.Switch) { s.Raw("Content-Length: -5\n\n") }, fault: "a frame with Content-Length -5"},
	{name: "too-long", fails: func(_ testing.TB, s *esltest.Switch) { s.Raw("Content-Length: 99999999\n\n") }, fault: "a frame with Content-Length 99999999"},
	{name: "endless-header", fails: func(_ testing.TB, s *esltest.Switch) { s.Raw("X: " + strings.Repeat("x", 1<<20)) }, fault: "a header of more than 64 kB"},
	{name: "long", fails: long},
}

// muteFrom makes a switch silent from some point of the dialogue on.
func muteFrom(stage esltest.Stage) func(*esltest.Options) {
	return func(o *esltest.Options) { o.Mute = stage }
}

// anywhere bans at the fifth failure at any of several switches.
const anywhere = `
rule "guessing" {
  on    = [%s]
  match = "event in ['auth_failure', 'unknown_user']"
  threshold {
    count  = 5
    within = "10m"
  }
  ban { for = "1h" }
}
`

// killSlow reports lost events and closes the connection, as FreeSWITCH does to a slow listener.
func killSlow(_ testing.TB, s *esltest.Switch) {
	s.Log(2, "mod_event_socket.c", time.Now().UTC().Format("2006-01-02 15:04:05.000000")+
		" 90.00% [CRIT] mod_event_socket.c:401 Killing listener because of too many lost events. Lost [501] Queue size[100000/100000]\n")
	s.KillSlow()
}

// cutOff drops the packets of the switch, as a lost network does.
func cutOff(t testing.TB, s *esltest.Switch) { portRule(t, "-A", s) }

func portRule(t testing.TB, verb string, s *esltest.Switch) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("iptables", "-w", verb, "OUTPUT", "-o", "lo", "-p", "tcp", "--sport", port, "-j", "DROP").CombinedOutput(); err != nil {
		t.Errorf("iptables: %v: %s", err, out)
	}
}

// dribble sends an event over a second, a few bytes at a time.
func dribble(_ testing.TB, s *esltest.Switch) {
	const event = `{"Event-Name":"HEARTBEAT","Event-Date-Timestamp":"1"}`
	for frame := fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-json\n\n%s", len(event), event); frame != ""; {
		n := min(3, len(frame))
		s.Raw(frame[:n])
		frame = frame[n:]
		pause(25 * time.Millisecond)
	}
}

// garbage sends noise.
func garbage(_ testing.TB, s *esltest.Switch) {
	rng, noise := rand.New(rand.NewPCG(21, 0)), make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	s.Raw(string(noise))
}

// long sends a meaningless event of the maximum length.
func long(_ testing.TB, s *esltest.Switch) {
	const length = 16 << 20
	event := `{"Event-Name":"HEARTBEAT","X":"`
	event += strings.Repeat("x", length-len(event)-len(`"}`)) + `"}`
	s.Raw(fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-json\n\n%s", len(event), event))
}

// TestSwitchOutages has one daemon listen to many switches, each of which fails in its own way and
// recovers. Each outage is reported, none delays the others, and in the end all are heard again.
func TestSwitchOutages(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a silent switch")
	}
	d, switches, a := listenToAll(t)
	seen := watchFaults(t, a)
	var all sync.WaitGroup
	for i, o := range outages {
		all.Go(func() { switches[i] = o.run(d, switches[i], seen) })
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}

	e := listen(t)
	var took []time.Duration
	for i := range outages {
		ip := fmt.Sprintf("198.18.2.%d", i)
		fails(switches[i], ip, 4)
		took = append(took, silenced(t, e, ip, func() { fails(switches[i], ip, 1) }))
	}
	told, peak := percentilesOf(took), d.memory("VmHWM")
	t.Logf("after the outages an attacker at each switch: %s; memory at its peak %.1f MB", told, peak)
	if told.p50 > most(3*time.Millisecond) || told.worst > most(10*time.Millisecond) {
		t.Errorf("%s; want at most 3ms, 10ms at the worst", told)
	}
	if peak > 160 { // an event of 16 MB is copied several times
		t.Errorf("%.1f MB at its peak", peak)
	}
	pause(300 * time.Millisecond) // status is cached for 250 ms
	for _, o := range outages {
		s := a.source("esl." + o.name)
		if s.Fault != "" || s.Events != 5 || s.Lost != o.lost {
			t.Errorf("in the end: %+v", s)
		}
	}
	d.stop(syscall.SIGTERM)
	said := d.said.String()
	if strings.Contains(said, eslPassword) {
		t.Errorf("the password is in the log:\n%s", said)
	}
	for _, o := range outages {
		if quoted := strconv.Quote(o.fault); !strings.Contains(said, quoted[1:len(quoted)-1]) {
			t.Errorf("the status in the log lacks %q", o.fault)
		}
	}
}

// listenToAll starts a switch for each outage, and a daemon that listens to all of them.
func listenToAll(t *testing.T) (*daemon, []*esltest.Switch, *api) {
	t.Helper()
	var sources strings.Builder
	var names []string
	var switches []*esltest.Switch
	for _, o := range outages {
		options := healthy
		if o.starts != nil {
			o.starts(&options)
		}
		s := esltest.Start(t, options)
		switches, names = append(switches, s), append(names, "source.esl."+o.name)
		fmt.Fprintf(&sources, "source \"esl\" %q {\n  address  = %q\n  password = %q\n}\n", o.name, s.Addr(), eslPassword)
	}
	socket := adminSocket(t)
	rules := fmt.Sprintf(anywhere, strings.Join(names, ", "))
	d := prepare(t, `backend = "ipset"`, sources.String()+fmt.Sprintf(onSocket, socket)+rules).start()
	return d, switches, askingAt(t, socket)
}

// run has a switch fail and recover, and waits until it is heard again. It returns the switch that
// is there then.
func (o *outage) run(d *daemon, s *esltest.Switch, seen *faults) *esltest.Switch {
	t := d.TB
	ctx, cancel := context.WithTimeout(t.Context(), longestOutage)
	defer cancel()
	if o.fails != nil {
		if err := s.Await(ctx, "event json"); err != nil {
			t.Errorf("%s: %v", o.name, err)
			return s
		}
		o.fails(t, s)
	}
	began := time.Now()
	if o.fault == "" {
		return s
	}
	fault := seen.await(ctx, "esl."+o.name, o.fault)
	if !strings.Contains(fault, o.fault) {
		t.Errorf("%s: fault %q, want %q", o.name, fault, o.fault)
		return s
	}
	noticed := time.Since(began)
	if err := d.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Error(err)
	}
	switch {
	case o.replaced:
		s.Close()
		s = replace(t, s)
	case o.name == "half-open":
		portRule(t, "-D", s)
	}
	if lasting := seen.await(ctx, "esl."+o.name, ""); lasting != "" {
		t.Errorf("%s: it has recovered, but the fault is %q", o.name, lasting)
	}
	if err := s.Await(ctx, "event json"); err != nil {
		t.Errorf("%s: %v", o.name, err)
	}
	t.Logf("%-16s reported after %4.1fs, heard again after %4.1fs: %s", o.name, noticed.Seconds(), time.Since(began).Seconds(), fault)
	return s
}

// replace starts a healthy switch at the address of another.
func replace(t testing.TB, old *esltest.Switch) *esltest.Switch {
	listener, err := net.Listen("tcp", old.Addr())
	if err != nil {
		t.Error(err)
		return old
	}
	return esltest.StartOn(t, listener, healthy)
}

// faults are the faults of the sources over time.
type faults struct {
	mu sync.Mutex // guards all
	of map[string]string
}

// watchFaults polls the sources until the test ends.
func watchFaults(t testing.TB, a *api) *faults {
	f := &faults{of: map[string]string{}}
	t.Cleanup(every(50*time.Millisecond, func() { f.look(a) }))
	return f
}

func (f *faults) look(a *api) {
	status, answer, err := a.ask("GET", "/security/sources", "")
	var all struct{ Sources []sourceState }
	if err == nil {
		err = json.Unmarshal([]byte(answer), &all)
	}
	if err != nil || status != http.StatusOK {
		return // the daemon has ended
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range all.Sources {
		f.of[s.Name] = s.Fault
	}
}

// await waits until the fault of a source contains a text, or for no fault if that is empty. It
// returns the last fault.
func (f *faults) await(ctx context.Context, source, text string) (fault string) {
	for {
		f.mu.Lock()
		fault = f.of[source]
		f.mu.Unlock()
		if text == "" && fault == "" || text != "" && strings.Contains(fault, text) {
			return fault
		}
		select {
		case <-ctx.Done():
			return fault
		case <-time.After(20 * time.Millisecond):
		}
	}
}
