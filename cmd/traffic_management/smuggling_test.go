package main

import (
	"strings"
	"testing"
)

// smuggled is a request hidden where only one of two parsers sees it.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"

// Two framings in one message (RFC 9112 section 6.1): each way in which two servers could see different ends.
func TestLengthAndCodingIsRefused(t *testing.T) {
	carryOut(t, refused(400, closes, map[string]string{
		"CL.TE":                     post("Content-Length: 45\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+smuggled),
		"TE.CL":                     post("Transfer-Encoding: chunked\r\nContent-Length: 4", "28\r\n"+smuggled+"\r\n0\r\n\r\n"),
		"length of 0":               post("Content-Length: 0\r\nTransfer-Encoding: chunked", smuggled),
		"coding in other case":      post("Content-Length: 5\r\ntransfer-ENCODING: chunked", "0\r\n\r\n"),
		"unknown coding":            post("Content-Length: 5\r\nTransfer-Encoding: x", smuggled),
		"coding nominated":          post("Connection: Transfer-Encoding\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
		"length nominated":          post("Connection: Content-Length\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
		"both, HTTP/1.0":            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"coding in HTTP/1.0":        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two codings":               post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
		"chunked twice, two lines":  post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
		"chunked twice, one line":   post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
		"chunked not last":          post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
		"empty coding":              post("Transfer-Encoding:", smuggled),
		"empty list element":        post("Transfer-Encoding: , chunked", "0\r\n\r\n"),
		"quoted":                    post(`Transfer-Encoding: "chunked"`, "0\r\n\r\n"),
		"parameter":                 post("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"),
		"vertical tab before":       post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
		"form feed behind":          post("Transfer-Encoding: chunked\x0c", "0\r\n\r\n"),
		"NUL behind":                post("Transfer-Encoding: chunked\x00", "0\r\n\r\n"),
		"space before colon":        post("Content-Length: 5\r\nTransfer-Encoding : chunked", "0\r\n\r\n"),
		"tab before colon":          post("Content-Length: 5\r\nTransfer-Encoding\t: chunked", "0\r\n\r\n"),
		"line feed before colon":    post("Content-Length: 5\r\nTransfer-Encoding\n: chunked", "0\r\n\r\n"),
		"behind a bare line feed":   post("Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked", "0\r\n\r\n"),
		"behind a bare CR":          post("Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
		"folded":                    post("Content-Length: 5\r\nTransfer-Encoding:\r\n chunked", "0\r\n\r\n"),
		"folded into another field": post("Content-Length: 5\r\nX: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
		"space before the name":     "POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	}))
}

// A coding that nobody here can decode.
func TestUnknownCodingIsRefused(t *testing.T) {
	carryOut(t, refused(501, closes, map[string]string{
		"xchunked":         post("Transfer-Encoding: xchunked", "0\r\n\r\n"),
		"identity":         post("Transfer-Encoding: identity", smuggled),
		"identity, then":   post("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
		"gzip, chunked":    post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
		"chunked\\x2c":     post("Transfer-Encoding: chunke%64", "0\r\n\r\n"),
		"trailing letters": post("Transfer-Encoding: chunkedfoo", "0\r\n\r\n"),
	}))
}

// RFC 9112 section 6.3: digits, once.
func TestBadLengthIsRefused(t *testing.T) {
	values := map[string]string{
		"empty": "", "sign": "+5", "minus": "-5", "minus zero": "-0", "list": "5, 5", "list of two": "5, 6",
		"list with nothing": "5,", "hexadecimal": "0x5", "exponent": "1e1", "fraction": "5.0", "space inside": "5 5",
		"underscore": "1_0", "semicolon": "5;", "quoted": `"5"`, "letters": "five", "2^63": "9223372036854775808",
		"2^64": "18446744073709551616", "2^64 and 5": "18446744073709551621", "thirty digits": strings.Repeat("9", 30),
		"NUL": "5\x00", "vertical tab": "\x0b5", "other digits": "\u0665", "no-break space": "\u00a05",
	}
	requests := map[string]string{
		"twice the same":     post("Content-Length: 5\r\nContent-Length: 5", "hello"+smuggled),
		"twice":              post("Content-Length: 5\r\nContent-Length: 0", "hello"),
		"other case":         post("Content-Length: 5\r\nCONTENT-LENGTH: 6", "hello"),
		"space before colon": post("Content-Length : 5", "hello"),
		"folded":             post("Content-Length:\r\n 5", "hello"),
		"line of its own":    post("Content-Length: 5\n", "hello"),
	}
	for name, v := range values {
		requests[name] = post("Content-Length: "+v, "hello"+smuggled)
	}
	carryOut(t, refused(400, closes, requests))
}

// What looks like an attack and has one meaning only is served with that meaning, written anew.
func TestUnusualFramingHasOneMeaning(t *testing.T) {
	const head, coded = "POST /attack HTTP/1.1\r\nHost: a.test\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	carryOut(t, []attack{
		{"zeros before a length", post("Content-Length: 0005", "hello"), 200, keeps,
			head + "Content-Length: 5\r\n\r\nhello"},
		{"tabs around a coding", post("Transfer-Encoding: \t chunked\t", "5\r\nhello\r\n0\r\n\r\n"), 200, keeps,
			head + coded + "5\r\nhello\r\n0\r\n\r\n"},
		{"coding in capitals", post("Transfer-Encoding: CHUNKED", "5\r\nhello\r\n0\r\n\r\n"), 200, keeps,
			head + coded + "5\r\nhello\r\n0\r\n\r\n"},
		{"alias of a coding", post("Transfer_Encoding: chunked\r\nContent-Length: 5", "hello"), 200, keeps,
			head + "Content-Length: 5\r\n\r\nhello"},
		{"alias of a length", post("Content_Length: 50\r\nContent-Length: 5", "hello"), 200, keeps,
			head + "Content-Length: 5\r\n\r\nhello"},
		{"length nominated", post("Connection: Content-Length\r\nContent-Length: 5", "hello"), 200, keeps,
			head + "Content-Length: 5\r\n\r\nhello"},
		{"coding nominated", post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
			200, keeps, head + coded + "5\r\nhello\r\n0\r\n\r\n"},
		{"content of GET", "GET /attack HTTP/1.1\r\nHost: a.test\r\nContent-Length: 40\r\n\r\n" + smuggled, 200, keeps,
			"GET /attack HTTP/1.1\r\nHost: a.test\r\nContent-Length: 40\r\n\r\n" + smuggled},
		{"content is a request", post("Content-Length: 40", smuggled), 200, keeps,
			head + "Content-Length: 40\r\n\r\n" + smuggled},
		{"chunk is a request", post("Transfer-Encoding: chunked", "28\r\n"+smuggled+"\r\n0\r\n\r\n"), 200, keeps,
			head + coded + "28\r\n" + smuggled + "\r\n0\r\n\r\n"},
		{"chunk extension", post("Transfer-Encoding: chunked", "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n"), 200, keeps,
			head + coded + "5\r\nhello\r\n0\r\n\r\n"},
		{"zeros before a chunk size", post("Transfer-Encoding: chunked", "0000000000000005\r\nhello\r\n00\r\n\r\n"), 200,
			keeps, head + coded + "5\r\nhello\r\n0\r\n\r\n"},
		{"framing in trailers", post("Transfer-Encoding: chunked",
			"5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: x\r\nHost: b.test\r\nX-Forwarded-For: 1.2.3.4\r\n"+
				"X_Forwarded_For: 1.2.3.4\r\nX-Forwarded-Prefix: /\r\nX-Sum: 1\r\n\r\n"),
			200, keeps, head + coded + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
	})
}

// Content that cannot be decoded. Its head has gone to the server by then: that connection is cut, so that the server
// sees neither an end nor what was hidden.
func TestBadChunksAreCutOff(t *testing.T) {
	bad := map[string]string{
		"17 digits":                "00000000000000005\r\nhello\r\n0\r\n\r\n",
		"2^63":                     "8000000000000000\r\nhello\r\n0\r\n\r\n",
		"2^64 - 1":                 "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
		"2^64 and 5":               "10000000000000005\r\nhello\r\n0\r\n\r\n",
		"prefix":                   "0x5\r\nhello\r\n0\r\n\r\n",
		"minus":                    "-5\r\nhello\r\n0\r\n\r\n",
		"sign":                     "+5\r\nhello\r\n0\r\n\r\n",
		"space before":             " 5\r\nhello\r\n0\r\n\r\n",
		"space behind":             "5 \r\nhello\r\n0\r\n\r\n",
		"underscore":               "1_0\r\nhello\r\n0\r\n\r\n",
		"no size":                  "\r\nhello\r\n0\r\n\r\n",
		"extension without a size": ";a\r\nhello\r\n0\r\n\r\n",
		"no hexadecimal digit":     "G\r\nhello\r\n0\r\n\r\n",
		"size ends in a line feed": "5\nhello\r\n0\r\n\r\n",
		"extension, line feed":     "5;a\nhello\r\n0\r\n\r\n" + smuggled,
		"extension, bare CR":       "5;a\rb\r\nhello\r\n0\r\n\r\n",
		"extension, NUL":           "5;a=\x00\r\nhello\r\n0\r\n\r\n",
		"extension of 300 bytes":   "5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n",
		"data longer than size":    "3\r\nhello\r\n0\r\n\r\n" + smuggled,
		"data ends in a line feed": "5\r\nhello\n0\r\n\r\n",
		"data without an end":      "5\r\nhello0\r\n\r\n" + smuggled,
		"last chunk, then junk":    "5\r\nhello\r\n0\r\n\rX" + smuggled,
		"last chunk, line feeds":   "5\r\nhello\r\n0\n\n" + smuggled,
		"folded trailer":           "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
		"trailer, space before":    "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
		"trailer, NUL":             "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
		"trailer is a request":     "5\r\nhello\r\n0\r\n" + smuggled + "\r\n",
	}
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	b := p.bystand()
	for name, chunks := range bad {
		t.Run(name, func(t *testing.T) {
			s.forget()
			c := p.connect(t)
			c.send(post("Transfer-Encoding: chunked", chunks))
			if a := c.receive("POST"); a.StatusCode != 400 {
				t.Errorf("status %d %q", a.StatusCode, a.body)
			}
			if !c.isClosed() {
				t.Error("the connection stays open")
			}
			eventually(t, "the server's connection is cut", func() bool {
				for _, conn := range s.connections() {
					if text, ended := conn.received(); text != "" && !ended {
						return false
					}
				}
				return true
			})
			got := s.received()
			if strings.Contains(got, "smuggled") || strings.Contains(got, "\r\n0\r\n") || strings.Count(got, "HTTP/1.1") > 1 {
				t.Errorf("the server received %q", got)
			}
		})
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
	if got := p.metric("traffic_client_errors_total", `kind="syntax"`); got < float64(len(bad))-1 {
		t.Errorf("%v errors of clients were counted, of %d", got, len(bad))
	}
}
