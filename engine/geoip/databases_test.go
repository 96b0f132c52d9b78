package geoip_test

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/geoip"
	"freeswitch-security/engine/geoip/geoiptest"
)

var networks = map[string]event.Place{
	"203.0.113.0/24":  {Country: "RU", ASN: "AS64500", ASName: "Example Hosting"},
	"198.51.100.0/25": {Country: "DE", ASN: "AS64501", ASName: "Beispiel-Netz \u202e<b>"},
	"2001:db8::/32":   {Country: "FR", ASN: "AS4200000000", ASName: "Réseau d'exemple"},
}

// disk takes absolute paths.
type disk struct{}

func (disk) Open(name string) (fs.File, error) { return os.Open(name) }

func of(d *geoip.Databases, addr string) event.Place { return d.Of(netip.MustParseAddr(addr)) }

func TestLayouts(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][2]geoiptest.Layout{
		"maxmind, db-ip":     {geoiptest.MaxMindCountry, geoiptest.MaxMindASN},
		"ipinfo lite":        {geoiptest.IPinfoLite, geoiptest.IPinfoLite},
		"ipinfo country_asn": {geoiptest.IPinfoCountryASN, geoiptest.IPinfoCountryASN},
	} {
		country, asn := filepath.Join(t.TempDir(), "country.mmdb"), filepath.Join(t.TempDir(), "asn.mmdb")
		geoiptest.Write(t, country, files[0], networks)
		geoiptest.Write(t, asn, files[1], networks)
		d := geoip.Open(disk{}, country, asn)
		for _, f := range d.Files() {
			if f.Error != "" || f.Built != "2026-05-28" {
				t.Errorf("%s: %+v", name, f)
			}
		}
		for addr, want := range map[string]event.Place{
			"203.0.113.7":    networks["203.0.113.0/24"],
			"198.51.100.127": {Country: "DE", ASN: "AS64501", ASName: `Beispiel-Netz \u202e<b>`},
			"198.51.100.128": {},
			"2001:db8:1::2":  networks["2001:db8::/32"],
			"10.0.0.1":       {},
			"::1":            {},
		} {
			for range 2 {
				if got := of(d, addr); got != want {
					t.Errorf("%s: %s is at %+v, want %+v", name, addr, got, want)
				}
			}
		}
	}
	both := filepath.Join(t.TempDir(), "both.mmdb")
	geoiptest.Write(t, both, geoiptest.IPinfoLite, networks)
	if d := geoip.Open(disk{}, both, both); of(d, "203.0.113.7") != networks["203.0.113.0/24"] || len(d.Files()) != 1 {
		t.Errorf("one file for both: %+v, %+v", of(d, "203.0.113.7"), d.Files())
	}
	if d := geoip.Open(disk{}, both, ""); of(d, "203.0.113.7") != (event.Place{Country: "RU"}) || d.Has("asn") || d.Of(netip.Addr{}) != (event.Place{}) {
		t.Errorf("without asn: %+v", of(d, "203.0.113.7"))
	}
}

// write replaces the content of a file in place, as cp does, and dates it.
func write(t *testing.T, path string, content []byte, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// TestRefresh replaces a file in all ways while it is used. What was read last stays in use.
func TestRefresh(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "country.mmdb")
	russian := geoiptest.Make(t, geoiptest.MaxMindCountry, networks)
	moved := geoiptest.Make(t, geoiptest.MaxMindCountry, map[string]event.Place{"203.0.113.0/24": {Country: "US"}})
	hour := time.Now().Add(-time.Hour)
	d := geoip.Open(disk{}, path, "")
	expect := func(when, country, problem string) {
		t.Helper()
		d.Refresh()
		file := d.Files()[0]
		if got := of(d, "203.0.113.7").Country; got != country {
			t.Errorf("%s: country is %q, want %q", when, got, country)
		}
		if problem == "" && file.Error != "" || !strings.Contains(file.Error, problem) {
			t.Errorf("%s: the error is %q, want %q", when, file.Error, problem)
		}
	}
	expect("without a file", "", "no such file")
	write(t, path, russian, hour)
	expect("a file appears", "RU", "")
	write(t, path, nil, hour.Add(time.Minute))
	expect("truncated in place", "RU", "not a whole database")
	write(t, path, moved[:len(moved)-100], hour.Add(2*time.Minute))
	expect("half of it in place", "RU", "not a whole database")
	write(t, path, moved, time.Now())
	expect("whole, but just written", "RU", "not a whole database")
	write(t, path, moved, hour.Add(3*time.Minute))
	expect("whole again", "US", "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed", "US", "no such file")
	write(t, path, russian, hour)
	expect("the old one again", "RU", "")
	geoiptest.Write(t, path, geoiptest.MaxMindASN, networks)
	if err := os.Chtimes(path, hour, hour.Add(4*time.Minute)); err != nil {
		t.Fatal(err)
	}
	expect("a database of another kind", "", "it has no countries")
	write(t, path, []byte("<html>404 not found</html>"), hour.Add(5*time.Minute))
	expect("no database", "", "not a whole database")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, hour, hour); err != nil {
		t.Fatal(err)
	}
	expect("a directory", "", "not a regular file")
}

