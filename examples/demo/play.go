package main

import (
	"bufio"
	"compress/gzip"
	"os"
	"time"
)

// stampLength is that of "2026-11-22 22:13:27.005016" at the head of a line.
const stampLength = len("2006-01-02 15:04:05.000000")

// pace is how many lines are played before a short rest: the whole recording, of
// some seven minutes, takes a few seconds.
const pace = 16

// play writes the recording into the log, oldest file first, each line stamped
// with the moment in which it is written, as FreeSWITCH would.
func play(log string) error {
	out, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	rest := time.NewTicker(10 * time.Millisecond)
	defer rest.Stop()
	for _, file := range recordings {
		if err := playFile(out, file, rest.C); err != nil {
			return err
		}
	}
	return nil
}

func playFile(out *os.File, file string, rest <-chan time.Time) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	unzip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(unzip)
	for n := 0; lines.Scan(); n++ {
		line := lines.Bytes()
		if stamped(line) {
			copy(line, time.Now().UTC().Format("2006-01-02 15:04:05.000000"))
		} else {
			n-- // a further line of a message is written with it
		}
		if n%pace == 0 {
			<-rest
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

// stamped reports whether a line begins with a time.
func stamped(line []byte) bool {
	if len(line) < stampLength {
		return false
	}
	_, err := time.Parse("2006-01-02 15:04:05.000000", string(line[:stampLength]))
	return err == nil
}
