package client

import (
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
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

// TestContract: the requests have no member that the daemon does not take. The answers
// are the types that the daemon encodes.
func TestContract(t *testing.T) {
	doc := contract(t)
	for name, v := range map[string]any{"BanRequest": BanRequest{}, "TrustRequest": TrustRequest{}} {
		taken := doc.Components.Schemas[name].Value.Properties
		for member := range members(reflect.TypeOf(v)) {
			if taken[member] == nil {
				t.Errorf("%s has no member %q", name, member)
			}
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
