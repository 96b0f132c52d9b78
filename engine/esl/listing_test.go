package esl

import (
	"context"
	"fmt"
	"testing"
)

// A fixed console has one answer.
type fixed string

func (f fixed) API(context.Context, string, ...string) (string, error) { return string(f), nil }

// TestMultipleRegistrations reads the setting as sofia.c does.
func TestMultipleRegistrations(t *testing.T) {
	const name = "multiple-registrations"
	for _, test := range []struct {
		params [][2]string
		want   bool
	}{
		{nil, false},
		{[][2]string{{name, "contact"}}, true},
		{[][2]string{{name, "CALL-ID"}}, true},
		{[][2]string{{name, "true"}}, true},
		{[][2]string{{name, "1"}}, true},
		{[][2]string{{name, "0"}}, false},
		{[][2]string{{name, "maybe"}}, false},
		{[][2]string{{name, "true"}, {name, "false"}}, false},
		{[][2]string{{"manage-shared-appearance", "yes"}}, true},
		{[][2]string{{"manage-shared-appearance", "no"}}, false},
	} {
		answer := `<?xml version="1.0" encoding="ISO-8859-1"?><configuration name="sofia.conf"><profiles><profile name="internal"><settings>`
		for _, p := range test.params {
			answer += fmt.Sprintf(`<param name="%s" value="%s"></param>`, p[0], p[1])
		}
		answer += `</settings></profile><profile name="other"><settings/></profile></profiles></configuration>`
		several, err := MultipleRegistrations(t.Context(), fixed(answer))
		if err != nil || several["internal"] != test.want || several["other"] {
			t.Errorf("%v: %v, %v", test.params, several, err)
		}
	}
	if _, err := MultipleRegistrations(t.Context(), fixed("-ERR no such command")); err == nil {
		t.Error("an answer that is no configuration")
	}
}
