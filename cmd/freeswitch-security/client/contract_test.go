package client

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"freeswitch-security/engine/ban"
)

// contract is what the daemon promises.
func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../engine/admin/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestContract wants the answers to have all members that the daemon promises,
// under their names, and the requests none that it does not take.
func TestContract(t *testing.T) {
	doc := contract(t)
	for name, v := range map[string]any{
		"Ban": Ban{}, "Evidence": Evidence{}, "Trusted": Trusted{}, "Change": ban.Change{},
	} {
		conforms(t, name, reflect.TypeOf(v), doc.Components.Schemas[name].Value)
	}
	for name, v := range map[string]any{
		"Done": Done{}, "Result": Result{}, "BanRequest": BanRequest{}, "TrustRequest": TrustRequest{},
	} {
		promised := doc.Components.Schemas[name].Value.Properties
		for member := range members(reflect.TypeOf(v)) {
			if promised[member] == nil {
				t.Errorf("%s has no member %q", name, member)
			}
		}
	}
}

// conforms holds a type against a schema, and what it is made of likewise.
func conforms(t *testing.T, name string, typ reflect.Type, schema *openapi3.Schema) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		if typ.Kind() == reflect.Slice {
			schema = schema.Items.Value
		}
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || len(schema.Properties) == 0 {
		return
	}
	has := members(typ)
	for member, of := range schema.Properties {
		if has[member] == nil {
			t.Errorf("%s: %s is missing; there are %q", name, member, slices.Sorted(maps.Keys(has)))
			continue
		}
		conforms(t, name+"."+member, has[member], of.Value)
	}
	for member := range has {
		if schema.Properties[member] == nil {
			t.Errorf("%s: the daemon has no %s", name, member)
		}
	}
}

// members are the types of a struct's members by their names in JSON.
func members(typ reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(typ) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			all[name] = field.Type
		}
	}
	return all
}
