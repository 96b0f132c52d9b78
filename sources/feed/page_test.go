package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pageFeed is a feed of a test server.
func pageFeed(t *testing.T, h http.HandlerFunc, more string) (*source, *httptest.Server) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return feedOf(t, fmt.Sprintf("url = %q\n%s", server.URL+"/list?token=s3cr3t-t0ken", more)), server
}

func packed(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func TestConditionalRequests(t *testing.T) {
	version, asked := "1", []string(nil)
	s, _ := pageFeed(t, func(w http.ResponseWriter, req *http.Request) {
		tag := `W/"` + version + `"`
		asked = append(asked, req.Header.Get("If-None-Match")+"|"+req.Header.Get("If-Modified-Since"))
		w.Header().Set("Etag", tag)
		w.Header().Set("Last-Modified", "Mon, 04 May 2026 10:00:00 GMT")
		if req.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		n := map[string]int{"1": 300, "2": 10, "3": 301}[version]
		write(w, numbered("20.0.0.1", n))
	}, `max_entries = 1000`)
	l := newFakeLedger()
	k := s.turns(l)
	for _, test := range []struct {
		version, asked string
		banned         int
		fault          bool
	}{
		{"1", "|", 300, false},
		{"1", `W/"1"|Mon, 04 May 2026 10:00:00 GMT`, 300, false},
		{"2", `W/"1"|Mon, 04 May 2026 10:00:00 GMT`, 300, true},
		{"2", `W/"1"|Mon, 04 May 2026 10:00:00 GMT`, 300, true}, // a 304 never confirms a refused list
		{"3", `W/"1"|Mon, 04 May 2026 10:00:00 GMT`, 301, false},
		{"3", `W/"3"|Mon, 04 May 2026 10:00:00 GMT`, 301, false},
	} {
		version = test.version
		k.turn(t.Context())
		if got := asked[len(asked)-1]; got != test.asked || len(l.until) != test.banned || (k.fault != "") != test.fault {
			t.Errorf("version %s: asked %q, %d banned, fault %q", version, got, len(l.until), k.fault)
		}
	}
}

// TestUnaskedNotModified has a server answer 304 to a request without validators.
func TestUnaskedNotModified(t *testing.T) {
	s, _ := pageFeed(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, "")
	k := s.turns(newFakeLedger())
	if k.turn(t.Context()); !strings.HasSuffix(k.fault, "answered 304 Not Modified") {
		t.Errorf("%q", k.fault)
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name, more, fault string
		answer            http.HandlerFunc
	}{
		{"web page", "", "it is a web page, not a list", func(w http.ResponseWriter, _ *http.Request) {
			write(w, "<html>20.0.0.1</html>")
		}},
		{"words", "", "2 of 3 entries are no address, the first is number 1", func(w http.ResponseWriter, _ *http.Request) {
			write(w, "please\nwait\n20.0.0.1\n")
		}},
		{"announced size", "max_bytes = 2048", "more than 2048 bytes (max_bytes)", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3000")
			write(w, strings.Repeat("#", 3000))
		}},
		{"unannounced size", "max_bytes = 2048", "more than 2048 bytes (max_bytes)", func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				write(w, strings.Repeat("#", 3000))
				w.(http.Flusher).Flush()
			}
		}},
		{"size unpacked", "max_bytes = 2048", "more than 2048 bytes (max_bytes)", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed(strings.Repeat("#", 1<<20)))
		}},
		{"size of an unpacked file", "max_bytes = 2048", "more than 2048 bytes (max_bytes)", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(packed(strings.Repeat("#", 1<<20)))
		}},
		{"entries", "max_entries = 2", "more than 2 entries (max_entries)", func(w http.ResponseWriter, _ *http.Request) {
			write(w, numbered("20.0.0.1", 3))
		}},
		{"half an answer", "", "the answer ends too early", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			write(w, "20.0.0.1\n")
		}},
		{"half a file", "", "unpack: it ends too early", func(w http.ResponseWriter, _ *http.Request) {
			whole := packed(numbered("20.0.0.1", 100))
			_, _ = w.Write(whole[:len(whole)/2])
		}},
		{"not there", "", "answered 404 Not Found", http.NotFound},
		{"slow to begin", "", "no complete answer within 50ms", func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }},
		{"slow to end", "", "no complete answer within 2s", func(w http.ResponseWriter, req *http.Request) {
			write(w, "20.0.0.1\n")
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		}},
	} {
		s, server := pageFeed(t, test.answer, test.more)
		switch test.name {
		case "slow to begin":
			s.pace.patience = 50 * time.Millisecond
		case "slow to end":
			s.pace.patience = 2 * time.Second // for the beginning and the end
		}
		l := newFakeLedger()
		k := s.turns(l)
		k.turn(t.Context())
		if want := server.URL + ": " + test.fault; k.fault != want || len(l.listings) > 0 || !strings.HasSuffix(k.stream.Progress.Status().Problems[0].Text, want) {
			t.Errorf("%s: %q, want %q", test.name, k.fault, want)
		}
	}
}

