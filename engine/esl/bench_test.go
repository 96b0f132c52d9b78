package esl

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// burst is 60,000 events of about 1 kB, as a flood of registrations makes them.
func burst(b *testing.B) (stream []byte, events int) {
	var frames [][]byte
	all := newFrames(bytes.NewReader(recording(b, "mixed-json.raw.gz")))
	for {
		f, err := all.next()
		if err != nil {
			break
		}
		if bytes.Contains(f.body, []byte(`"sofia::register_`)) || bytes.Contains(f.body, []byte(`"sofia::pre_register"`)) {
			frames = append(frames, []byte(eventJSON(string(f.body))))
		}
	}
	const count = 60_000
	for i := range count {
		stream = append(stream, frames[i%len(frames)]...)
	}
	return stream, count
}

func BenchmarkReader(b *testing.B) {
	stream, events := burst(b)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		messages := 0
		for r := NewReader(bytes.NewReader(stream)); ; messages++ {
			if _, err := r.Next(); err != nil {
				break
			}
		}
		if messages != events {
			b.Fatal(messages)
		}
	}
	b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkFrames is the part that finds the frames.
func BenchmarkFrames(b *testing.B) {
	stream, _ := burst(b)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		frames := newFrames(bytes.NewReader(stream))
		for {
			if _, err := frames.next(); err != nil {
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				break
			}
		}
	}
}
