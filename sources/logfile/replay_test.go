package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/logfile/forgery"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// naive reads a recording line by line, as the documentation says.
func (s *source) naive(data []byte, modTime time.Time, want map[string]bool, maxLine int) result {
	var got result
	d := s.newDecoder(want, maxLine, modTime)
	got.stats.Bytes = int64(len(data))
	first, _, found := bytes.Cut(data, []byte("\n"))
	d.CRLF = found && bytes.HasSuffix(first, []byte("\r"))
	var repeats repeatMarker
	for rest := data; len(rest) > 0; {
		var line string
		begin := rest
		line, rest = d.Cut(rest)
		got.stats.Lines++
		if len(line) > maxLine {
			got.stats.Skipped++
			line = line[:maxLine+1]
		} else if _, ok := record.ParseHeader(line); ok || record.IsTrace(line) {
			got.stats.Recognised = true
		}
		f, found, doubted := d.decode(line, rest)
		if doubted {
			got.stats.Doubted++
		}
		if found {
			at := len(data) - len(begin)
			if d.Piece > 0 && d.judge(&f, &forgery.LineContext{Before: data[:at], Line: line, Length: len(begin) - len(rest), Behind: rest}) {
				got.stats.Doubted++
			}
			if !f.refused {
				repeats.mark(f.event)
			}
			if !f.refused && f.wanted {
				got.events = append(got.events, *f.event)
			}
		}
	}
	return got
}

func compare(t *testing.T, what string, got, want result) {
	t.Helper()
	if got.err != nil || !reflect.DeepEqual(got.stats, want.stats) {
		t.Fatalf("%s: %+v %v, want %+v", what, got.stats, got.err, want.stats)
	}
	if len(got.events) != len(want.events) {
		t.Fatalf("%s: %d events, want %d", what, len(got.events), len(want.events))
	}
	for i := range got.events {
		if !reflect.DeepEqual(got.events[i], want.events[i]) {
			t.Fatalf("%s: event %d\n     %+v\nwant %+v", what, i, got.events[i], want.events[i])
		}
	}
}

// pieces are the lines and parts of lines of random logs.
func pieces(t testing.TB) [][]byte {
	var all [][]byte
	for _, path := range recordings(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.SplitAfter(data, []byte("\n"))...)
	}
	for _, s := range []string{
		"\n", "\r\n", " ", "\x00\xff\n", "x", "EXECUTE a\n", "Dialplan: x\n",
		"08-03 07:56:53.026292 [WARN] [SOFIA] [sofia_reg.c:4130] Can't find user [101@192.0.2.10] from 198.51.100.3\n",
		"08-03 07:56:53.026292 [ERR] sofia.c:1 NO CONTACT!\n",
		"2019-05-04 10:11:12.131415 [WARNING] sofia_reg.c:1743 SIP auth failure (INVITE) on sofia profile 'internal' for [101@192.0.2.10] from ip 198.51.100.3\n",
		"2019-05-04 10:11:12.131415 [WARNING] sofia_reg.c:3210 Can't find user [101@192.0.2.10] from 198.51.100.3\n",
		"May  4 10:11:12 pbx1 freeswitch[4711]: 2026-05-04 10:11:12.131415 97.10% [ERR] sofia.c:1 NO CONTACT!\n",
		"May  4 10:11:12 pbx1 sshd[1]: x\n",
		"You must define a domain called '10.77.0.10' in your directory and add a user with the id=\"1\" attribute\n",
		"and you must configure your device to use the proper domain in its authentication credentials.\n",
	} {
		all = append(all, []byte(s))
	}
	return all
}

