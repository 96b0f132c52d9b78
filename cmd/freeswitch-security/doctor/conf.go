package doctor

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"freeswitch-security/engine/regex"
)

// A document is XML of FreeSWITCH: a configuration, files of profiles, or the answer to "sofia xmlstatus".
type document struct {
	Config    section   `xml:"configuration"`
	Profiles  []section `xml:"profile"`
	Variables []struct {
		Cmd  string `xml:"cmd,attr"`
		Data string `xml:"data,attr"` // name=value
	} `xml:"X-PRE-PROCESS"`
	Status *struct {
		Profiles []struct {
			Name string `xml:"name"`
		} `xml:"profile"`
	} `xml:"profiles"`
}

// A section is a configuration or a profile in one.
type section struct {
	Name     string    `xml:"name,attr"`
	Params   []param   `xml:"settings>param"`
	Global   []param   `xml:"global_settings>param"`
	Mappings []param   `xml:"mappings>map"` // of a log: levels by what logs them
	Profiles []section `xml:"profiles>profile"`
}

type param struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// maxXML bounds a configuration file, in bytes.
const maxXML = 4 << 20

// ignored is removed before parsing: comments, in which XML does not accept "--"; the declaration,
// which says ISO-8859-1 whatever the encoding is; and include elements, which FreeSWITCH ignores.
var ignored = regex.New(`(?s)<!--.*?-->|^\s*<\?xml[^>]*\?>|</?include>`)

// parseXML parses XML as FreeSWITCH does.
func parseXML(text string) (*document, error) {
	text = "<document>" + strings.ToValidUTF8(ignored.Use().ReplaceAllString(text, ""), "\ufffd") + "</document>"
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict = false
	d := &document{}
	if err := decoder.Decode(d); err != nil {
		return nil, err
	}
	return d, nil
}

// param returns a setting; "" if there is none.
func (s *section) param(name string) string { return lastOf(s.Params, name) }

// lastOf returns the last value of a name; "" if there is none.
func lastOf(params []param, name string) (value string) {
	for _, p := range params {
		if p.Name == name {
			value = p.Value
		}
	}
	return value
}

func (s *section) is(param string) bool { return isTrue(s.param(param)) }

// isNot is the opposite of is, except for a value that is not known.
func (s *section) isNot(param string) bool {
	return !s.is(param) && !strings.Contains(s.param(param), "$${")
}

// isTrue interprets a setting as FreeSWITCH does.
func isTrue(value string) bool {
	value = strings.ToLower(value)
	return slices.Contains([]string{"yes", "on", "true", "t", "enabled", "active", "allow"}, value) ||
		value != "" && strings.Trim(value, "0123456789") == "" && strings.Trim(value, "0") != ""
}

// readFiles reads the parts that the switch did not return from FreeSWITCH's files, if it runs on
// this host.
func (x *exam) readFiles() {
	if !x.here() {
		return
	}
	variables := map[string]string{}
	for _, set := range readConf(filepath.Join(x.confDir, "vars.xml"), variables).Variables {
		if name, value, ok := strings.Cut(set.Data, "="); ok && strings.EqualFold(set.Cmd, "set") {
			variables[strings.TrimSpace(name)] = expand(value, variables)
		}
	}
	if x.password == "" {
		x.password = variables["default_password"]
	}
	for name, part := range x.parts() {
		if *part != nil {
			continue
		}
		found := readConf(filepath.Join(x.confDir, "autoload_configs", name+".xml"), variables).Config
		if part == &x.sofia {
			found = section{Global: found.Global}
			paths, _ := filepath.Glob(filepath.Join(x.confDir, "sip_profiles", "*.xml")) // the pattern is valid
			for _, path := range paths {
				found.Profiles = append(found.Profiles, readConf(path, variables).Profiles...)
			}
		}
		if found.Name != "" || found.Profiles != nil {
			*part, x.fromFiles = &found, true
		}
	}
}

// readConf reads a file of FreeSWITCH; an empty document if it cannot be read.
func readConf(path string, variables map[string]string) *document {
	file, err := os.Open(path)
	if err != nil {
		return &document{}
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxXML))
	if err != nil {
		return &document{}
	}
	d, err := parseXML(expand(string(text), variables))
	if err != nil {
		return &document{}
	}
	return d
}

var variable = regex.New(`\$\$\{([^}]+)\}`)

// expand replaces the variables that are known.
func expand(text string, variables map[string]string) string {
	return variable.Use().ReplaceAllStringFunc(text, func(written string) string {
		return cmp.Or(variables[written[3:len(written)-1]], written)
	})
}

// confName names the file of a setting.
func (x *exam) confName(file string) string {
	if x.fromFiles {
		return filepath.Join(x.confDir, file)
	}
	return fmt.Sprintf("FreeSWITCH's %s", file)
}
