package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/status"
)

// The secrets of the tests. No message may hold one.
const (
	pathToken  = "T0KENPATH"
	queryToken = "T0KENQUERY"
	userToken  = "T0KENUSER"
	headToken  = "T0KENHEAD"
	hmacSecret = "T0KENHMAC"
	varToken   = "T0KENVAR"
)

// secretive is a block with a secret in every place that can hold one.
func secretive(base string) string {
	base = strings.Replace(base, "://", "://joe:"+userToken+"@", 1)
	return fmt.Sprintf(`
		url      = %q
		headers  = { Authorization = "Bearer %s", "X-Api-Key" = "%s" }
		secret   = %q
		vars     = { key = %q }
		timeout  = "1m"
	`, base+"/services/"+pathToken+"/%20x?token="+queryToken+"&a=b", headToken, headToken, hmacSecret, varToken)
}

func noSecrets(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, "T0KEN") {
		t.Errorf("a secret is shown: %s", text)
	}
}

func try(t *testing.T, a *Action) result {
	t.Helper()
	return a.endpoint.send(t.Context(), "0f", []byte(`{"a":1}`), typeJSON, time.Now())
}

func TestSignatureCanBeVerified(t *testing.T) {
	var failure string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(hmacSecret))
		fmt.Fprintf(mac, "%s.%s", r.Header.Get("X-Signature-Timestamp"), body)
		want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
		at, _ := strconv.ParseInt(r.Header.Get("X-Signature-Timestamp"), 10, 64)
		switch {
		case !hmac.Equal([]byte(want), []byte(r.Header.Get("X-Signature-256"))):
			failure = "signature"
		case time.Since(time.Unix(at, 0)).Abs() > time.Minute:
			failure = "timestamp"
		case r.Header.Get("Idempotency-Key") != "0f" || r.Header.Get("Content-Type") != typeJSON || r.Method != "POST":
			failure = fmt.Sprint(r.Header)
		case r.Header.Get("Authorization") != "Bearer "+headToken || r.URL.Path != "/services/"+pathToken+"/ x" || r.URL.Query().Get("token") != queryToken:
			failure = "request"
		}
	}))
	defer server.Close()
	if o := try(t, parse(t, secretive(server.URL))); o.outcome != delivered || failure != "" {
		t.Error(o.err, failure)
	}
}

// TestSignatureIsTheKnownOne compares with another implementation:
//
//	printf 1700000000.{} | openssl dgst -sha256 -hmac key
func TestSignatureIsTheKnownOne(t *testing.T) {
	const want = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
	if got := signature("key", "1700000000", []byte("{}")); got != want {
		t.Error(got)
	}
}

// answering returns a handler that answers with a status and headers. Its body repeats
// all secrets of the request, and is long.
func answering(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "\x1b[31m%s %v %s %s %s", r.URL, r.Header, user, password, strings.Repeat("x", 1<<20))
	}
}