func TestPackedAnswers(t *testing.T) {
	body := packed(numbered("20.0.0.1", 3))
	for name, answer := range map[string]http.HandlerFunc{
		"in transit": func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("Accept-Encoding: %q", req.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(body)
		},
		"as a file": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) },
	} {
		s, _ := pageFeed(t, answer, "")
		l := newFakeLedger()
		k := s.turns(l)
		if k.turn(t.Context()); k.fault != "" || len(l.until) != 3 {
			t.Errorf("%s: %d banned, %q", name, len(l.until), k.fault)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	s, _ := pageFeed(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusTooManyRequests)
	}, "")
	k := s.turns(newFakeLedger())
	if wait := k.turn(t.Context()); wait != 30*time.Minute {
		t.Errorf("waits %s", wait)
	}
}

// TestRedirects follows lists that have moved, and checks what the new server learns
// about the old one.
func TestRedirects(t *testing.T) {
	told := ""
	list := func(w http.ResponseWriter, req *http.Request) {
		told = fmt.Sprint(req.Header, req.URL)
		write(w, "20.0.0.1\n")
	}
	clear := httptest.NewServer(http.HandlerFunc(list))
	defer clear.Close()
	safe := httptest.NewTLSServer(http.HandlerFunc(list))
	defer safe.Close()
	for path, test := range map[string]struct {
		fault   string
		secrets bool
	}{
		"/here": {"", true}, "/3": {"", true}, "/4": {errRedirect.Error(), false}, "/round": {errRedirect.Error(), false},
		"/clear": {errRedirect.Error(), false}, "/safe": {"", false}, "/file": {errRedirect.Error(), false}, "/downgrade": {errRedirect.Error(), false},
	} {
		told = ""
		targets := map[string]string{
			"/here": "/list", "/round": "/round", "/clear": clear.URL + "/list", "/safe": safe.URL + "/list", "/file": "file:///etc/passwd",
			"/1": "/list", "/2": "/1", "/3": "/2", "/4": "/3", "/downgrade": safe.URL + "/down",
		}
		safe.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/down" {
				http.Redirect(w, req, clear.URL+"/list", http.StatusFound)
				return
			}
			list(w, req)
		})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if to, ok := targets[req.URL.Path]; ok {
				http.Redirect(w, req, to, http.StatusFound)
				return
			}
			list(w, req)
		}))
		s := feedOf(t, fmt.Sprintf("url = %q\nheaders = { X-Key = secret, Authorization = \"Bearer ${secret}\" }",
			strings.Replace(server.URL, "http://", "http://me:s3cr3t-t0ken@", 1)+path+"?q=s3cr3t-t0ken"))
		s.transport = safe.Client().Transport
		k := s.turns(newFakeLedger())
		k.turn(t.Context())
		if _, fault, _ := strings.Cut(k.fault, ": "); fault != test.fault {
			t.Errorf("%s: fault %q, want %q", path, k.fault, test.fault)
		}
		if strings.Contains(told, "s3cr3t") != test.secrets {
			t.Errorf("%s: the new server gets %s", path, told)
		}
		if strings.Contains(k.fault, "s3cr3t") {
			t.Errorf("%s: a secret in %q", path, k.fault)
		}
		server.Close()
	}
}

// TestErrorsShowNoSecrets makes requests fail that hold secrets everywhere.
func TestErrorsShowNoSecrets(t *testing.T) {
	quoting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", "http://[::1/"+req.URL.RawQuery+"\x7f")
		w.WriteHeader(http.StatusFound)
	}))
	defer quoting.Close()
	for _, address := range []string{
		"http://me:s3cr3t-t0ken@127.0.0.1:1/s3cr3t-t0ken?q=s3cr3t-t0ken",
		"https://nowhere.invalid/s3cr3t-t0ken",
		strings.Replace(quoting.URL, "http://", "https://", 1) + "/?s3cr3t-t0ken",
		quoting.URL + "/?s3cr3t-t0ken",
	} {
		s := feedOf(t, fmt.Sprintf("url = %q\nheaders = { X-Key = secret }", address))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		k := s.turns(newFakeLedger())
		k.turn(ctx)
		cancel()
		if k.fault == "" || strings.Contains(k.fault, "s3cr3t") {
			t.Errorf("%q", k.fault)
		}
	}
}
