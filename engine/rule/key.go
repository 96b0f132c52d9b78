package rule

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// maxKeyParts bounds the fields of a key.
const maxKeyParts = 4

// ParseKey reads the parts of `per`: the name of a field, "ip/24" for an IPv4 network
// ("ip/24,48" for networks of both families), or "user@domain" for both fields.
func ParseKey(parts []string) (Key, error) {
	var key Key
	for _, text := range parts {
		if text == "user@domain" {
			key = append(key, KeyPart{Field: "user"}, KeyPart{Field: "domain"})
			continue
		}
		part, err := parseKeyPart(text)
		if err != nil {
			return nil, err
		}
		key = append(key, part)
	}
	switch {
	case len(key) == 0:
		return nil, errors.New(`a key needs at least one field, such as "ip"`)
	case len(key) > maxKeyParts:
		return nil, fmt.Errorf("a key has at most %d fields, this one has %d", maxKeyParts, len(key))
	}
	for i, part := range key {
		if slices.ContainsFunc(key[:i], func(k KeyPart) bool { return k.Field == part.Field }) {
			return nil, fmt.Errorf("%q is in the key twice", part.Field)
		}
	}
	return key, nil
}

func parseKeyPart(text string) (KeyPart, error) {
	if lengths, ok := strings.CutPrefix(text, "ip/"); ok {
		network, err := ParseNetwork(lengths)
		return KeyPart{Field: "ip", Network: network}, err
	}
	field, err := parseField(text)
	if err != nil {
		return KeyPart{}, err
	}
	if field == "ip" {
		return KeyPart{Field: "ip", Network: Host}, nil
	}
	return KeyPart{Field: field}, nil
}

// ParseDistinct reads the value of `distinct`: the name of a field, or "ip/24,48" for networks.
func ParseDistinct(text string) (string, error) {
	_, err := parseKeyPart(text)
	return text, err
}

// parseField reads the name of a field that can be counted: the value of
// `distinct`, or a part of `per`.
func parseField(name string) (string, error) {
	field := event.FieldNamed(name)
	switch {
	case field == nil && strings.Contains(name, ","):
		return "", fmt.Errorf("several fields are a list: [\"%s\"]", strings.Join(strings.FieldsFunc(event.Bound(name, 64), func(r rune) bool { return r == ',' || r == ' ' }), `", "`))
	case field == nil:
		return "", fmt.Errorf("there is no field %q to count by.%s", event.Bound(name, 64), cmp.Or(event.MeantField(name), countable))
	case field.NoKey != "":
		return "", fmt.Errorf("%q cannot be counted by: %s", name, field.NoKey)
	}
	return name, nil
}

// countable names the fields by which rules mostly count.
const countable = ` Most rules count by "ip", "ip/24", "user", "user@domain", "destination" or "user_agent".`

// ParseNetwork reads prefix lengths of IPv4 and IPv6: "24,64". Without the second, IPv6
// has no network.
func ParseNetwork(s string) (Network, error) {
	v4, v6, both := strings.Cut(s, ",")
	n := Network{}
	var err error
	if n.V4, err = prefixLength(v4, "IPv4", 32); err != nil {
		return Network{}, err
	}
	if both {
		if n.V6, err = prefixLength(v6, "IPv6", 128); err != nil {
			return Network{}, err
		}
	}
	return n, nil
}

func prefixLength(s, family string, longest int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 1 || n > longest {
		return 0, fmt.Errorf("%q is not a prefix length of %s: write 1 to %d, such as \"24\" or \"24,64\" for IPv4 and IPv6",
			event.Bound(s, 16), family, longest)
	}
	return n, nil
}

// Of returns the network around an address, see [ban.NAT64.Around]. It reports false for an
// invalid address and for a family without a prefix length.
func (n Network) Of(addr netip.Addr, nat64 ban.NAT64) (netip.Prefix, bool) {
	if !addr.IsValid() || addr.Is4() && n.V4 == 0 || addr.Is6() && n.V6 == 0 {
		return netip.Prefix{}, false
	}
	return nat64.Around(addr, n.V4, n.V6), true
}

// String returns the form that [ParseNetwork] reads.
func (n Network) String() string {
	if n.V6 == 0 {
		return strconv.Itoa(n.V4)
	}
	return strconv.Itoa(n.V4) + "," + strconv.Itoa(n.V6)
}

// String returns the key as in a rule file: "ip", "ip/24", "user@domain", "ip,method",
// "ip,user@domain".
func (k Key) String() string {
	names := make([]string, len(k))
	for i, part := range k {
		names[i] = part.Field
		if part.Field == "ip" && part.Network != Host {
			names[i] += "/" + part.Network.String()
		}
	}
	return k.join(names)
}

// join joins one text for each part of the key; user and domain are joined by "@".
func (k Key) join(parts []string) string {
	var b strings.Builder
	for i, part := range parts {
		switch {
		case i > 0 && k[i-1].Field == "user" && k[i].Field == "domain":
			b.WriteByte('@')
		case i > 0:
			b.WriteByte(',')
		}
		b.WriteString(part)
	}
	return b.String()
}
