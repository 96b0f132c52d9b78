package event

import (
	"slices"
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

func TestEditDistance(t *testing.T) {
	words := []string{"", "a", "ab", "ba", "abc", "acb", "kitten", "sitting"}
	var distances []int
	for _, w := range words {
		distances = append(distances, editDistance("ab", w))
	}
	if want := []int{2, 1, 0, 2, 1, 1, 6, 7}; !slices.Equal(distances, want) {
		t.Errorf("distances %v, want %v", distances, want)
	}
	if d := editDistance("kitten", "sitting"); d != 3 {
		t.Errorf("kitten to sitting: %d", d)
	}
}
