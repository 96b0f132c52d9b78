// Package geoiptest makes databases of addresses for tests, as their makers lay them out.
package geoiptest

import (
	"bytes"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"freeswitch-security/engine/event"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"
)

// A Layout makes the record of a network.
type Layout func(event.Place) mmdbtype.DataType

// MaxMindCountry is the layout of GeoLite2-Country and of DB-IP's database of countries.
func MaxMindCountry(p event.Place) mmdbtype.DataType {
	return mmdbtype.Map{
		"continent": mmdbtype.Map{"code": mmdbtype.String("XX")},
		"country":   mmdbtype.Map{"iso_code": mmdbtype.String(p.Country), "names": mmdbtype.Map{"en": mmdbtype.String("Name of " + p.Country)}},
	}
}

// MaxMindASN is the layout of GeoLite2-ASN and of DB-IP's database of networks.
func MaxMindASN(p event.Place) mmdbtype.DataType {
	n, _ := strconv.ParseUint(strings.TrimPrefix(p.ASN, "AS"), 10, 32)
	return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(n), "autonomous_system_organization": mmdbtype.String(p.ASName)}
}

// IPinfoLite is the layout of ipinfo_lite.mmdb, which has both.
func IPinfoLite(p event.Place) mmdbtype.DataType {
	return mmdbtype.Map{
		"asn": mmdbtype.String(p.ASN), "as_name": mmdbtype.String(p.ASName), "as_domain": mmdbtype.String("example.net"),
		"country": mmdbtype.String("Name of " + p.Country), "country_code": mmdbtype.String(p.Country),
	}
}

// IPinfoCountryASN is the layout of IPinfo's earlier country_asn.mmdb.
func IPinfoCountryASN(p event.Place) mmdbtype.DataType {
	return mmdbtype.Map{
		"asn": mmdbtype.String(p.ASN), "as_name": mmdbtype.String(p.ASName),
		"country": mmdbtype.String(p.Country), "country_name": mmdbtype.String("Name of " + p.Country),
	}
}

// Make returns a database with the networks.
func Make(t testing.TB, layout Layout, networks map[string]event.Place) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", BuildEpoch: 1_780_000_000, IncludeReservedNetworks: true, DisableIPv4Aliasing: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, place := range networks {
		if err := tree.Insert(netipx.PrefixIPNet(netip.MustParsePrefix(network)), layout(place)); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Write puts such a database at a path, in place of another file.
func Write(t testing.TB, path string, layout Layout, networks map[string]event.Place) {
	t.Helper()
	if err := os.WriteFile(path+".new", Make(t, layout, networks), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
