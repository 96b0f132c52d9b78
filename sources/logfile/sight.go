package logfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"freeswitch-security/engine/status"
	"freeswitch-security/sources/logfile/carrier"
)

// How many lines without FreeSWITCH's header make a log unreadable. A message may have many
// further lines, which is why a log that was readable gets more.
const (
	foreignAtFirst = 10
	foreignLater   = 1000
)

// A sight counts the lines since the last one with FreeSWITCH's header.
type sight struct {
	others  bool // lines without a header are wanted: nothing is wrong
	seen    bool // one had a header
	foreign int64
}

// see counts the lines of a block, and returns what is wrong with the log; "" if nothing is.
func (s *sight) see(lines int64, recognised bool) string {
	s.foreign += lines
	if recognised {
		s.seen, s.foreign = true, 0
	}
	limit, since := int64(foreignAtFirst), ""
	if s.seen {
		limit, since = foreignLater, " any more"
	}
	if s.foreign < limit || s.others {
		return ""
	}
	return "no line of the log has FreeSWITCH's header" + since + ", and no attack in it is seen: set path to a file that mod_logfile writes, or unit to that of FreeSWITCH; freeswitch-security explain says how a line is read"
}

// see reports a log that cannot be understood.
func (c *consumer) see(lines int64, recognised bool) {
	c.stream.Progress.Report("header", status.Warning, c.sight.see(lines, recognised))
}

// lookBack judges the end of the file at a start, because a log may be quiet for hours. That
// a file cannot be read is found by the follower.
func (c *consumer) lookBack(path string) {
	if end, err := ReadEnd(path); err == nil {
		c.see(int64(bytes.Count(end, []byte{'\n'})), c.hasHeader(end))
	}
}

// endLength bounds what is looked at of the end of a log, in bytes.
const endLength = 64 << 10

// ReadEnd returns the last whole lines of a log, of at most 64 KB, without their carrier and
// without the messages of other programs.
func ReadEnd(path string) ([]byte, error) {
	info, err := os.Stat(path) // a pipe would block Open
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	end, err := io.ReadAll(io.NewSectionReader(file, max(info.Size()-endLength, 0), endLength))
	if info.Size() > endLength { // the first line is incomplete
		_, end, _ = bytes.Cut(end, []byte{'\n'})
	}
	if err != nil {
		return nil, err
	}
	plain, _ := carrier.Open(bytes.NewReader(end), defaultSizes().maxLine, false)
	return io.ReadAll(plain)
}

// Readable reports whether one of the lines of [ReadEnd] has FreeSWITCH's header, or they are
// too few to tell.
func Readable(log []byte) bool {
	d := (&source{patterns: catalogue()}).newDecoder(nil, defaultSizes().maxLine, time.Time{})
	return d.hasHeader(log) || bytes.Count(log, []byte{'\n'}) < foreignAtFirst
}
