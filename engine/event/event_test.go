package event

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestParseAddr(t *testing.T) {
	for _, c := range []struct {
		in   string
		addr string
		port uint16
	}{
		{"203.0.113.7", "203.0.113.7", 0},
		{"203.0.113.7:5060", "203.0.113.7", 5060},
		{"2001:db8::1", "2001:db8::1", 0},
		{"[2001:db8::1]", "2001:db8::1", 0},
		{"[2001:db8::1]:5060", "2001:db8::1", 5060},
		{"::ffff:203.0.113.7", "203.0.113.7", 0},
		{"[::ffff:203.0.113.7]:5060", "203.0.113.7", 5060},
		{"fe80::1%eth0", "fe80::1", 0},
		{"2001:db8:6c61:db40::d4a1:c138:60205", "2001:db8:6c61:db40::d4a1:c138", 60205},
		{"2001:db8::1:5060", "2001:db8::1:5060", 0}, // is an address without a port
	} {
		addr, port, ok := ParseAddr(c.in)
		if !ok || addr.String() != c.addr || port != c.port {
			t.Errorf("ParseAddr(%q) = %s, %d, %v; want %s, %d", c.in, addr, port, ok, c.addr, c.port)
		}
	}
	if addr, port, ok := ParseAddrPort("2001:db8::1:5060"); !ok || addr.String() != "2001:db8::1" || port != 5060 {
		t.Errorf("ParseAddrPort = %s, %d, %v", addr, port, ok)
	}
	for _, bad := range []string{
		"", "1", "010.0.0.1", "localhost", "203.0.113.7:", "203.0.113.7:70000", "203.0.113.7:-1", "[203.0.113.7", "203.0.113.7]:5060",
		"[]", ":", "203.0.113.7 ", "203.0.113.7\r", "203.0.113.7/24",
	} {
		if addr, port, ok := ParseAddr(bad); ok {
			t.Errorf("ParseAddr(%q) = %s, %d; want none", bad, addr, port)
		}
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, seed := range []string{"203.0.113.7:5060", "[::ffff:1.2.3.4]:1", "fe80::1%eth0", "2001:db8::1:5060"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, _, ok := ParseAddr(s)
		if !ok {
			return
		}
		if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
			t.Fatalf("ParseAddr(%q) = %#v", s, addr)
		}
		if again, port, ok := ParseAddr(addr.String()); !ok || again != addr || port != 0 {
			t.Fatalf("ParseAddr(%q) gives %s, which reads as %s, %d, %v", s, addr, again, port, ok)
		}
	})
}

// TestFields sets every field by its name and reads it again.
func TestFields(t *testing.T) {
	seen := map[string]bool{}
	for i, field := range Fields {
		if FieldNames[i] != field.Name || FieldNamed(field.Name) != &Fields[i] || seen[field.Name] {
			t.Errorf("row %d: %s is not found by its name", i, field.Name)
		}
		seen[field.Name] = true
		if field.Doc == "" || field.Kind == "" || (field.Kind == Text) != (field.At != nil) || (field.Kind == Text) != (field.Bound > 0) {
			t.Errorf("%s: incomplete row: %+v", field.Name, field)
		}
		var e Event
		if field.Get(&e) != "" {
			t.Errorf("%s has a value in an empty event", field.Name)
		}
		value := map[Kind]string{Text: "some " + field.Name, Address: "203.0.113.7", Number: "5060", Flag: "true"}[field.Kind]
		if err := e.Set(field.Name, value); (err == nil) != field.Settable {
			t.Errorf("Set(%q): %v", field.Name, err)
		} else if err == nil && field.Get(&e) != value {
			t.Errorf("%s was set to %q and is %q", field.Name, value, field.Get(&e))
		}
		if len(e.Fields) > 0 {
			t.Errorf("%s became a raw field", field.Name)
		}
	}
	if FieldNamed("acl") != nil {
		t.Error("a raw field has a row")
	}
}

func TestVocabulary(t *testing.T) {
	for i, word := range Vocabulary {
		if Names[i] != word.Name || word.Name == "" || word.Doc == "" || slices.Contains(Names[:i], word.Name) {
			t.Errorf("row %d: %+v", i, word)
		}
	}
}

func TestSetBoundsAndRefuses(t *testing.T) {
	var e Event
	long := strings.Repeat("x", 5000)
	for _, name := range []string{"event", "user", "user_agent", "something"} {
		if err := e.Set(name, long); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.Name) != MaxField || len(e.User) != MaxField || len(e.UserAgent) != MaxField || len(e.Fields["something"]) != MaxField {
		t.Errorf("not bounded: %d, %d, %d", len(e.User), len(e.UserAgent), len(e.Fields["something"]))
	}
	if err := e.Set("message", long); err != nil || len(e.Message) != MaxText {
		t.Errorf("message: %d bytes, %v", len(e.Message), err)
	}
	for name, bad := range map[string]string{"ip": "localhost", "port": "70000", "repeat": "perhaps"} {
		if err := e.Set(name, bad); err == nil {
			t.Errorf("Set(%q, %q) succeeded", name, bad)
		}
	}
	if err := e.Set("ip", "[2001:db8::1]:5061"); err != nil || e.Port != 5061 || e.IP != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("address with port: %s %d %v", e.IP, e.Port, err)
	}
	if err := e.Set("repeat", "true"); err != nil || !e.Repeat {
		t.Errorf("repeat: %v", err)
	}
}

// TestVerified: what a caller may have chosen is not verified.
func TestVerified(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields map[string]string
		want   bool
	}{
		{AuthSuccess, nil, true},
		{AuthFailure, nil, false},
		{Registered, nil, false},
		{Registered, map[string]string{"authenticated": "true"}, true},
		{Registered, map[string]string{"authenticated": "true", "username": "Anna"}, true},
		{Registered, map[string]string{"authenticated": "true", "username": "1005"}, false},
		{Registered, map[string]string{"authenticated": "true", "username": ""}, false},
		{Call, nil, false},
		{CallAnswered, map[string]string{"variable_sip_authorized": "true"}, true},
		{Call, map[string]string{"variable_sip_authorized": "true"}, true},
		{Call, map[string]string{"variable_sip_authorized": "true", "authenticated": "false"}, false},
	} {
		e := Event{Name: test.name, User: "anna", Fields: test.fields}
		if e.Verified() != test.want || test.want && !slices.Contains(VerifiedEvents, test.name) {
			t.Errorf("%s %v: %t", test.name, test.fields, e.Verified())
		}
	}
}

// TestPrintable leaves no byte or character that is not visible, alone and beside plain text.
func TestPrintable(t *testing.T) {
	all := []string{"\xe2\x80", "\xed\xa0\x80", string(unicode.MaxRune), "\ufeff", "\ufff9", "\U000E0001"}
	for b := range 256 {
		all = append(all, string([]byte{byte(b)}))
	}
	for r := range rune(0x3100) {
		all = append(all, string(r))
	}
	for _, s := range all {
		for _, s := range []string{s, "plain " + s + " text", strings.Repeat("x", MaxField-1) + s + s} {
			got := Printable(s)
			hidden := func(r rune) bool { return !unicode.IsPrint(r) }
			plain := len(s) <= MaxField && utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) && !strings.ContainsRune(s, unicode.ReplacementChar)
			if !utf8.ValidString(got) || strings.ContainsFunc(got, hidden) || plain && got != s {
				t.Fatalf("Printable(%q) = %q", s, got)
			}
		}
	}
}
