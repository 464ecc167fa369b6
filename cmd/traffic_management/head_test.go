package main

import (
	"strings"
	"testing"
)

// RFC 9112 sections 2.2 and 5: what other parsers forgive is refused, since they do not forgive the same.
func TestBadHeadIsRefused(t *testing.T) {
	carryOut(t, refused(400, closes, map[string]string{
		"line feeds only":              "GET / HTTP/1.1\nHost: a.test\n\n",
		"one line feed":                "GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n",
		"line feed ends the head":      "GET / HTTP/1.1\r\nHost: a.test\r\n\n",
		"bare CR":                      "GET / HTTP/1.1\rHost: a.test\r\n\r\n",
		"CR in a value":                field("X: a\rb"),
		"CR CR LF":                     field("X: a\r"),
		"NUL in a value":               field("X: a\x00b"),
		"control in a value":           field("X: a\x01b"),
		"DEL in a value":               field("X: a\x7fb"),
		"NUL in a name":                field("X\x00Y: a"),
		"control in a name":            field("X\x01Y: a"),
		"line feed in a name":          field("X\nY: a"),
		"space in a name":              field("X Y: a"),
		"letter beyond ASCII":          field("X\u00e9: a"),
		"byte beyond ASCII":            field("X\xff: a"),
		"quote in a name":              field(`"X": a`),
		"slash in a name":              field("X/Y: a"),
		"at in a name":                 field("X@Y: a"),
		"bracket in a name":            field("X[]: a"),
		"no name":                      field(": a"),
		"no colon":                     field("X"),
		"space before colon":           field("X : a"),
		"tab before colon":             field("X\t: a"),
		"fold":                         field("X: a\r\n b"),
		"fold with a tab":              field("X: a\r\n\tb"),
		"fold of nothing":              field("X: a\r\n \r\nY: b"),
		"first line folded":            "GET / HTTP/1.1\r\n X: y\r\nHost: a.test\r\n\r\n",
		"three empty lines":            "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"no version":                   "GET /\r\nHost: a.test\r\n\r\n",
		"lower-case version":           "GET / http/1.1\r\nHost: a.test\r\n\r\n",
		"version of two digits":        "GET / HTTP/1.10\r\nHost: a.test\r\n\r\n",
		"version without a dot":        "GET / HTTP/11\r\nHost: a.test\r\n\r\n",
		"words behind the version":     "GET / HTTP/1.1 x\r\nHost: a.test\r\n\r\n",
		"space behind the version":     "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
		"two spaces":                   "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"two spaces before version":    "GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"tab for a space":              "GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
		"space before the method":      " GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"space in the target":          "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"no method":                    "/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"method with a colon":          "GE:T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"method with NUL":              "GET\x00 / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"response":                     "HTTP/1.1 200 OK\r\nHost: a.test\r\n\r\n",
		"TLS":                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"PROXY protocol, nobody asked": "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
	}))
}

