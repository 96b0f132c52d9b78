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

// An element is a part of FreeSWITCH's XML.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []*element `xml:",any"`
	Text     string     `xml:",chardata"`
}

// maxXML bounds a configuration file, in bytes.
const maxXML = 4 << 20

var (
	// Removed first: FreeSWITCH accepts "--" in comments, XML does not.
	comment = regexp.MustCompile(`(?s)<!--.*?-->`)
	// Removed: an answer says ISO-8859-1 whatever its encoding is.
	declaration = regexp.MustCompile(`^\s*<\?xml[^>]*\?>`)
)

// parseXML parses XML as FreeSWITCH does.
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

// attr returns an attribute; "" if there is none.
func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// text returns the text of the first child of that name.
func (e *element) text(name string) string {
	for _, child := range e.Children {
		if child.XMLName.Local == name {
			return strings.TrimSpace(child.Text)
		}
	}
	return ""
}

// all returns the elements of that name in e, itself included, but none within another.
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

// params returns <settings><param name= value=/></settings>. The last of a name counts.
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

// isTrue interprets a setting as FreeSWITCH does.
func isTrue(value string) bool {
	value = strings.ToLower(value)
	return slices.Contains([]string{"yes", "on", "true", "t", "enabled", "active", "allow"}, value) ||
		value != "" && strings.Trim(value, "0123456789") == "" && strings.Trim(value, "0") != ""
}

// isUnresolved reports whether a setting contains a variable that is not known.
func isUnresolved(value string) bool { return strings.Contains(value, "$${") }

// readFiles reads the parts that the switch did not return from FreeSWITCH's files, if it runs on
// this host.
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

// confFiles reads FreeSWITCH's files and expands the variables of vars.xml.
type confFiles struct{ variables map[string]string }

// read returns the root of a file; nil if it cannot be read.
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

// expand replaces the variables that are known.
func (f *confFiles) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(written string) string {
		if value, ok := f.variables[written[3:len(written)-1]]; ok {
			return value
		}
		return written
	})
}

// learn reads variables: <X-PRE-PROCESS cmd="set" data="name=value"/>.
func (f *confFiles) learn(root *element) {
	for _, set := range root.all("X-PRE-PROCESS") {
		name, value, ok := strings.Cut(set.attr("data"), "=")
		if ok && strings.EqualFold(set.attr("cmd"), "set") {
			f.variables[strings.TrimSpace(name)] = f.expand(value)
		}
	}
}

// profiles joins the files of a directory in one element; nil if there are none.
func (f *confFiles) profiles(dir string) *element {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.xml")) // the pattern is valid
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

// confName names the file of a setting.
func (x *exam) confName(file string) string {
	if x.fromFiles {
		return filepath.Join(x.confDir, file)
	}
	return fmt.Sprintf("FreeSWITCH's %s", file)
}
