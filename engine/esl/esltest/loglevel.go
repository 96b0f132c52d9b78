package esltest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// levels are the names of FreeSWITCH's log levels, by their numbers.
var levels = []string{"console", "alert", "crit", "err", "warning", "notice", "info", "debug"}

// setLevel carries out the commands `log LEVEL TEXT` and `fsctl loglevel LEVEL`. Without a
// level the latter turns the log off, as it does in FreeSWITCH since v1.10.4.
func (s *Switch) setLevel(command string) (answer string, known bool) {
	words := strings.SplitN(command, " ", 3)
	switch {
	case words[0] == "log" && len(words) == 3:
		s.Log(slices.Index(levels, words[1]), "mod_commands.c", words[2]+"\n")
		return "+OK\n", true
	case words[0] == "fsctl" && len(words) > 1 && words[1] == "loglevel":
		level := -1
		if len(words) == 3 {
			if level = slices.Index(levels, words[2]); level < 0 {
				level, _ = strconv.Atoi(words[2])
			}
		}
		s.Event("API", map[string]string{"API-Command": words[0], "API-Command-Argument": command[len(words[0])+1:]}, "")
		s.hidden.Store(int32(len(levels) - 1 - level))
		return fmt.Sprintf("+OK log level: %s [%d]\n", strings.ToUpper(levels[max(level, 0)]), level), true
	}
	return "", false
}