func TestHeadsBeyondLimits(t *testing.T) {
	carryOut(t, []attack{
		{"long target", "GET /" + strings.Repeat("a", 20_000) + " HTTP/1.1\r\nHost: a.test\r\n\r\n", 414, closes, ""},
		{"endless target", "GET /" + strings.Repeat("a", 1<<20), 414, closes, ""},
		{"endless method", strings.Repeat("A", 1<<20), 414, closes, ""},
		{"long value", field("X: " + strings.Repeat("a", 20_000)), 431, closes, ""},
		{"endless value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: " + strings.Repeat("a", 1<<20), 431, closes, ""},
		{"endless name", "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("a", 1<<20), 431, closes, ""},
		{"many fields", field(strings.Repeat("X: y\r\n", 100) + "X: y"), 431, closes, ""},
		{"endless fields", "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("X: y\r\n", 1<<18), 431, closes, ""},
		{"many connection options", field("Connection: " + strings.Repeat("a,", 1000)), 431, closes, ""},
		{"major version", "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 505, closes, ""},
		{"minor version", "GET / HTTP/1.9\r\nHost: a.test\r\n\r\n", 200, keeps,
			"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
		{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 200, keeps,
			"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
		{"control characters of UTF-8", field("X: \u0085\u009b"), 200, keeps,
			"GET / HTTP/1.1\r\nHost: a.test\r\nX: \u0085\u009b\r\n\r\n"},
	})
}

// RFC 9112 section 3.2: one host, which the target does not contradict.
func TestBadHostIsRefused(t *testing.T) {
	requests := map[string]string{
		"none":                "GET / HTTP/1.1\r\n\r\n",
		"twice":               field("Host: b.test"),
		"twice the same":      field("Host: a.test"),
		"twice, other case":   field("hOST: b.test"),
		"target differs":      "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"port differs":        "GET http://a.test:81/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"user in the target":  "GET http://a.test@b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n",
		"user and password":   "GET http://u:p@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"comma in the target": "GET http://a.test,b.test/ HTTP/1.1\r\nHost: a.test,b.test\r\n\r\n",
		"target without host": "GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"other scheme":        "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"file":                "GET file:///etc/passwd HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"script":              "GET javascript:alert(1) HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"host for a target":   "GET a.test HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"at sign for a path":  "GET @b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"backslash target":    "GET \\\\b.test\\x HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"asterisk":            "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"CONNECT of a path":   "CONNECT / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"CONNECT, no port":    "CONNECT b.test HTTP/1.1\r\nHost: b.test\r\n\r\n",
		"CONNECT differs":     "CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
	}
	for name, host := range map[string]string{
		"comma": "a.test,b.test", "comma and space": "a.test, b.test", "user": "u@a.test", "user, password": "u:p@a.test",
		"space": "a.test b.test", "tab": "a.test\tb.test", "path": "a.test/x", "query": "a.test?x", "fragment": "a.test#x",
		"backslash": `a.test\b.test`, "two ports": "a.test:80:81", "port of letters": "a.test:x", "large port": "a.test:65536",
		"negative port": "a.test:-1", "port alone": ":80", "open bracket": "[::1", "close bracket": "::1]",
		"no address": "[g]", "bracket inside": "a[b].test", "NUL": "a.test\x00b", "encoded NUL": "a%00.test",
		"bad percent": "a%zz.test", "beyond ASCII": "\u00e4.test", "quotes": `"a.test"`, "angles": "<a.test>",
		"scheme": "http://a.test", "pipe": "a|b", "caret": "a^b", "grave": "a`b", "brace": "{a}",
	} {
		requests["Host "+name] = "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	}
	carryOut(t, refused(400, closes, requests))
}

func TestHostAndTarget(t *testing.T) {
	carryOut(t, []attack{
		{"absolute form", "GET http://A.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n", 200, keeps,
			"GET /x?y HTTP/1.1\r\nHost: A.test\r\n\r\n"},
		{"absolute form of another service", "GET http://bystander.test/ HTTP/1.1\r\nHost: bystander.test\r\n\r\n", 200, keeps, ""},
		{"two slashes are no host", "GET //bystander.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", 200, keeps,
			"GET /bystander.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n"},
		{"target in the query", "GET /?http://b.test/@c HTTP/1.1\r\nHost: a.test\r\n\r\n", 200, keeps,
			"GET /?http://b.test/@c HTTP/1.1\r\nHost: a.test\r\n\r\n"},
		{"CONNECT", "CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n", 501, closes, ""},
		{"no route", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", 404, keeps, ""},
		{"Host nominated", field("Connection: Host"), 200, keeps, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"},
		{"X-Forwarded-Host", field("X-Forwarded-Host: bystander.test\r\nX-Host: b.test"), 200, keeps,
			"GET / HTTP/1.1\r\nHost: a.test\r\nX-Host: b.test\r\n\r\n"},
	})
}
