package esl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzReader reads any bytes: it ends, and returns UTF-8, not more than came in.
func FuzzReader(f *testing.F) {
	addStreams(f)
	f.Fuzz(func(t *testing.T, stream []byte) {
		messages, skipped, err := readAll(bytes.NewReader(stream))
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrProtocol) {
			t.Error(err)
		}
		if len(messages)+int(skipped) > len(stream) {
			t.Errorf("%d messages and %d skipped of %d bytes", len(messages), skipped, len(stream))
		}
		for i := range messages {
			text, err := json.Marshal(messages[i])
			var back Message
			if err != nil || json.Unmarshal(text, &back) != nil || !cmp.Equal(messages[i], back) {
				t.Errorf("not UTF-8: %q %q", messages[i].Headers, messages[i].Body)
			}
		}
	})
}

func addStreams(f *testing.F) {
	f.Add(recording(f, "handshakes/json_events_and_log4.raw")[:4<<10])
	for _, name := range []string{"bgapi.raw", "sendevent.raw", "event_xml.raw", "auth_wrong_password.raw", "acl_denied.raw", "exit.raw"} {
		f.Add(recording(f, "handshakes/"+name))
	}
	f.Add([]byte(eventJSON(`{"a":["x",1,null,{"b":"\u0000"}],"_body":"x","\u0000reply":"x"}`)))
	f.Add([]byte("Content-Type: command/reply\nReply-Text: -ERR\n\nContent-Type: api/response\nContent-Length: 4\n\n-ERR"))
}

// FuzzJSON compares the scanner with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":"b"}`, ` { "a" : "b" , "c" : ["d","]",{"e":"}"}], "f":1e5,"g":null } `, `{"a":"\ud800\\\"\u0041","a":"` + "\xff" + `"}`,
		`{"abcdefghijklmnop\u0041":"0123456789abcdef\n\"\\\u00e9","ab":"01234567\x","A":"0123456é"}`, `{"a":["x\"","y"],"ab":[["x"]]}`,
		`{"a":"\u12g4"}`, `{"a":"\u12`, `{"ab":"0123456` + "\x1f" + `"}`, `{"_body":"x","ab":"01234567\`, `{"a":"b",}`, `{"a":{}}x`, `[{}]`, `{"a":"` + "\n" + `"}`, `{"a":-}`, `{"a":"b`, `{"":"", "\u0000":"x"}`, `{"a":[}`, `{"a":]}`, `{"a":,}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := map[string]string{}
		ok := eachJSON(text, nil, func(name string, value []byte) { got[name] = string(value) })
		want, valid := naiveJSON(text)
		delete(want, "") // FreeSWITCH has none
		if ok != valid || ok && !maps.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q, %v", text, got, ok, want, valid)
		}
		some := map[string]string{}
		ok = eachJSON(text, newHeaderSet([]string{"a", "ab", "A"}), func(name string, value []byte) { some[name] = string(value) })
		maps.DeleteFunc(want, func(name, _ string) bool { return name != "a" && name != "ab" && name != "A" && name != bodyName })
		if ok != valid || ok && !maps.Equal(some, want) {
			t.Errorf("%q: %q, %v, want %q, %v", text, some, ok, want, valid)
		}
	})
}

// naiveJSON does the same with encoding/json: the last string of each name.
func naiveJSON(text []byte) (map[string]string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return nil, false
	}
	headers := map[string]string{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token()
	for decoder.More() {
		name, _ := decoder.Token()
		var value any
		_ = decoder.Decode(&value)
		if s, ok := value.(string); ok {
			headers[name.(string)] = s
		}
	}
	return headers, true
}

// FuzzListen lets a server send any bytes, before the password or after it. Listen
// returns a known error, after no other messages than a Reader of the same bytes.
func FuzzListen(f *testing.F) {
	const greeting = "Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { listener.Close() })
	addStreams(f)
	for _, name := range []string{"json_events_and_log4.raw", "sendevent.raw", "exit.raw"} {
		stream := recording(f, "handshakes/"+name)
		f.Add(bytes.TrimPrefix(stream[:min(len(stream), 4<<10)], []byte(greeting)))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, sent := range [][]byte{stream, append([]byte(greeting), stream...)} {
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Write(sent)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			var got []Message
			err := Switch{Address: listener.Addr().String(), Password: password, limits: patient}.
				Listen(ctx, Subscription{LogLevel: 4}, func() {}, func(m Message) { got = append(got, m) })
			cancel()
			if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrACLRefused) && !errors.Is(err, ErrAuthRefused) {
				t.Errorf("%v", err)
			}
			want, _, _ := readAll(bytes.NewReader(sent))
			if len(got) > len(want) || len(got) > 0 && !cmp.Equal(got, want[:len(got)]) {
				t.Errorf("took %+v\nof %+v", got, want)
			}
		}
	})
}
