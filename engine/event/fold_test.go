package event

import "testing"

func TestFold(t *testing.T) {
	for name, want := range map[string]string{
		"":                  "",
		"1000":              "1000",
		"Sales@PBX.example": "sales@pbx.example",
		"@[`{":              "@[`{", // beside A and Z in ASCII
		"\u212aelvin":       "\u212aelvin",
		"STRASSE\xff":       "strasse\xff",
	} {
		if got := Fold(name); got != want {
			t.Errorf("Fold(%q) = %q, want %q", name, got, want)
		}
	}
	small := "1000@pbx.example.com"
	if n := testing.AllocsPerRun(10, func() { Fold(small) }); n > 0 {
		t.Errorf("a name in small letters allocates %v times", n)
	}
}

// TestCounted holds the fields that name accounts to their folded form, and all others to their own.
func TestCounted(t *testing.T) {
	for i := range Fields {
		f := &Fields[i]
		if f.At == nil {
			continue
		}
		e := &Event{}
		*f.At(e) = "AbC"
		want := "AbC"
		if f.Name == "user" || f.Name == "domain" || f.Name == "to_user" {
			want = "abc"
		}
		if got := f.Counted(e); got != want || f.Get(e) != "AbC" {
			t.Errorf("%s is counted as %q and shown as %q, want %q and %q", f.Name, got, f.Get(e), want, "AbC")
		}
	}
}
