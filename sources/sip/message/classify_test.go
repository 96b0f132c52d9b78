package message

import (
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	for text, want := range map[string]Kind{
		request:                                          Request,
		"\r\n" + request:                                 Request,
		"SIP/2.0 200 OK\r\n":                             Answer,
		"sip/2.0 200 ok\r\n":                             Answer,
		"OPTIONS sip:nm SIP/2.0":                         Request,
		"INVITE sip:100@1":                               Request, // the first piece of a message
		"OPTIONS SIP/2.0\r\n":                            Request,
		"OPTIONS x SIP/7.0\r\n":                          Request,
		"FOO tel:+1 SIP/2.0\r\n":                         Request,
		"x\x01\r\nVia: SIP/2.0/UDP h\r\n":                Request,
		`esponse="46"` + "\r\nContent-Length: 0\r\n\r\n": Request,

		"":                 KeepAlive,
		"\r\n":             KeepAlive,
		"\r\n\r\n":         KeepAlive,
		"\x00":             KeepAlive,
		"\x00\x00\x00\x00": KeepAlive,
		"0\x00":            KeepAlive,
		"hello":            KeepAlive,
		"jaK\x00":          KeepAlive,
		"\x1b":             KeepAlive,
		"\xff":             KeepAlive,
		"\x00\x01\x00\x08\x21\x12\xa4\x42" + strings.Repeat("x", 20): KeepAlive,
		"\x00\x01\x00\x00" + strings.Repeat("x", 16):                 KeepAlive,
		"\x01\x01\x00\x04" + strings.Repeat("x", 20):                 KeepAlive,

		"GET / HTTP/1.1\r\n":           Web,
		"POST /x?y=sip:z HTTP/1.0\r\n": Web,
		"PRI * HTTP/2.0\r\n\r\n":       Web,
		"OPTIONS / HTTP/1.0\r\n":       Web,

		"\x16\x03\x01\x02\x00\x01":                 TLS,
		"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00": TLS,
		"\x16\x03\x03":                             TLS,

		"\x00\x01\x00\x09" + strings.Repeat("x", 20): Garbage,
		"\x16\x04\x01\x02\x00\x01":                   Garbage,
		"OPTIONS / RTSP/1.0\r\n":                     Garbage,
		"hello world, this is no SIP\r\n":            Garbage,
		"\x03\x00\x00\x13\x0e\xe0":                   Garbage,
		"{\"method\":\"x\"}":                         Garbage,
		strings.Repeat("A", 1000):                    Garbage,
		"a\r\nHost: x\r\n":                           Garbage,
	} {
		if got := Classify([]byte(text)); got != want {
			t.Errorf("%.60q: %d, want %d", text, got, want)
		}
	}
}