// TestLookupsBesideRefresh looks up while files are replaced; run with -race.
func TestLookupsBesideRefresh(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lite.mmdb")
	geoiptest.Write(t, path, geoiptest.IPinfoLite, networks)
	d := geoip.Open(disk{}, path, path)
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if got := of(d, "203.0.113.7"); got != networks["203.0.113.0/24"] {
						t.Errorf("at %+v", got)
						return
					}
				}
			}
		})
	}
	for i := range 20 {
		geoiptest.Write(t, path, geoiptest.IPinfoLite, networks)
		at := time.Now().Add(-time.Hour).Add(time.Duration(i) * time.Second)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		d.Refresh()
	}
	close(done)
	all.Wait()
}

func TestLookupDoesNotAllocate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lite.mmdb")
	geoiptest.Write(t, path, geoiptest.IPinfoLite, networks)
	d := geoip.Open(disk{}, path, path)
	addrs := []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("192.0.2.1")}
	if n := testing.AllocsPerRun(100, func() {
		for _, addr := range addrs {
			d.Of(addr)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDatabase opens and uses files that may be damaged.
func FuzzDatabase(f *testing.F) {
	for _, layout := range []geoiptest.Layout{geoiptest.MaxMindCountry, geoiptest.MaxMindASN, geoiptest.IPinfoLite} {
		f.Add(geoiptest.Make(f, layout, networks))
	}
	path := filepath.Join(f.TempDir(), "fuzzed.mmdb")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		d := geoip.Open(disk{}, path, path)
		for _, addr := range []string{"203.0.113.7", "198.51.100.1", "2001:db8::1", "::", "255.255.255.255"} {
			p := of(d, addr)
			if len(p.Country) > event.MaxField*4 || len(p.ASName) > event.MaxField*4 || strings.ContainsAny(p.Country+p.ASN+p.ASName, "\n\x1b\u202e") {
				t.Errorf("%s: %q", addr, p)
			}
		}
	})
}

// BenchmarkOf looks up addresses of a database of the usual size: 130,000 networks.
func BenchmarkOf(b *testing.B) {
	all := map[string]event.Place{}
	for i := range 130_000 {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(1 + i/650), byte(i / 3), byte(i * 7), 0}), 24).Masked()
		all[network.String()] = event.Place{Country: string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26)}), ASN: fmt.Sprintf("AS%d", 1+i%70_000), ASName: fmt.Sprintf("Network %d", i%70_000)}
	}
	path := filepath.Join(b.TempDir(), "lite.mmdb")
	geoiptest.Write(b, path, geoiptest.IPinfoLite, all)
	d := geoip.Open(disk{}, path, path)
	for name, attackers := range map[string]int{"1000 attackers": 1000, "every address": 1 << 24} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := uint32(0)
			for b.Loop() {
				n++
				at := n % uint32(attackers) * 2654435761
				d.Of(netip.AddrFrom4([4]byte{byte(1 + at>>24%200), byte(at >> 16), byte(at >> 8), byte(at)}))
			}
		})
	}
}
