package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
)

// TestTranslators has one guesser and one phone with a typo behind each kind of translator: only the
// guesser is banned. The site's own prefix is that of its rule files.
func TestTranslators(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules.d")
	if err := os.CopyFS(dir, os.DirFS(shippedRules)); err != nil {
		t.Fatal(err)
	}
	own := []byte("security {\n  nat64 = [\"2001:db8:64::/96\", \"2001:db8:65::/64\"]\n}\n")
	if err := os.WriteFile(filepath.Join(dir, "99-own.hcl"), own, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags, files := config.Load(dir, kinds, nil)
	if len(diags) > 0 {
		config.Print(os.Stderr, diags, files, 0, false)
		t.Fatal("the rules are not clean")
	}
	for _, test := range []struct {
		phone, guesser string // "%x" is the number of the attempt
		want           string
	}{
		{"64:ff9b::c633:6404", "64:ff9b::c633:6403", "64:ff9b::c633:6403"},
		{"2001:db8:64::c633:6404", "2001:db8:64::c633:6403", "2001:db8:64::c633:6403"},
		{"2001:db8:65:0:c6:3364:400:0", "2001:db8:65:0:c6:3364:300:0", "2001:db8:65:0:c6:3364:300:0/104"},
		{"2001:0:53aa:64c:1234:5678:9abc:1", "2001:0:53aa:64c:1234:5678:9abc:2", "2001:0:53aa:64c:1234:5678:9abc:2"},
		{"2002:c633:6404::1", "2002:c633:6403:%x::1", "2002:c633:6403::/48"},
		{"198.51.100.4", "::ffff:198.51.100.3", "198.51.100.3"},
		{"2001:db8:1::1", "2001:db8:2::%x", "2001:db8:2::/64"},
	} {
		var log strings.Builder
		fails := func(second int, ip string) {
			fmt.Fprintf(&log, "2026-05-04 10:00:%02d.000000 97.10%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@192.0.2.10] from ip %s\n", second, ip)
		}
		fails(0, test.phone)
		for i := range 5 {
			guesser := test.guesser
			if strings.Contains(guesser, "%") {
				guesser = fmt.Sprintf(guesser, i)
			}
			fails(i+1, guesser)
		}
		var bans []string
		for _, c := range play(t, cfg, map[string][]byte{"log.freeswitch": []byte(log.String())}) {
			if c.Kind == ban.KindBan {
				bans = append(bans, c.Target.String())
			}
		}
		if !slices.Equal(bans, []string{test.want}) {
			t.Errorf("%s was banned as %q, want %s", test.guesser, bans, test.want)
		}
	}
}
