package esl

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// merged reads all messages of several streams that were recorded in UTC.
func merged(streams ...[]byte) (messages []Message, skipped int64, err error) {
	var readers []io.Reader
	for _, s := range streams {
		readers = append(readers, bytes.NewReader(s))
	}
	return readAll(iotest.HalfReader(Merge(time.UTC, readers)))
}

// TestMergeOfPieces divides a recording in a frame, and then between two frames. Pieces
// that begin with a frame may come in any order, the rest of a frame after its start.
func TestMergeOfPieces(t *testing.T) {
	for _, name := range []string{"mixed-json.raw.gz", "mixed-plain.raw.gz", "nat-log.raw.gz"} {
		stream := recording(t, name)
		want, _ := read(t, stream)
		for seed := range uint64(8) {
			random := rand.New(rand.NewPCG(seed, 0))
			at := random.IntN(len(stream))
			ways := [][][]byte{{stream[:at], stream[at:]}}
			// An event begins so. Records of one moment have no order of their own.
			if more := bytes.Index(stream[at:], []byte("Content-Length: ")); more >= 0 && name != "nat-log.raw.gz" {
				ways = append(ways, [][]byte{stream[at+more:], stream[:at+more]})
			}
			for _, pieces := range ways {
				if got, skipped, err := merged(pieces...); !errors.Is(err, io.EOF) || skipped != 0 || !cmp.Equal(got, want) {
					t.Errorf("%s, seed %d: %d messages of %d, %d skipped, %v", name, seed, len(got), len(want), skipped, err)
				}
			}
		}
	}
}

// TestMergeOfPiecesAtEveryByte divides frames at every byte, with an empty recording
// between the pieces.
func TestMergeOfPiecesAtEveryByte(t *testing.T) {
	const sdp = "Content-Type: application/sdp\nContent-Length: 4\n\nv=0\n"
	body := "Event-Name: E3\nCore-UUID: c\nEvent-Date-Timestamp: 1795305603000000\nEvent-Sequence: 3\n" + sdp
	stream := []byte(stamped("1795305601000000", "1") + record("02", "x") + eventPlain(body) +
		"Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye")
	want, _ := read(t, stream)
	if len(want) != 3 {
		t.Fatalf("%d messages", len(want))
	}
	for at := range stream {
		got, skipped, err := merged(stream[:at], nil, stream[at:])
		if !errors.Is(err, io.EOF) || skipped != 0 || !cmp.Equal(got, want) {
			t.Errorf("before %.40q: %d messages, %d skipped, %v", stream[at:], len(got), skipped, err)
		}
	}
}

// TestMergeOfPiecesInAnyOrder: a piece that begins with any frame does not continue
// another.
func TestMergeOfPiecesInAnyOrder(t *testing.T) {
	for _, start := range []string{
		"Content-Type: auth/request\n\n", "Content-Type: command/reply\nReply-Text: +OK\n\n", "Content-Type: api/response\nContent-Length: 3\n\n+OK",
		"Content-Type: log/data\nContent-Length: 0\n\n", "Content-Type: text/rude-rejection\nContent-Length: 3\n\nno\n", "",
		"Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye",
	} {
		first, later := start+stamped("1795305601000000", "1"), stamped("1795305603000000", "2")
		messages, _, err := merged([]byte(later), []byte(first))
		if got := names(slices.DeleteFunc(messages, func(m Message) bool { return m.Record })); !slices.Equal(got, []string{"1 E1", "2 E2"}) || !errors.Is(err, io.EOF) {
			t.Errorf("behind %q: %q, %v", start, got, err)
		}
	}
}

// TestMergeForgets: the frames that are kept are bounded in number, whatever the stamps say; one
// far ahead does not drop all before it.
func TestMergeForgets(t *testing.T) {
	const n = 300
	var ahead, back, copies strings.Builder
	ahead.WriteString(stamped("9000000000000000", "0"))
	copies.WriteString(record("01", "x") + record("01", "x"))
	for i := range n {
		sequence := strconv.Itoa(i + 1)
		copies.WriteString(stamped(strconv.Itoa(1795305601000000+i), sequence))
		ahead.WriteString(stamped(strconv.Itoa(1795305601000000+i), sequence))
		back.WriteString(stamped(strconv.Itoa(1795305601000000-i*60_000_000), sequence))
	}
	for _, test := range []struct {
		name    string
		streams []string
		want    int
	}{
		{"far ahead", []string{copies.String(), ahead.String()}, n + 3},
		{"back by minutes", []string{back.String(), stamped("1", "0")}, n + 1},
		{"all at once", []string{copies.String(), copies.String()}, n + 2},
	} {
		for _, most := range []int{maxSeen, 100} {
			var streams []io.Reader
			for _, s := range test.streams {
				streams = append(streams, strings.NewReader(s))
			}
			m := Merge(time.UTC, streams).(*merger)
			m.most = most
			messages, _, err := readAll(m)
			if !errors.Is(err, io.EOF) || (most == maxSeen || test.name != "far ahead") && len(messages) != test.want {
				t.Errorf("%s: %d messages of %d, %v", test.name, len(messages), test.want, err)
			}
			if len(m.first) != len(m.order) || len(m.first) > most || most == 100 && len(m.first) < most {
				t.Errorf("%s: %d and %d kept, at most %d", test.name, len(m.first), len(m.order), most)
			}
		}
	}
}

