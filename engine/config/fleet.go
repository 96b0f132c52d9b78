package config

import (
	"fmt"
	"net/url"
	"slices"

	"freeswitch-security/engine/settings"
)

// What a node may share with its fleet.
const (
	ShareBans          = "bans" // with unbans and trust that was given at run time
	ShareCounts        = "counts"
	ShareRegistrations = "registrations"
)

// DefaultFromPeers is the number of bans that a node takes from its peers by default.
const DefaultFromPeers = 200_000

// Fleet is the fleet block: the NATS servers through which several guards share what they know, and
// what this one shares.
type Fleet struct {
	Servers []string // URLs, without secrets
	Node    string   // the name of this guard, unique in the fleet
	Bucket  string   // of JetStream's key-value store

	Credentials    string // path of a file with a JWT and its key, or with the seed of an nkey; "": none
	User, Password string // "": none
	CA, Cert, Key  string // files in PEM form; "": the system's authorities, no certificate

	Share        []string // of the words above
	MaxFromPeers int      // bans

	Fingerprint settings.Fingerprint
}

// Shares reports whether the node shares something, and takes the same from its peers.
func (f *Fleet) Shares(what string) bool { return slices.Contains(f.Share, what) }

// IsNode reports whether a name may be that of a node or a bucket of a fleet: a token of a subject.
func IsNode(name string) bool {
	for i := range len(name) {
		switch b := name[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '_', b == '-':
		default:
			return false
		}
	}
	return name != "" && len(name) <= 32
}

// decodeFleet reads the fleet block. Without one there is no fleet.
func (l *loader) decodeFleet(blocks []*settings.Block) {
	if len(blocks) == 0 {
		return
	}
	b := blocks[0]
	for _, extra := range blocks[1:] {
		extra.Skip()
		extra.Error("", "Set twice", fmt.Sprintf("There is one fleet, set at %s. Put everything into that block.", settings.Where(b.Range)))
	}
	f := &Fleet{
		Bucket: "freeswitch-security", MaxFromPeers: DefaultFromPeers,
		Share: []string{ShareBans, ShareCounts, ShareRegistrations},
	}
	f.decodeServers(b)
	if b.Require("node", `Write the name of this guard, which no other in the fleet has: node = "sbc1".`) {
		decodeFleetName(b, "node", &f.Node)
	}
	decodeFleetName(b, "bucket", &f.Bucket)
	b.Path("credentials", &f.Credentials)
	b.String("user", &f.User)
	b.String("password", &f.Password)
	if b.Has("user") != b.Has("password") {
		b.Error("", "Incomplete login", "A user needs its password, and a password its user: set user and password.")
	}
	if attr := b.Attribute("password"); attr != nil && !isFetched(attr.Expr) {
		b.Error("password", "Password in a rule file", `Rule files are read and copied by many. Put the password into the environment or a file of its own: password = env("NATS_PASSWORD").`)
	}
	b.Enums("share", &f.Share, ShareBans, ShareCounts, ShareRegistrations)
	b.Int("max_from_peers", &f.MaxFromPeers, 0, 1_000_000)
	if t := b.One("tls"); t != nil {
		t.Path("ca", &f.CA)
		t.Path("cert", &f.Cert)
		t.Path("key", &f.Key)
		if t.Has("cert") != t.Has("key") {
			t.Error("", "Incomplete TLS", "A certificate needs its key and a key its certificate: set cert and key.")
		}
	}
	f.Fingerprint = b.Fingerprint()
	l.cfg.Fleet = f
}

func (f *Fleet) decodeServers(b *settings.Block) {
	if !b.Require("servers", `Write where the NATS servers are: servers = ["tls://nats1.example:4222"].`) {
		return
	}
	texts, _ := b.Texts("servers")
	for _, t := range texts {
		switch u, err := url.Parse(t.Value); {
		case err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			b.ErrorAt(t.Range, "Not a NATS server", `Write nats://host:4222, or tls://host:4222 for an encrypted connection.`)
		case u.User != nil:
			b.ErrorAt(t.Range, "Secret in a URL", `Leave the user and the password out of the URL: set user = "guard" and password = env("NATS_PASSWORD"), or credentials.`)
		default:
			f.Servers = append(f.Servers, t.Value)
		}
	}
	if len(texts) == 0 && !b.Failed() {
		b.Error("servers", "No server", `Write at least one: servers = ["tls://nats1.example:4222"].`)
	}
}

func decodeFleetName(b *settings.Block, name string, target *string) {
	if t, ok := b.Text(name); ok {
		if !IsNode(t.Value) {
			b.Error(name, "Invalid name", "Write 1 to 32 letters, digits, _ or -.")
			return
		}
		*target = t.Value
	}
}
