package regex

import "testing"

var digits = New(`^[0-9]+$`)

func TestUse(t *testing.T) {
	if digits.compiled != nil {
		t.Error("compiled before its first use")
	}
	first := digits.Use()
	if !first.MatchString("12") || first.MatchString("1a") || digits.Use() != first {
		t.Error("another expression")
	}
}
