package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/status"
)

func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// readText reads a list from standard input.
func (i *imported) readText(format, text string) error {
	_, err := (&app{stdin: strings.NewReader(text)}).readList("-", format, i.expect, i.list)
	return err
}

// FuzzImport reads any list in any format: each entry becomes a valid request or is
// counted.
func FuzzImport(f *testing.F) {
	for _, format := range []string{"", "plain", "csv", "json"} {
		f.Add(format, "203.0.113.7\n2001:db8::/64 # x\n")
		f.Add(format, "ip,expires,reason\n203.0.113.7,2026-05-04T10:00:00Z,\"a\"\"b\"\n")
		f.Add(format, `{"203.0.113.7":{"ttl":"1h","permanent":false},"bans":[]}`)
		f.Add(format, `[{"ip":"203.0.113.7","ttl":1e300},"x",null,[[]],{}]`)
	}
	f.Fuzz(func(t *testing.T, format, text string) {
		i := &imported{}
		if i.readText(format, text) != nil {
			return
		}
		items, from := i.requests(i.entries, moment("2026-05-04T10:00:00Z"))
		if len(items) != len(from) || len(items)+i.Over+len(i.Refused) != i.Listed {
			t.Errorf("%d entries: %d requests, %d over, %d refused", i.Listed, len(items), i.Over, len(i.Refused))
		}
		for n, item := range items {
			if !from[n].target.IsValid() || item.IP == "" {
				t.Errorf("a request without a target: %+v", item)
			}
		}
		if err := terminal.Object(io.Discard, items); err != nil {
			t.Errorf("cannot be sent: %v", err)
		}
	})
}

// TestRequests gives each entry its own length, and the flags' where it has none.
func TestRequests(t *testing.T) {
	i := &imported{ttl: []byte(`"7d"`), reason: "feed"}
	err := i.readText("csv", "ip,ttl,expires\n203.0.113.1,,2026-05-04T10:00:00.5Z\n203.0.113.2,,2026-05-04T11:00:00.25Z\n203.0.113.3,1m,\n203.0.113.4,,\n203.0.113.5,,permanent\n203.0.113.6,,1970-01-01T00:00:00Z\n")
	if err != nil {
		t.Fatal(err)
	}
	items, _ := i.requests(i.entries, moment("2026-05-04T10:00:00Z"))
	var got []string
	for _, item := range items {
		got = append(got, fmt.Sprintf("%s %s %s", item.IP, item.TTL, item.Reason))
	}
	want := `[203.0.113.2 3600.250000 feed 203.0.113.3 60.000000 feed 203.0.113.4 "7d" feed 203.0.113.5 "permanent" feed]`
	if fmt.Sprint(got) != want || i.Over != 2 {
		t.Errorf("%v, %d over; want %s", got, i.Over, want)
	}
}

// TestImportWaits: a batch that the daemon refuses because it has too many is ordered again, and none is lost.
func TestImportWaits(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if asked.Add(1) <= 4 { // each batch twice
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":"too many batches: the limit is 3 at once"}`)
			return
		}
		var said struct {
			Results []status.Result `json:"results"`
		}
		var items []client.BanRequest
		if err := json.NewDecoder(r.Body).Decode(&items); err != nil {
			t.Error(err)
		}
		for _, item := range items {
			said.Results = append(said.Results, status.Result{Target: item.IP, Status: "success", Applied: true})
		}
		if err := json.NewEncoder(w).Encode(said); err != nil {
			t.Error(err)
		}
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	var list strings.Builder
	for i := range client.MaxBatch + 500 {
		fmt.Fprintf(&list, "20.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	}
	stdout, stderr, exit := command(t, nil, "import", "--admin", socket, "--for", "1h", write(t, "list.txt", []byte(list.String())))
	if exit != 0 || !strings.HasPrefix(stdout, "10500 of 10500 banned") || asked.Load() < 6 {
		t.Errorf("exit status %d after %d requests: %s%s", exit, asked.Load(), stdout, stderr)
	}
}