// TestMergeOfCopies reads what a switch sent on three connections: its events once in
// each format, and its log.
func TestMergeOfCopies(t *testing.T) {
	events, plain, log := recording(t, "nat-json.raw.gz"), recording(t, "nat-plain.raw.gz"), recording(t, "nat-log.raw.gz")
	wantEvents, _ := read(t, events)
	wantRecords, _ := read(t, log)
	for _, streams := range [][][]byte{{events, plain, log}, {log, events, plain}, {log, log, events}} {
		got, skipped, err := merged(streams...)
		if !errors.Is(err, io.EOF) || skipped != 0 {
			t.Fatalf("%d skipped, %v", skipped, err)
		}
		isRecord := func(m Message) bool { return m.Record }
		records := slices.DeleteFunc(slices.Clone(got), func(m Message) bool { return !m.Record })
		if diff := cmp.Diff(wantRecords, records); diff != "" {
			t.Errorf("- the log, + the merged records:\n%s", diff)
		}
		if diff := cmp.Diff(names(wantEvents), names(slices.DeleteFunc(got, isRecord))); diff != "" {
			t.Errorf("- the events, + the merged events:\n%s", diff)
		}
	}
}

func names(events []Message) []string {
	var all []string
	for i := range events {
		all = append(all, events[i].Headers["Event-Sequence"]+" "+events[i].Name())
	}
	return all
}

// record is a frame of the log, stamped some seconds after midnight.
func record(second, text string) string {
	body := "2026-11-22 00:00:" + second + ".000000 90.00% [WARNING] a.c:1 " + text + "\n"
	return "Content-Type: log/data\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n" + body
}

func stamped(micros, sequence string) string {
	return eventJSON(`{"Event-Name":"E` + sequence + `","Core-UUID":"c","Event-Date-Timestamp":"` + micros + `","Event-Sequence":"` + sequence + `"}`)
}

func TestMerge(t *testing.T) {
	const (
		at1 = "1795305601000000" // 2026-11-22 00:00:01 UTC
		at3 = "1795305603000000"
	)
	for _, test := range []struct {
		name    string
		streams []string
		want    string
	}{
		{"by time", []string{stamped(at1, "1") + stamped(at3, "2"), record("02", "x") + record("04", "y")}, "E1 x E2 y"},
		{"in one tick", []string{record("01", "x"), stamped(at1, "2"), stamped(at1, "1")}, "E1 E2 x"},
		{"sent twice, recorded twice", []string{record("01", "x") + record("01", "x"), record("01", "x") + record("01", "x")}, "x x"},
		{"sent twice, recorded once each", []string{record("01", "x"), record("01", "x")}, "x"},
		{"without a time", []string{stamped(at3, "1") + eventJSON(`{"Event-Name":"E?","Event-Sequence":"7"}`), record("02", "x") + record("04", "y")}, "x E1 E? y"},
		{"another start of the switch", []string{stamped(at1, "1"), strings.Replace(stamped(at1, "1"), `"c"`, `"d"`, 1)}, "E1 E1"},
		{"an empty stream", []string{"", stamped(at1, "1"), ""}, "E1"},
	} {
		var streams [][]byte
		for _, s := range test.streams {
			streams = append(streams, []byte(s))
		}
		messages, _, err := merged(streams...)
		var got []string
		for i := range messages {
			got = append(got, messages[i].Name()+messages[i].Body[strings.LastIndex(messages[i].Body, " ")+1:])
		}
		if !errors.Is(err, io.EOF) || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// TestMergeErrorsComeLast: the others are read despite a stream that fails.
func TestMergeErrorsComeLast(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		stream io.Reader
		want   error
	}{
		{strings.NewReader("Content-Length: 5\n\nhello" + "SSH-2.0-OpenSSH_9.6\r\n"), ErrProtocol},
		{iotest.ErrReader(broken), broken},
	} {
		good := strings.NewReader(stamped("1", "1") + stamped("2", "2"))
		messages, _, err := readAll(Merge(time.UTC, []io.Reader{test.stream, good}))
		if len(messages) != 2 || !errors.Is(err, test.want) {
			t.Errorf("%d messages, %v, want %v", len(messages), err, test.want)
		}
	}
}

// FuzzMerge compares a Reader of a merger with a Reader of the same bytes.
func FuzzMerge(f *testing.F) {
	addStreams(f)
	f.Fuzz(func(t *testing.T, stream []byte) {
		want, skipped, end := readAll(bytes.NewReader(stream))
		got, skippedToo, endToo := merged(stream)
		if !cmp.Equal(got, want) || skipped != skippedToo || errors.Is(end, ErrProtocol) != errors.Is(endToo, ErrProtocol) {
			t.Errorf("%d messages, %d skipped, %v; merged %d, %d, %v", len(want), skipped, end, len(got), skippedToo, endToo)
		}
	})
}
