package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// An authority signs certificates of one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.sign("ca", time.Now().Add(time.Hour))
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// sign writes a certificate that ends at a time, and its key. The first one is that of the authority.
func (a *authority) sign(name string, until time.Time) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IPAddresses: []net.IP{{127, 0, 0, 1}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.cert == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		a.cert, a.key = c, key
	}
	signed, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))
	a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare}))
}

func (a *authority) write(name string, text []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// serve has a server show a certificate, and ask for one of the client.
func (a *authority) serve(cert string, verify bool) func(*server.Options) {
	return func(o *server.Options) {
		pair, err := tls.LoadX509KeyPair(a.path(cert+".crt"), a.path(cert+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		o.TLS, o.TLSTimeout = true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		if verify {
			o.TLSConfig.ClientCAs, o.TLSConfig.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
			text, err := os.ReadFile(a.path("ca.crt"))
			if err != nil || !o.TLSConfig.ClientCAs.AppendCertsFromPEM(text) {
				a.t.Fatal(err)
			}
		}
	}
}

// TestTLS: a node joins by a private authority, with a certificate of its own where the server asks for one;
// what is wrong with certificates is said in words.
func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.sign("server", time.Now().Add(time.Hour))
	a.sign("client", time.Now().Add(time.Hour))
	a.sign("old", time.Now().Add(-time.Hour))
	for _, c := range []struct {
		name   string
		serve  func(*server.Options)
		change func(*config.Fleet)
		want   string // "": it joins
	}{
		{"private authority", a.serve("server", false), func(f *config.Fleet) { f.CA = a.path("ca.crt") }, ""},
		{"certificate of the guard", a.serve("server", true), func(f *config.Fleet) {
			f.CA, f.Cert, f.Key = a.path("ca.crt"), a.path("client.crt"), a.path("client.key")
		}, ""},
		{"wrong authority", a.serve("server", false), func(f *config.Fleet) { f.CA = other.path("ca.crt") }, "no authority that this guard trusts has signed the server's certificate"},
		{"expired", a.serve("old", false), func(f *config.Fleet) { f.CA = a.path("ca.crt") }, "the server's certificate has expired"},
		{"no certificate of the guard", a.serve("server", true), func(f *config.Fleet) { f.CA = a.path("ca.crt") }, "the server asks for a certificate"},
		{"no file", a.serve("server", false), func(f *config.Fleet) { f.CA = a.path("none.crt") }, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, fleettest.Serve(t, c.serve), "a")
			c.change(&g.cfg)
			if c.want == "" {
				g.join()
			} else {
				g.start().says(c.want)
			}
		})
	}
}

// TestCredentials: a node logs in by a file with a JWT, or with the seed of an nkey.
func TestCredentials(t *testing.T) {
	pair := func(prefix nkeys.PrefixByte) (key nkeys.KeyPair, public string, seed []byte) {
		key, err := nkeys.CreatePair(prefix)
		if err == nil {
			public, err = key.PublicKey()
		}
		if err == nil {
			seed, err = key.Seed()
		}
		if err != nil {
			t.Fatal(err)
		}
		return key, public, seed
	}
	join := func(t *testing.T, serve func(*server.Options), credentials []byte, want string) {
		g := newGuard(t, fleettest.Serve(t, serve), "a")
		g.cfg.Credentials = filepath.Join(t.TempDir(), "guard.creds")
		if err := os.WriteFile(g.cfg.Credentials, credentials, 0o600); err != nil {
			t.Fatal(err)
		}
		if want != "" {
			g.start().says(want)
			return
		}
		g.join()
	}
	_, public, seed := pair(nkeys.PrefixByteUser)
	_, stranger, unknown := pair(nkeys.PrefixByteUser)
	known := func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }
	t.Run("nkey", func(t *testing.T) { join(t, known, seed, "") })
	t.Run("unknown nkey", func(t *testing.T) { join(t, known, unknown, "does not accept the credentials") })
	t.Run("no key", func(t *testing.T) { join(t, known, []byte(stranger), "credentials") })

	operator, operatorKey, _ := pair(nkeys.PrefixByteOperator)
	account, accountKey, _ := pair(nkeys.PrefixByteAccount)
	_, systemKey, _ := pair(nkeys.PrefixByteAccount)
	claims := jwt.NewAccountClaims(accountKey)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	encode := func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	resolver := &server.MemAccResolver{}
	for key, text := range map[string]string{accountKey: encode(claims.Encode(operator)), systemKey: encode(jwt.NewAccountClaims(systemKey).Encode(operator))} {
		if err := resolver.Store(key, text); err != nil {
			t.Fatal(err)
		}
	}
	serve := func(o *server.Options) {
		o.TrustedKeys, o.AccountResolver, o.SystemAccount, o.NoSystemAccount = []string{operatorKey}, resolver, systemKey, false
	}
	creds := func(expires time.Time) []byte {
		user := jwt.NewUserClaims(public)
		user.Expires = expires.Unix()
		text, err := jwt.FormatUserConfig(encode(user.Encode(account)), seed)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	t.Run("creds", func(t *testing.T) { join(t, serve, creds(time.Now().Add(time.Hour)), "") })
	t.Run("expired creds", func(t *testing.T) { join(t, serve, creds(time.Now().Add(-time.Hour)), "credentials") })
}
