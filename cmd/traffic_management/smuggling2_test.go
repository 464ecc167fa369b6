package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestSmugglingOverHTTP2 has requests that would be others in HTTP/1.1. Each costs its stream only: the next one of the
// connection is served, and is all that the server hears of.
func TestSmugglingOverHTTP2(t *testing.T) {
	const plain = ":method|GET|:scheme|http|:authority|a.test|:path|/"
	path := func(p string) string { return ":method|GET|:scheme|http|:authority|a.test|:path|" + p }
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	b := p.bystand()
	for _, c := range []struct{ name, fields, want string }{
		{"request in a value", plain + "|x|a\r\n\r\nGET /admin HTTP/1.1\r\nhost: a.test\r\n\r\n", "PROTOCOL_ERROR"},
		{"field in a value", plain + "|x|a\r\ny: z", "PROTOCOL_ERROR"},
		{"NUL in a value", plain + "|x|a\x00", "PROTOCOL_ERROR"},
		{"field in a name", plain + "|x: y\r\nz|a", "PROTOCOL_ERROR"},
		{"upper case in a name", plain + "|X|a", "PROTOCOL_ERROR"},
		{"transfer coding", plain + "|transfer-encoding|chunked", "PROTOCOL_ERROR"},
		{"connection options", plain + "|connection|x-forwarded-for", "PROTOCOL_ERROR"},
		{"two lengths", plain + "|content-length|0|content-length|44", "PROTOCOL_ERROR"},
		{"a length and no content", plain + "|content-length|44", "PROTOCOL_ERROR"},
		{"space in the path", path("/a HTTP/1.1"), "PROTOCOL_ERROR"},
		{"request in the path", path("/ HTTP/1.1\r\nhost: a.test\r\n\r\nGET /admin"), "PROTOCOL_ERROR"},
		{"absolute path", path("http://b.test/"), "PROTOCOL_ERROR"},
		{"encoded NUL in the path", path("/%00"), "400"},
		{"another host", plain + "|host|b.test", "PROTOCOL_ERROR"},
		{"user information", ":method|GET|:scheme|http|:authority|u@a.test|:path|/", "PROTOCOL_ERROR"},
		{"two paths", path("/admin|:path|/"), "PROTOCOL_ERROR"},
		{"pseudo-header field behind others", "x|y|" + plain, "PROTOCOL_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.forget()
			conn := p.connect2(t)
			conn.ask(1, c.fields)
			if got := conn.answer(t, 1); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := s.received(); got != "" {
				t.Errorf("the server received %q", got)
			}
			conn.ask(3, plain)
			if got := conn.answer(t, 3); got != "200" {
				t.Errorf("the next request: %s", got)
			}
			if got := forwarded(t, s.settled(t)); got != "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" {
				t.Errorf("the server received %q", got)
			}
		})
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
}

// client2 is a client's connection of HTTP/2 in clear text, with prior knowledge. It sends whatever it is told to.
type client2 struct {
	net.Conn
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func (p *proxy) connect2(t *testing.T) *client2 {
	t.Helper()
	c := &client2{Conn: p.connect(t).Conn}
	c.framer = http2.NewFramer(c, c)
	c.framer.AllowIllegalWrites = true
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := c.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a request without content; fields are name|value|name|value.
func (c *client2) ask(stream uint32, fields string) {
	c.block.Reset()
	parts := strings.Split(fields, "|")
	for i := 0; i+1 < len(parts); i += 2 {
		c.encoder.WriteField(hpack.HeaderField{Name: parts[i], Value: parts[i+1]})
	}
	c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: true})
}

// answer is the status of a whole response on a stream, or the code that it was reset with.
func (c *client2) answer(t *testing.T, stream uint32) (result string) {
	t.Helper()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %q: %v", result, err)
		}
		if f.Header().StreamID != stream {
			continue
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			return f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			result = f.PseudoValue("status")
			if f.StreamEnded() {
				return result
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return result
			}
		}
	}
}
