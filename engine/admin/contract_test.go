package admin

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

// generatedBelow is the line of openapi.yaml below which it is generated.
const generatedBelow = "    # Below: generated from the Go types by go test ./engine/admin -run TestContract -update\n"

// answers are the types that the API answers with, beside those that they hold.
var answers = []any{
	Health{}, status.Status{}, status.KernelPage{}, status.Tracker{}, engine.Findings{},
	status.Done{}, status.Result{}, status.Cleared{}, status.Ban{}, status.Trusted{}, ban.Change{},
	history.Span{}, history.Incident{},
}

// enums are the types that hold one of a few texts.
var enums = map[reflect.Type]string{
	reflect.TypeFor[status.Severity](): "ok, info, warning, critical",
	reflect.TypeFor[ban.Kind]():        strings.Trim(strings.ReplaceAll(fmt.Sprint(ban.Kinds), " ", ", "), "[]"),
}

// TestContract holds the schemas in openapi.yaml against the Go types of the answers.
// A field is described by its comment.
func TestContract(t *testing.T) {
	const file = "openapi.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	written, generated, found := strings.Cut(string(text), generatedBelow)
	if !found {
		t.Fatalf("%s has no line %q", file, generatedBelow)
	}
	g := &generator{comments: comments(t, ".", "..", "../status", "../ban", "../history"), done: map[reflect.Type]bool{}}
	for _, answer := range answers {
		g.todo = append(g.todo, reflect.TypeOf(answer))
	}
	for len(g.todo) > 0 {
		next := g.todo[0]
		g.todo = g.todo[1:]
		g.component(next)
	}
	if g.out.String() == generated {
		return
	}
	if !*golden.Update {
		t.Fatalf("the schemas in %s are not those of the Go types: go test ./engine/admin -run TestContract -update", file)
	}
	if err := os.WriteFile(file, []byte(written+generatedBelow+g.out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A generator writes OpenAPI schemas of Go types.
type generator struct {
	out      strings.Builder
	comments map[string]string // of types and fields: "status.Source", "status.Source.Lag"
	todo     []reflect.Type
	done     map[reflect.Type]bool
}

// component writes the schema of a struct.
func (g *generator) component(t reflect.Type) {
	if g.done[t] {
		return
	}
	g.done[t] = true
	fmt.Fprintf(&g.out, "\n    %s:\n      type: object\n      additionalProperties: false\n", t.Name())
	if text := g.comments[t.String()]; text != "" {
		fmt.Fprintf(&g.out, "      description: %q\n", text)
	}
	var required []string
	var properties strings.Builder
	g.fields(t, func(name, schema string, optional bool) {
		if !optional {
			required = append(required, name)
		}
		fmt.Fprintf(&properties, "        %s: %s\n", name, schema)
	})
	if len(required) > 0 {
		fmt.Fprintf(&g.out, "      required: [%s]\n", strings.Join(required, ", "))
	}
	g.out.WriteString("      properties:\n" + properties.String())
}

// fields yields the members that a struct has in JSON.
func (g *generator) fields(t reflect.Type, yield func(name, schema string, optional bool)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			g.fields(f.Type, yield)
		case name != "-" && f.IsExported():
			var description string
			if text := g.comments[t.String()+"."+f.Name]; text != "" {
				description = fmt.Sprintf("description: %q", text)
			}
			yield(name, g.schema(f.Type, description), options != "")
		}
	}
}

// schema is that of a type, with further members.
func (g *generator) schema(t reflect.Type, more ...string) string {
	object := func(members ...string) string {
		all := append(members, more...)
		if all[len(all)-1] == "" {
			all = all[:len(all)-1]
		}
		return "{" + strings.Join(all, ", ") + "}"
	}
	_, isText := t.MethodByName("MarshalText")
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object("type: string", "format: date-time")
	case enums[t] != "":
		return object("type: string", "enum: ["+enums[t]+"]")
	case isText, t.Kind() == reflect.String:
		return object("type: string")
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		return object("nullable: true", "allOf: ["+g.schema(t.Elem())+"]")
	case t.Kind() == reflect.Pointer:
		inner := g.schema(t.Elem())
		return object(inner[1:len(inner)-1], "nullable: true")
	case t.Kind() == reflect.Slice:
		members := []string{"type: array", "items: " + g.schema(t.Elem())}
		if t.Name() == "" { // not a List: nil is null
			members = append(members, "nullable: true")
		}
		return object(members...)
	case t.Kind() == reflect.Map:
		return object("type: object", "additionalProperties: "+g.schema(t.Elem()))
	case t.Kind() == reflect.Struct:
		g.todo = append(g.todo, t)
		return fmt.Sprintf(`{$ref: "#/components/schemas/%s"}`, t.Name())
	case t.Kind() == reflect.Bool:
		return object("type: boolean")
	case t.Kind() == reflect.Float64:
		return object("type: number")
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return object("type: integer", "minimum: 0")
	}
	return object("type: integer")
}

// comments reads the comments of the types in some packages, and of their fields.
func comments(t *testing.T, dirs ...string) map[string]string {
	all := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				decl, ok := n.(*ast.GenDecl)
				if !ok || decl.Tok != gotoken.TYPE {
					return true
				}
				for _, spec := range decl.Specs {
					typ := spec.(*ast.TypeSpec)
					name := parsed.Name.Name + "." + typ.Name.Name
					all[name] = oneLine(decl.Doc)
					if s, ok := typ.Type.(*ast.StructType); ok {
						for _, f := range s.Fields.List {
							for _, n := range f.Names {
								all[name+"."+n.Name] = oneLine(f.Doc) + oneLine(f.Comment)
							}
						}
					}
				}
				return false
			})
		}
	}
	return all
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
