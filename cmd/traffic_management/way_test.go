package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// way is how requests come to a proxy: over TLS, each on a connection of its own.
type way struct {
	name  string
	send  func(w *way, t *testing.T, conn *tls.Conn, r *request) answer
	alpn  string
	proxy *proxy
	tls   *tls.Config
}

// ways are all of them.
var ways = []way{
	{name: "HTTP 1.1", alpn: "http/1.1", send: (*way).sendH1},
	{name: "HTTP 1.1 by bytes", alpn: "http/1.1", send: (*way).sendBytes},
	{name: "HTTP 2", alpn: "h2", send: (*way).sendH2},
}

// conform runs a test once for each way, with a proxy of its own that has these middlewares, YAML in flow style without
// the braces around it, and gives those of these names to its one router. Its entry point has the certificate of a.test.
func conform(t *testing.T, here site, middlewares, names string, test func(t *testing.T, w *way)) {
	t.Helper()
	d := doors(t)[1]
	here.entry += d.entry
	here.router = "middlewares: [" + names + "]"
	here.sections += "middlewares: {" + middlewares + "}\n"
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			w.proxy, w.tls = start(t, here, "--loops", "1"), d.tls.Clone()
			w.tls.NextProtos = []string{w.alpn}
			test(t, &w)
		})
	}
}

// request is what a client asks for. Its fields are "name: value", as they are sent but for the case of names.
type request struct {
	method  string // GET when empty
	target  string // "/" when empty
	host    string // a.test when empty
	fields  []string
	content string
}

// ask sends a request and returns the final response.
func (w *way) ask(t *testing.T, r request) answer {
	t.Helper()
	for _, v := range []struct {
		at        *string
		otherwise string
	}{{&r.method, "GET"}, {&r.target, "/"}, {&r.host, "a.test"}} {
		if *v.at == "" {
			*v.at = v.otherwise
		}
	}
	conn := w.connect(t)
	defer conn.Close()
	return w.send(w, t, conn, &r)
}

// connect opens a connection on which everything must happen within patience.
func (w *way) connect(t *testing.T) *tls.Conn {
	t.Helper()
	conn := tls.Client(w.proxy.connect(t).Conn, w.tls)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// text is the request in HTTP/1.1.
func (r *request) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, r.host)
	for _, f := range r.fields {
		b.WriteString(f + "\r\n")
	}
	if r.content != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.content))
	}
	return b.String() + "\r\n" + r.content
}

func (w *way) sendH1(t *testing.T, conn *tls.Conn, r *request) answer {
	t.Helper()
	_, _ = io.WriteString(conn, r.text()) // the answer tells
	return readH1(t, conn, r)
}

// sendBytes sends each byte in a record of its own.
func (w *way) sendBytes(t *testing.T, conn *tls.Conn, r *request) answer {
	t.Helper()
	text := r.text()
	for i := range len(text) {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			break
		}
	}
	return readH1(t, conn, r)
}

func readH1(t *testing.T, conn *tls.Conn, r *request) answer {
	t.Helper()
	c := &client{t: t, Conn: conn, r: bufio.NewReader(conn)}
	for {
		if a := c.receive(r.method); a.StatusCode >= 200 {
			return a
		}
	}
}

// sendH2 sends the request as a stream. Fields that HTTP/2 does not have are the test's affair.
func (w *way) sendH2(t *testing.T, conn *tls.Conn, r *request) answer {
	t.Helper()
	var block, out bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	field := func(name, value string) {
		if err := encoder.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	field(":method", r.method)
	field(":scheme", "https")
	field(":authority", r.host)
	field(":path", r.target)
	for _, f := range r.fields {
		name, value, _ := strings.Cut(f, ":")
		field(strings.ToLower(name), strings.TrimSpace(value))
	}
	if r.content != "" {
		field("content-length", strconv.Itoa(len(r.content)))
	}
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, conn)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}))
	must(framer.WriteWindowUpdate(0, 1<<30))
	head := http2.HeadersFrameParam{StreamID: 1, EndHeaders: block.Len() <= 16384, EndStream: r.content == ""}
	head.BlockFragment = block.Next(16384)
	must(framer.WriteHeaders(head))
	for block.Len() > 0 {
		must(framer.WriteContinuation(1, block.Len() <= 16384, block.Next(16384)))
	}
	for rest := r.content; rest != ""; { // no more than the windows that the proxy begins with
		n := min(len(rest), 16384)
		must(framer.WriteData(1, n == len(rest), []byte(rest[:n])))
		rest = rest[n:]
	}
	_, _ = conn.Write(out.Bytes()) // the answer tells
	return readH2(t, framer)
}

// readH2 reads the response to the first stream.
func readH2(t *testing.T, framer *http2.Framer) answer {
	t.Helper()
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	a := answer{Response: &http.Response{ProtoMajor: 2, Header: http.Header{}, Trailer: http.Header{}}}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no whole response: %v", err)
		}
		if frame.Header().StreamID == 0 {
			if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode != http2.ErrCodeNo {
				t.Fatalf("the connection was ended: %v", away)
			}
			continue
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			into := a.Trailer
			if a.StatusCode < 200 {
				a.StatusCode, _ = strconv.Atoi(f.PseudoValue("status"))
				into = http.Header{}
				a.Header = into
			}
			for _, field := range f.RegularFields() {
				into.Add(field.Name, field.Value)
			}
			ended = f.StreamEnded()
		case *http2.DataFrame:
			a.body += string(f.Data())
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			t.Fatalf("the stream was reset: %v", f.ErrCode)
		}
		if ended {
			return a
		}
	}
}
