package feed

import "strings"

// readPlain reads one address or network from the start of each line. What
// follows behind a blank, comma or comment sign is the list's own remark.
func (l *list) readPlain(body string) error {
	number := 0
	for line := range strings.Lines(body) {
		number++
		line = strings.TrimSpace(line)
		if isComment(line) {
			continue
		}
		word, rest := line, ""
		if i := strings.IndexAny(line, " \t,;#"); i >= 0 {
			word, rest = line[:i], strings.TrimSpace(line[i:])
		}
		target, err := parseTarget(word)
		// A range of addresses is not the one that it begins with.
		if err != nil || strings.HasPrefix(rest, "-") {
			l.skip(number)
			continue
		}
		if err := l.add(entry{target: target}); err != nil {
			return err
		}
	}
	return nil
}

// isComment reports whether a line, without the blanks around it, holds nothing.
func isComment(line string) bool {
	return line == "" || line[0] == '#' || line[0] == ';'
}
