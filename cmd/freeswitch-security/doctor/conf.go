package doctor

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// An element is a piece of FreeSWITCH's XML.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []*element `xml:",any"`
	Text     string     `xml:",chardata"`
}

// maxXML bounds a file of configuration, in bytes.
const maxXML = 4 << 20

var (
	// Comments are cut out first: FreeSWITCH reads over a -- in them, which is none
	// to XML.
	comment = regexp.MustCompile(`(?s)<!--.*?-->`)
	// An answer says ISO-8859-1 whatever it is.
	declaration = regexp.MustCompile(`^\s*<\?xml[^>]*\?>`)
)

// parseXML reads what FreeSWITCH takes for XML.
func parseXML(text string) (*element, error) {
	text = declaration.ReplaceAllString(comment.ReplaceAllString(text, ""), "")
	decoder := xml.NewDecoder(strings.NewReader(strings.ToValidUTF8(text, "\ufffd")))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	root := &element{}
	if err := decoder.Decode(root); err != nil {
		return nil, err
	}
	return root, nil
}

// attr is the value of an attribute, "" where there is none.
func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// text is what stands in the first child of that name.
func (e *element) text(name string) string {
	for _, child := range e.Children {
		if child.XMLName.Local == name {
			return strings.TrimSpace(child.Text)
		}
	}
	return ""
}

// all are the elements of that name below this one, and itself if it is one.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	if e.XMLName.Local == name {
		return []*element{e}
	}
	var found []*element
	for _, child := range e.Children {
		found = append(found, child.all(name)...)
	}
	return found
}

// params are the settings of an element: <settings><param name= value=/></settings>.
// The last one of a name counts.
func (e *element) params() map[string]string {
	params := map[string]string{}
	for _, child := range e.Children {
		if child.XMLName.Local != "settings" {
			continue
		}
		for _, param := range child.Children {
			if param.XMLName.Local == "param" {
				params[param.attr("name")] = param.attr("value")
			}
		}
	}
	return params
}

// isTrue reads a setting as FreeSWITCH does.
func isTrue(value string) bool {
	value = strings.ToLower(value)
	return slices.Contains([]string{"yes", "on", "true", "t", "enabled", "active", "allow"}, value) ||
		value != "" && strings.Trim(value, "0123456789") == "" && strings.Trim(value, "0") != ""
}

// isUnresolved reports whether a setting holds a variable that is not known here.
func isUnresolved(value string) bool { return strings.Contains(value, "$${") }

// readFiles reads from FreeSWITCH's files what the switch did not tell, if it may
// be the one of this host.
func (x *exam) readFiles() {
	if !x.here() || x.socket != nil && x.logging != nil && x.sofia != nil {
		return
	}
	files := &confFiles{variables: map[string]string{}}
	if vars := files.read(filepath.Join(x.confDir, "vars.xml")); vars != nil {
		files.learn(vars)
	}
	for name, part := range x.parts() {
		if *part != nil || name == "sofia.conf" {
			continue
		}
		*part = files.read(filepath.Join(x.confDir, "autoload_configs", name+".xml"))
		x.fromFiles = x.fromFiles || *part != nil
	}
	if x.sofia == nil {
		x.sofia = files.profiles(filepath.Join(x.confDir, "sip_profiles"))
		x.fromFiles = x.fromFiles || x.sofia != nil
	}
}

// confFiles reads FreeSWITCH's files with the variables of vars.xml put in.
type confFiles struct{ variables map[string]string }

// read gives the root of a file; nil if it cannot be read.
func (f *confFiles) read(path string) *element {
	text, err := readConf(path)
	if err != nil {
		return nil
	}
	root, err := parseXML(f.expand(text))
	if err != nil {
		return nil
	}
	return root
}

func readConf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxXML+1))
	if len(text) > maxXML {
		return "", errors.New("too long")
	}
	return string(text), err
}

var variable = regexp.MustCompile(`\$\$\{([^}]+)\}`)

// expand puts the variables in that are known. The others stay as they stand.
func (f *confFiles) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(written string) string {
		if value, ok := f.variables[written[3:len(written)-1]]; ok {
			return value
		}
		return written
	})
}

// learn takes the variables that <X-PRE-PROCESS cmd="set" data="name=value"/> sets.
func (f *confFiles) learn(root *element) {
	for _, set := range root.all("X-PRE-PROCESS") {
		name, value, ok := strings.Cut(set.attr("data"), "=")
		if ok && strings.EqualFold(set.attr("cmd"), "set") {
			f.variables[strings.TrimSpace(name)] = f.expand(value)
		}
	}
}

// profiles gathers the files of a directory in one element; nil if there are none.
func (f *confFiles) profiles(dir string) *element {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.xml")) // the pattern is a good one
	all := &element{XMLName: xml.Name{Local: "profiles"}}
	for _, path := range paths {
		if root := f.read(path); root != nil {
			all.Children = append(all.Children, root)
		}
	}
	if len(all.Children) == 0 {
		return nil
	}
	return all
}

// confName says where a setting is to be changed.
func (x *exam) confName(file string) string {
	if x.fromFiles {
		return filepath.Join(x.confDir, file)
	}
	return fmt.Sprintf("FreeSWITCH's %s", file)
}
