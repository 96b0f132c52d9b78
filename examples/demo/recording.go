package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"regexp"
	"time"
)

// recorded is the directory of the recording.
const recorded = "examples/recorded-attack/"

// A truth says of every address in the recording what it is.
type truth map[netip.Addr]struct{ Expect string }

func readTruth() (truth, error) {
	text, err := os.ReadFile(recorded + "truth.json")
	if err != nil {
		return nil, err
	}
	var t struct{ Sources truth }
	err = json.Unmarshal(text, &t)
	return t.Sources, err
}

// stamp is the form of the time that begins a line.
const stamp = "2006-01-02 15:04:05.000000"

// pace is the number of lines written every 10 ms: seven minutes take a few seconds.
const pace = 16

// failure matches the log lines of a failed attempt, and the address that made it.
var failure = regexp.MustCompile(`(?:SIP auth failure .* from ip|Can't find user .* from|IP) ([0-9a-f.:]+)(?:$| Rejected by)`)

// play writes the recording into log, each line with the time at which it is written, and counts
// the failed attempts by address.
func play(log string, failures map[netip.Addr]int) error {
	out, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	var files []io.Reader
	for _, name := range []string{"security.log.2.gz", "security.log.1.gz", "security.log.gz"} {
		f, err := os.Open(recorded + name)
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	unzip, err := gzip.NewReader(io.MultiReader(files...))
	if err != nil {
		return err
	}
	tick := time.Tick(10 * time.Millisecond)
	lines := bufio.NewScanner(unzip)
	for n := 0; lines.Scan(); {
		line := lines.Bytes()
		if _, err := time.Parse(stamp, string(line[:min(len(line), len(stamp))])); err == nil {
			copy(line, time.Now().UTC().Format(stamp))
			if n++; n%pace == 0 { // further lines of a message are written with it
				<-tick
			}
		}
		if m := failure.FindSubmatch(line); m != nil {
			failures[netip.MustParseAddr(string(m[1]))]++
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}