// TestAnyDivision checks that the division of a recording into blocks does not change
// its events.
func TestAnyDivision(t *testing.T) {
	const seed = 11
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := pieces(t)
	wants := []map[string]bool{nil, nil, {}, {event.AuthFailure: true}, {event.Call: true, "malformed": true}, {event.ACLReject: true}, {event.LogForgery: true}}
	modTimes := []time.Time{time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	own := builtinSource()
	own.patterns = append(pattern.Set{pattern.MustCompile("x", "N<user>T!")}, own.patterns...)
	own.patterns[0].Event = "own"
	sources := []*source{builtinSource(), own}
	events := 0
	for i := range 600 {
		var log []byte
		for range random.IntN(60) {
			piece := pieces[random.IntN(len(pieces))]
			if random.IntN(20) == 0 {
				piece = bytes.Repeat(piece, 1+random.IntN(40))
			}
			if random.IntN(20) == 0 {
				piece = piece[:random.IntN(len(piece)+1)]
			}
			log = append(log, piece...)
		}
		sizes := sizes{block: 1 + random.IntN(3000), maxLine: 200 + random.IntN(2000), workers: 1 + random.IntN(4)}
		if random.IntN(10) == 0 {
			sizes.maxLine = 1 + random.IntN(100)
		}
		source, want, modTime := sources[random.IntN(2)], wants[random.IntN(len(wants))], modTimes[random.IntN(2)]
		source.piece = 1 + random.IntN(forgery.PieceLength)
		source.corroborate.Value = []string{"", "", "esl.pbx"}[random.IntN(3)]
		var r io.Reader = bytes.NewReader(log)
		if random.IntN(3) == 0 {
			r = iotest.OneByteReader(r)
		}
		naive := source.naive(log, modTime, want, sizes.maxLine)
		compare(t, fmt.Sprintf("seed %d, log %d, %+v, want %v", seed, i, sizes, want), source.collect(r, modTime, want, sizes), naive)
		events += len(naive.events)
	}
	if events < 3000 {
		t.Errorf("only %d events", events)
	}
}

// FuzzReplay is best run with -fuzzminimizetime=1x: the coverage of a run depends on the
// goroutines, which misleads the minimizer.
func FuzzReplay(f *testing.F) {
	for _, path := range recordings(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:min(len(data), 4000)], uint16(100), uint16(300), true)
	}
	source := builtinSource()
	f.Fuzz(func(t *testing.T, log []byte, block, maxLine uint16, late bool) {
		modTime := time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)
		if late {
			modTime = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
		}
		sizes := sizes{block: int(block) + 1, maxLine: int(maxLine)%4096 + 1, workers: 2}
		compare(t, "fuzz", source.collect(bytes.NewReader(log), modTime, nil, sizes), source.naive(log, modTime, nil, sizes.maxLine))
	})
}

const (
	plain       = "2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 "
	failureLine = plain + "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.5\n"
	unknownLine = plain + "Can't find user [1000@pbx] from 203.0.113.5\n"
	unknownText = "You must define a domain called 'pbx' in your directory and add a user with the id=\"1000\" attribute\n" +
		"and you must configure your device to use the proper domain in its authentication credentials.\n"
	noiseLine = plain + "Some line that means nothing\n"
)

// syslogLine is a failure of so many bytes in syslog.
func syslogLine(prefix string, length int) string {
	prefix += "freeswitch[1]: "
	pad := length + 1 - len(prefix) - len(failureLine)
	return prefix + strings.Replace(failureLine, "1000", "1000"+strings.Repeat("1", pad), 1)
}