// TestOutcomes lets real servers answer in every way. Errors must be correct, bounded,
// and free of secrets.
func TestOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		outcome outcome
		says    string
	}{
		"204":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, delivered, ""},
		"200":         {answering(200), delivered, ""},
		"400":         {answering(400), refused, "answered 400: "},
		"401":         {answering(401), refused, "answered 401: "},
		"404":         {answering(404), refused, "answered 404: "},
		"408":         {answering(408), failed, "answered 408: "},
		"425":         {answering(425), failed, "answered 425: "},
		"429":         {answering(429), failed, "answered 429: "},
		"500":         {answering(500), answered, "answered 500: "},
		"502":         {answering(502), answered, "answered 502: "},
		"503":         {answering(503), failed, "answered 503: "},
		"redirect":    {answering(307, "Location", "https://elsewhere.example.net/"+pathToken), failed, "redirect to https://elsewhere.example.net, which is not followed"},
		"to nowhere":  {answering(302), failed, "redirect to nowhere"},
		"stalls":      {stall, answered, "no complete answer within 1s"},
		"dies":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, answered, "EOF"},
		"big headers": {answering(200, "X", strings.Repeat("x", 1<<20)), answered, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			a := parse(t, secretive(server.URL))
			if name == "stalls" {
				a.endpoint.client.Timeout = time.Second
			}
			o := try(t, a)
			if o.outcome != test.outcome {
				t.Fatalf("outcome %d: %v", o.outcome, o.err)
			}
			if o.err == nil {
				return
			}
			noSecrets(t, o.err.Error())
			if !strings.Contains(o.err.Error(), test.says) || len(o.err.Error()) > 600 || strings.ContainsAny(o.err.Error(), "\x1b\n") {
				t.Errorf("%q, want %q", o.err, test.says)
			}
			// Nor may the log or a report hold secrets.
			log := capture(t)
			must(t, a.Apply(t.Context(), batch(1, 1)))
			g, _, _ := a.queue.next(time.Now().Add(time.Minute))
			a.settle(g, o)
			warnings := status.Texts(a.Report(t.Context()).Problems, status.Warning)
			noSecrets(t, log.String()+strings.Join(warnings, "\n"))
			if log.String() == "" || len(warnings) == 0 {
				t.Error("nothing is reported")
			}
		})
	}
}

// stall reads a request and never answers it.
func stall(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
	<-r.Context().Done()
}

func TestConnectionRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	base := "http://" + listener.Addr().String()
	must(t, listener.Close())
	o := try(t, parse(t, secretive(base)))
	if o.outcome != failed || !strings.Contains(o.err.Error(), "refused") {
		t.Error(o.err)
	}
	noSecrets(t, o.err.Error())
}

func TestRedirectIsNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("headers and body were sent to another host")
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusPermanentRedirect))
	defer server.Close()
	if o := try(t, parse(t, secretive(server.URL))); o.outcome != failed {
		t.Error(o)
	}
}

func TestPrivateAddresses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	o := try(t, parse(t, secretive(server.URL)+"allow_private = false"))
	if o.outcome != failed || !strings.Contains(o.err.Error(), "127.0.0.1 is not a public address, and allow_private is false") {
		t.Error(o.err)
	}
	for target, public := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true, "10.1.2.3:80": false, "[::ffff:127.0.0.1]:80": false, "100.64.1.1:80": false,
		"169.254.169.254:80": false, "[fd00::1]:80": false, "[fe80::1%eth0]:80": false, "0.0.0.0:80": false, "[::1]:80": false, "224.0.0.1:80": false,
	} {
		if err := onlyPublic("tcp", target, nil); (err == nil) != public {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestTLS(t *testing.T) {
	ca, cert, key := pemPair(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = nil
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	defer server.Close()

	heredoc := func(name, pem string) string { return "\n" + name + " = <<EOT\n" + pem + "EOT\n" }
	url := fmt.Sprintf("url = %q", server.URL)
	if o := try(t, parse(t, url)); o.outcome != failed || !strings.Contains(o.err.Error(), "certificate") {
		t.Error("an unknown authority is accepted:", o.err)
	}
	if o := try(t, parse(t, url+heredoc("ca", ca))); o.outcome == delivered {
		t.Error("delivered without a client certificate")
	}
	if o := try(t, parse(t, url+heredoc("ca", ca)+heredoc("cert", cert)+heredoc("key", key))); o.outcome != delivered {
		t.Error(o.err)
	}
}

func TestConnectionIsReused(t *testing.T) {
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.RemoteAddr] = true
		w.WriteHeader(500)
		fmt.Fprint(w, strings.Repeat("x", 4096))
	}))
	defer server.Close()
	a := parse(t, fmt.Sprintf("url = %q", server.URL))
	for range 5 {
		try(t, a)
	}
	if len(seen) != 1 {
		t.Errorf("%d connections", len(seen))
	}
}

// pemPair makes a certificate for 127.0.0.1 that is its own authority.
func pemPair(t testing.TB) (ca, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
