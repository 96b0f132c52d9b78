package event

import (
	"strings"
	"testing"
)

func TestMistyped(t *testing.T) {
	for _, test := range []struct{ given, want string }{
		{"auth_failures", AuthFailure}, {"auth_falure", AuthFailure}, {"cal", Call}, {"cold", ""}, {"toll_fraud", ""}, {"call", Call},
	} {
		if got := Mistyped(test.given, Names); got != test.want {
			t.Errorf("%q: %q, want %q", test.given, got, test.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for given, want := range map[string]string{
		"usr": ` Did you mean "user"?`, "User_Agent": ` Did you mean "user_agent"?`, "nosuchthing": "", "": "", "x": "",
	} {
		if got := DidYouMean(given, FieldNames); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

// TestNearest covers each kind of edit, the limit and the order of ties.
func TestNearest(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, test := range []struct {
		given string
		known []string
		want  string
	}{
		{"kiten", []string{"kitten"}, "kitten"},            // an insertion
		{"kittten", []string{"kitten"}, "kitten"},          // a removal
		{"kittan", []string{"kitten"}, "kitten"},           // a replacement
		{"kitetn", []string{"mitten", "kitten"}, "kitten"}, // a swap
		{"kitten", []string{"sitting"}, "sitting"},
		{"lst", []string{"test", "last", "list"}, "last"},
		{"stats", []string{"start", "state", "status"}, "state"},
		{"bitten", []string{"kitten", "bittern"}, "bittern"}, // the beginning decides
		{"kitten", []string{"sittings"}, ""},
		{"ab", []string{"ac", "ad"}, "ac"},
		{"abcd", []string{"abce", "ABCD"}, "ABCD"},
		{long, []string{long}, ""},
	} {
		if got := Nearest(test.given, test.known); got != test.want {
			t.Errorf("%q among %q: %q, want %q", test.given, test.known, got, test.want)
		}
	}
}