func TestMessages(t *testing.T) {
	const uuid = "2f663d64-fff8-482e-b5be-9d4bfa947ad8 "
	const prefix = "May  4 10:11:12 pbx1 "
	for _, test := range []struct {
		name, log       string
		events, doubted int
	}{
		{"alone", failureLine, 1, 0},
		{"without a line break", strings.TrimSpace(failureLine), 1, 0},
		{"before a header", failureLine + noiseLine, 1, 0},
		{"before a session's line", failureLine + uuid + "v=0\r\n", 1, 0},
		{"before a dialplan trace", failureLine + "Dialplan: sofia/x parsing [a]\n", 1, 0},
		{"before an execution", failureLine + "EXECUTE [depth=0] sofia/x set(a=b)\n", 1, 0},
		{"before a SIP trace", failureLine + "recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:\n", 1, 0},
		{"before a sent packet", failureLine + "send 350 bytes to tcp/[2001:db8::5]:44287 at 22:17:45.495001:\n", 1, 0},
		{"before an empty line", failureLine + "\n", 0, 1},
		{"before text", failureLine + "x domain: 10.77.0.10\n", 0, 1},
		{"before folded text", failureLine + " " + noiseLine, 0, 1},
		{"before half a trace", failureLine + "recv bytes from udp/[192.0.2.205]\n", 0, 1},
		{"with a carriage return", strings.TrimSpace(failureLine) + "\r\n" + noiseLine + failureLine, 2, 0},
		{"all with carriage returns", strings.ReplaceAll(noiseLine+failureLine+failureLine, "\n", "\r\n"), 2, 0},
		{"carriage returns later on", noiseLine + strings.ReplaceAll(failureLine+failureLine, "\n", "\r\n"), 0, 0},
		{"of three lines", unknownLine + unknownText + noiseLine, 1, 0},
		{"of three lines, cut off", unknownLine + unknownText[:110], 0, 1},
		{"of two lines", unknownLine + strings.SplitAfter(unknownText, "\n")[0], 1, 0},
		{"of one line", unknownLine + noiseLine, 1, 0},
		{"of four lines", unknownLine + unknownText + "x\n", 0, 1},
		{"with the second line of another", failureLine + unknownText, 0, 1},
		{"syslog", prefix + "freeswitch[1]: " + failureLine + prefix + "sshd[1]: Accepted publickey\n", 1, 0},
		{"syslog, further text", prefix + "freeswitch[1]: " + failureLine + "Accepted publickey\n", 0, 1},
		{"syslog's line in a plain log", failureLine + prefix + "sshd[1]: Accepted publickey\n", 0, 1},
		{"at the length where syslog cuts", syslogLine(prefix, 1024), 0, 1},
		{"longer than that", syslogLine(prefix, 1048), 1, 0},
		{"at that length in a file with a longer line", syslogLine(prefix, 1100) + syslogLine(prefix, 1024), 2, 0},
		{"a prefix in a plain log", failureLine + prefix + "freeswitch[1]: " + failureLine, 1, 1},
		{"a prefix in a plain log, of another address", failureLine + prefix + "freeswitch[1]: " + strings.Replace(failureLine, "203.0.113.5", "192.0.2.1", 1), 0, 2},
		{"folded, with the same address", failureLine + " x\n " + failureLine, 1, 0},
		{"folded, with that address before another", failureLine + " " + failureLine + " x] from ip 192.0.2.1\n", 0, 1},
		{"as long in a plain log", strings.Replace(failureLine, "1000", strings.Repeat("1", 1000), 1), 1, 0},
		{"long in a session", uuid + strings.Replace(failureLine, "1000", strings.Repeat("1", 2047), 1), 0, 1},
		{"too long", strings.Replace(failureLine, "1000", strings.Repeat("1", 70_000), 1) + failureLine, 1, 0},
		{"before one that is too long", failureLine + strings.Repeat("x", 70_000) + "\n" + failureLine, 2, 0},
		{"before a folded one that is too long", failureLine + " " + strings.Repeat("x", 70_000) + "\n" + failureLine, 1, 1},
		{"before a header that is too long", failureLine + plain + strings.Repeat("x", 70_000) + "\n" + failureLine, 2, 0},
		{"ambiguous", strings.Replace(plain, "WARNING] sofia_reg.c", "INFO] sofia.c", 1) + "sofia/x/a receiving invite from 1.1.1.1:1 version: 1 call-id: receiving invite from 2.2.2.2:2 version: 1 call-id: x\n", 0, 1},
		{"other file", strings.Replace(failureLine, "sofia_reg.c", "mod_x.c", 1), 0, 0},
		{"other level", strings.Replace(failureLine, "WARNING", "DEBUG", 1), 0, 0},
		{"NULs", "\x00\x00\n" + failureLine + noiseLine, 1, 0},
		{"nothing", "", 0, 0},
	} {
		for _, block := range []int{64, 512 << 10} {
			sizes := defaultSizes()
			sizes.block = block
			got := builtinSource().collect(strings.NewReader(test.log), time.Time{}, nil, sizes)
			got.events = slices.DeleteFunc(got.events, func(e event.Event) bool { return e.IP.String() != "203.0.113.5" })
			if len(got.events) != test.events || got.stats.Doubted != int64(test.doubted) || got.err != nil {
				t.Errorf("%s, blocks of %d: %d events, %+v, %v, want %d, %d doubted", test.name, block, len(got.events), got.stats, got.err, test.events, test.doubted)
			}
		}
	}
}

func TestYears(t *testing.T) {
	yearless := "08-03 07:56:53.026292 [WARN] [SOFIA] [sofia_reg.c:4130] Can't find user [101@192.0.2.10] from 198.51.100.3\n"
	dated := strings.Replace(noiseLine, "2026", "2017", 1)
	got := builtinSource().collect(strings.NewReader(yearless+dated+yearless), time.Time{}, nil, defaultSizes())
	for _, e := range got.events {
		if age := time.Since(e.Time); age < -24*time.Hour || age > 366*24*time.Hour {
			t.Errorf("%+v", e)
		}
	}
	if len(got.events) != 2 {
		t.Errorf("%d events without a date of the recording", len(got.events))
	}
	got = builtinSource().collect(strings.NewReader(yearless+dated+yearless), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), nil, defaultSizes())
	if len(got.events) != 2 || got.events[0].Time.Year() != 2019 || got.events[1].Time.Year() != 2019 {
		t.Errorf("%+v", got.events)
	}
}

