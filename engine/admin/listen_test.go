package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func unixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

// TestSocket: the unix socket needs no token, the kernel names the caller, and the mode
// of the socket decides who may connect.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "admin.sock")
	l := newLab(t, func(o *Options, _ *limits) { o.Token, o.Listen, o.Socket, o.SocketMode = token, "", path, 0o660 })
	listeners, err := l.server.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	l.start(listeners...)
	client := unixClient(path)
	defer client.CloseIdleConnections()
	answer, err := client.Post("http://any/security/blacklist", "application/json", strings.NewReader(`{"ip":"203.0.113.7"}`))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", answer, err)
	}
	answer.Body.Close()
	b, _ := l.covering("203.0.113.7")
	if want := "api " + userName(uint32(os.Getuid())); b.Author != want {
		t.Errorf("author %q, want %q", b.Author, want)
	}
	if !strings.Contains(l.log.String(), `via="unix pid `) {
		t.Errorf("the log does not name the caller:\n%s", l.log)
	}
	if _, err := l.server.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("opened twice: %v", err)
	}
}

func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	c := Config{Socket: path, SocketMode: 0o600}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	open, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	open[0].Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("replaced a file: %v", err)
	}
}

// An authority makes certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes a certificate and its key. The first one is that of the authority.
func (a *authority) issue(name string, use x509.ExtKeyUsage) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{use}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := a.cert, a.key
	if a.cert == nil {
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage, cert.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		parent, signer = cert, key
		a.key = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write := func(kind, suffix string, der []byte) string {
		file := filepath.Join(a.dir, name+suffix)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		return file
	}
	return write("CERTIFICATE", ".crt", der), write("PRIVATE KEY", ".key", private)
}

// TestMutualTLS: a caller without a certificate of the authority is refused.
func TestMutualTLS(t *testing.T) {
	a := &authority{t: t, dir: t.TempDir()}
	ca, _ := a.issue("authority", x509.ExtKeyUsageAny)
	cert, key := a.issue("server", x509.ExtKeyUsageServerAuth)
	l := newLab(t, func(o *Options, _ *limits) { o.TLSCert, o.TLSKey, o.ClientCA = cert, key, ca })
	addr := l.start()
	ask := func(certFile, keyFile string) (int, error) {
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AddCert(a.cert)
		if certFile != "" {
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		answer, err := client.Post("https://"+addr+"/security/blacklist", "application/json", strings.NewReader(`{"ip":"203.0.113.7"}`))
		if err != nil {
			return 0, err
		}
		return answer.StatusCode, answer.Body.Close()
	}
	if status, err := ask("", ""); err == nil {
		t.Errorf("without a certificate: %d", status)
	}
	other := &authority{t: t, dir: t.TempDir()}
	other.issue("authority", x509.ExtKeyUsageAny)
	if status, err := ask(other.issue("mallory", x509.ExtKeyUsageClientAuth)); err == nil {
		t.Errorf("with a certificate of another authority: %d", status)
	}
	if n := l.engine.Ledger().Size(); n != 0 {
		t.Fatalf("%d bans", n)
	}
	if status, err := ask(a.issue("alice", x509.ExtKeyUsageClientAuth)); err != nil || status != http.StatusOK {
		t.Fatalf("with a certificate: %d %v", status, err)
	}
	if b, _ := l.covering("203.0.113.7"); b.Author != "api alice" {
		t.Errorf("author %q", b.Author)
	}
	if answer, err := http.Get("http://" + addr + "/health"); err != nil || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %v %v", answer, err)
	}
}

func TestCertificatesUnreadable(t *testing.T) {
	a := &authority{t: t, dir: t.TempDir()}
	cert, key := a.issue("server", x509.ExtKeyUsageAny)
	for want, c := range map[string]Config{
		"no such file":            {TLSCert: "/nowhere.crt", TLSKey: key},
		"no certificate in":       {TLSCert: cert, TLSKey: key, ClientCA: key},
		"client_ca: open /nowher": {TLSCert: cert, TLSKey: key, ClientCA: "/nowhere.crt"},
	} {
		if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestIPv6: a listener on ::1 answers to its own address.
func TestIPv6(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this host has no IPv6: %v", err)
	}
	l := newLab(t, nil)
	addr := l.start(listener)
	answer, err := http.Get("http://" + addr + "/security/status")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v %v", answer, err)
	}
}

// TestEnd: when the server ends, requests under way are completed and watchers are
// disconnected.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		listener := newInMemory()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.server.Serve(ctx, listener) }()
		listener.get(t, "/events")
		// Silent and incomplete requests do not delay the end.
		for _, begin := range []string{"", "GET /hea", "POST /security/blacklist HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"} {
			conn := listener.dial()
			defer conn.Close()
			if _, err := io.WriteString(conn, begin); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		began := time.Now()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > shutdownTime {
			t.Errorf("it took %s to end", took)
		}
		w := httptest.NewRecorder()
		l.server.ServeHTTP(w, request("GET", "/events", ""))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("a later watcher: %d", w.Code)
		}
	})
}
