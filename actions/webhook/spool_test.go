package webhook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/dbfile"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

func openTest(t *testing.T, dir string) *spool {
	t.Helper()
	s, err := openSpool(dir, &queue{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	return s
}

// sketch describes the part of a queue that must survive.
func sketch(q *queue) string {
	var b strings.Builder
	fmt.Fprintln(&b, "last", q.Last, "lost", q.Lost)
	groups := map[uint64]string{} // a restart sorts them by number
	for _, g := range q.Groups {
		groups[g.entries[0].seq] = fmt.Sprintln(g.ID, g.Formed.UnixNano(), g.Lost) + lines(g.entries)
	}
	fmt.Fprintln(&b, groups)
	return b.String() + lines(q.waiting)
}

func lines(entries []entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&b, e.seq, e.queued.UnixNano(), string(e.json))
	}
	return b.String()
}

// TestSpoolAgreesWithQueue demands that the file equals the queue after random steps.
func TestSpoolAgreesWithQueue(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 2))
		dir := t.TempDir()
		s := openTest(t, dir)
		q := queue{maxEntries: 20, maxBytes: 1 << 20, groupMax: 4}
		for range 60 {
			var st step
			switch g, formed, _ := q.next(start); r.IntN(4) {
			case 0, 1:
				if formed {
					must(t, s.write(&q, step{}))
				}
				st.put = entries(int(q.Last)+1, r.IntN(9), start)
				st.gone = q.push(st.put)
			default:
				if g == nil {
					continue
				}
				if formed {
					must(t, s.write(&q, step{}))
				}
				q.end(g, r.IntN(2) == 0)
				st.gone = g.entries
			}
			must(t, s.write(&q, st))
		}
		want := sketch(&q)
		if got := reopened(t, s, dir); got != want {
			t.Errorf("seed %d: %s", seed, cmp.Diff(want, got))
		}
		s = openTest(t, dir)
		must(t, s.write(&q, q.everything()))
		if got := reopened(t, s, dir); got != want {
			t.Errorf("seed %d, rewritten: %s", seed, cmp.Diff(want, got))
		}
	}
}

func reopened(t *testing.T, s *spool, dir string) string {
	t.Helper()
	must(t, s.db.Close())
	s = openTest(t, dir)
	var q queue
	must(t, s.load(&q))
	must(t, s.db.Close())
	return sketch(&q)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableNotification(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	q := queue{maxEntries: 9, maxBytes: 1 << 20}
	q.push(entries(1, 3, start))
	must(t, s.write(&q, q.everything()))
	must(t, s.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.Bucket(bucket).Put(entryKey(2), []byte("12345678{")),
			tx.Bucket(bucket).Put(stateKey, []byte("{")),
		)
	}))
	for range 2 {
		var back queue
		must(t, s.load(&back))
		must(t, s.write(&back, step{}))
		if len(back.waiting) != 2 || back.Lost != 1 || back.Last != 3 {
			t.Errorf("%+v", back)
		}
	}
}

func TestDamagedSpoolIsMovedAside(t *testing.T) {
	for name, damage := range map[string]func([]byte){
		"no database":   func(b []byte) { clear(b) },
		"pages of junk": func(b []byte) { fill(b[2*os.Getpagesize():]) },
	} {
		dir := t.TempDir()
		first := parse(t, `url = "http://x/"`)
		must(t, first.Open(plugin.Host{Dir: dir}))
		must(t, first.Apply(t.Context(), batch(1, 50)))
		first.end()
		path := filepath.Join(dir, spoolName)
		content, err := os.ReadFile(path)
		must(t, err)
		damage(content)
		must(t, os.WriteFile(path, content, 0o600))

		a := parse(t, `url = "http://x/"`)
		if err := a.Open(plugin.Host{Dir: dir}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		must(t, a.Apply(t.Context(), batch(1, 5)))
		if d := a.Delivery(); !d.Durable || d.Waiting != 5 {
			t.Errorf("%s: %+v", name, d)
		}
		if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
			t.Errorf("%s: %q", name, aside)
		}
		a.end()
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = byte(i)
	}
}

func TestSpoolInUse(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	a := parse(t, `url = "http://x/"`)
	if err := a.Open(plugin.Host{Dir: dir}); !errors.Is(err, dbfile.ErrInUse) {
		t.Fatal(err)
	}
	if err := a.Apply(t.Context(), batch(1, 5)); err != nil {
		t.Error("Apply fails without the file:", err)
	}
	if warnings := status.Texts(a.Report(t.Context()).Problems, status.Warning); len(warnings) != 1 || !strings.Contains(warnings[0], "do not survive a restart") {
		t.Error(warnings)
	}
}

// TestDiskThatFails demands that notifications are queued while the file cannot be
// written, and written afterwards.
func TestDiskThatFails(t *testing.T) {
	dir := t.TempDir()
	a := parse(t, `url = "http://x/"`)
	must(t, a.Open(plugin.Host{Dir: dir}))
	must(t, a.Apply(t.Context(), batch(1, 2)))
	good := a.spool.db
	bad, err := dbfile.Open(filepath.Join(t.TempDir(), "other"), time.Second, nil)
	must(t, err)
	must(t, bad.Close()) // each transaction fails from now on
	a.spool.db = bad
	must(t, a.Apply(t.Context(), batch(3, 2)))
	if d := a.Delivery(); d.Durable || d.SpoolError == "" || d.Waiting != 4 {
		t.Errorf("%+v", d)
	}
	a.spool.db = good
	a.stale = a.stale.Add(-retrySpool)
	must(t, a.Apply(t.Context(), batch(5, 1)))
	if d := a.Delivery(); !d.Durable || d.SpoolError != "" {
		t.Errorf("%+v", d)
	}
	a.end()
	b := parse(t, `url = "http://x/"`)
	must(t, b.Open(plugin.Host{Dir: dir}))
	defer b.end()
	if d := b.Delivery(); d.Waiting != 5 {
		t.Errorf("%+v", d)
	}
}

// TestMain is also the process that TestKillNine kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WEBHOOK_SPOOL"); dir != "" {
		applyForEver(dir)
	}
	os.Exit(m.Run())
}

// applyForEver queues notifications and prints after each batch how many there are.
func applyForEver(dir string) {
	a := newAction(config{name: "webhook.noc", url: "http://x/", on: []string{"ban"}, queue: 1_000_000, groupMax: 10})
	if err := a.Open(plugin.Host{Dir: dir}); err != nil {
		panic(err)
	}
	for n := 0; ; n += 3 {
		if err := a.Apply(context.Background(), batch(n+1, 3)); err != nil {
			panic(err)
		}
		fmt.Println(n + 3)
	}
}

func TestKillNine(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	for round := range 5 {
		dir := t.TempDir()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "WEBHOOK_SPOOL="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		told := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			told, err = strconv.Atoi(lines.Text())
			must(t, err)
			if told > 30*(round+1) {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // it was killed
		a := parse(t, `url = "http://x/"`)
		must(t, a.Open(plugin.Host{Dir: dir}))
		for i, e := range a.queue.waiting {
			if e.seq != uint64(i+1) || time.Since(e.queued) > time.Minute {
				t.Fatalf("notification %d is %d of %v", i, e.seq, e.queued)
			}
		}
		if d := a.Delivery(); d.Waiting < told || told == 0 {
			t.Errorf("%d notifications were queued, %d are restored", told, d.Waiting)
		}
		a.end()
	}
}