// TestEvent checks an event in full, and its bounds for a long line.
func TestEvent(t *testing.T) {
	got := builtinSource().collect(strings.NewReader(failureLine), time.Time{}, nil, defaultSizes()).events
	want := event.Event{
		Time: time.Date(2026, 5, 4, 10, 11, 12, 131415000, time.UTC), Name: event.AuthFailure, Source: "log.test",
		User: "1000", Domain: "pbx", Profile: "internal", Method: "REGISTER", Level: "WARNING", File: "sofia_reg.c",
		Message: strings.TrimSpace(failureLine[len(plain):]), Text: strings.TrimSpace(failureLine),
	}
	want.IP, _, _ = event.ParseAddr("203.0.113.5")
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	long := strings.Replace(failureLine, "1000@pbx", strings.Repeat("1", 5000)+"@"+strings.Repeat("p", 5000), 1)
	got = builtinSource().collect(strings.NewReader(long), time.Time{}, nil, defaultSizes()).events
	if len(got) != 1 || len(got[0].User) != event.MaxField || len(got[0].Domain) != event.MaxField || got[0].Domain[0] != 'p' ||
		len(got[0].Text) != event.MaxText || len(got[0].Message) != event.MaxText || got[0].IP != want.IP {
		t.Errorf("%+v", got)
	}
}

// An endless is a line of any length that takes no memory.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = 'R'
	}
	e.left -= n
	return n, nil
}

func TestLineOfHundredMegabytes(t *testing.T) {
	const length = 100 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := builtinSource().collect(io.MultiReader(strings.NewReader(noiseLine+failureLine+noiseLine+"x"), &endless{length}, strings.NewReader("\n"+failureLine)), time.Time{}, nil, defaultSizes())
	runtime.ReadMemStats(&after)
	want := plugin.Stats{Lines: 5, Bytes: int64(2*len(noiseLine) + 2*len(failureLine) + length + 2), Skipped: 1, Recognised: true}
	if len(got.events) != 2 || !reflect.DeepEqual(got.stats, want) || got.err != nil {
		t.Errorf("%d events, %+v, %v", len(got.events), got.stats, got.err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("%d MB allocated", allocated>>20)
	}
}

// TestReadError checks that what was read before an error counts, except the line that
// the error cut off.
func TestReadError(t *testing.T) {
	broken := errors.New("unexpected EOF")
	got := builtinSource().collect(io.MultiReader(strings.NewReader(failureLine+noiseLine+strings.TrimSpace(failureLine)), iotest.ErrReader(broken)), time.Time{}, nil, defaultSizes())
	if len(got.events) != 1 || got.stats.Lines != 2 || !errors.Is(got.err, broken) || got.err.Error() != "read test: unexpected EOF" {
		t.Errorf("%d events, %+v, %v", len(got.events), got.stats, got.err)
	}
}

func TestEmitError(t *testing.T) {
	full := errors.New("full")
	calls := 0
	_, err := builtinSource().Replay(t.Context(), plugin.Recording{R: strings.NewReader(strings.Repeat(failureLine, 50_000))}, nil, func(*event.Event) error {
		if calls++; calls == 3 {
			return full
		}
		return nil
	})
	if calls != 3 || err != full {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// TestCancel checks that a cancelled replay returns, also while it waits for input, and
// leaves no goroutine once the input has ended.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		input, output := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := builtinSource().Replay(ctx, plugin.Recording{R: input}, nil, func(*event.Event) error { return nil })
			done <- err
		}()
		io.WriteString(output, failureLine)
		synctest.Wait()
		cancel()
		if err := <-done; err != context.Canceled {
			t.Error(err)
		}
		output.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		_, err := builtinSource().Replay(ctx, plugin.Recording{R: strings.NewReader(strings.Repeat(failureLine, 50_000))}, nil, func(*event.Event) error {
			calls++
			cancel()
			return nil
		})
		if err != context.Canceled || calls != 1 {
			t.Errorf("%d events, %v", calls, err)
		}
	})
}

// TestCommonLiteral checks that a pattern is found whose text is in nearly every line, by
// examining every line.
func TestCommonLiteral(t *testing.T) {
	s := builtinSource()
	s.patterns = pattern.Set{pattern.MustCompile("x", "<user> <domain>")}
	log := []byte(strings.Repeat(noiseLine, 3000))
	d := s.newDecoder(nil, 64<<10, time.Time{})
	if got := d.plan(log).Candidates(log, 0, len(log), nil); len(got) < 3000 {
		t.Error("not every line is examined")
	}
	if got := s.collect(bytes.NewReader(log), time.Time{}, nil, defaultSizes()); len(got.events) != 3000 {
		t.Errorf("%d events", len(got.events))
	}
}
