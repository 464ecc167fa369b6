package codec_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"traffic_management/codec"
	"traffic_management/codec/h1"
	"traffic_management/codec/h2"
)

// Messages that change their version on their way keep their meaning: what one codec accepts and the other sends is
// accepted as the same message.

var (
	wide   = h1.Limits{HeadBytes: 1 << 20, Fields: 1000}
	wideH2 = h2.Config{MaxStreams: 10, StreamWindow: 1 << 16, ConnWindow: 1 << 16, MaxHeadBytes: 1 << 20, MaxFields: 1000,
		ExtendedConnect: true}
)

// party is one end of an HTTP/2 connection without a socket, and hears everything on it.
type party struct {
	session *h2.Session
	sent    bytes.Buffer
	unread  []byte

	stream  *h2.Stream  // the one that the test is about
	head    *codec.Head // the last one that came, a copy
	heads   int
	end     bool
	content []byte
	trailer []codec.Field
	refused *codec.Error
	failed  *codec.Error
}

func (p *party) Write(b []byte) { p.sent.Write(b) }
func (p *party) Queued() int    { return 0 }
func (p *party) Writev(bufs [][]byte) {
	for _, b := range bufs {
		p.sent.Write(b)
	}
}

func (p *party) Request(s *h2.Stream, h *codec.Head, _ []byte, end bool) codec.Receiver {
	p.stream = s
	p.Head(h, end)
	return p
}

func (p *party) Refused(s *h2.Stream, e *codec.Error) codec.Receiver {
	p.stream, p.refused = s, e
	return p
}

func (p *party) Settings()                     {}
func (p *party) GoAway(_ uint32, _ h2.ErrCode) {}
func (p *party) Pong(uint64)                   {}
func (p *party) Later()                        {}
func (p *party) Ready(codec.Stream)            {}
func (p *party) Drained()                      {}
func (p *party) Failed(e *codec.Error)         { p.failed = e }
func (p *party) Trailers(t []codec.Field) {
	p.end = true
	for _, f := range t {
		p.trailer = append(p.trailer, codec.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)})
	}
}

func (p *party) Head(h *codec.Head, end bool) { p.head, p.end, p.heads = copied(h), end, p.heads+1 }

func (p *party) Data(b []byte, end bool) { p.content, p.end = append(p.content, b...), end }

// hear takes what came.
func (p *party) hear(b []byte) error {
	p.unread = append(p.unread, b...)
	n, err := p.session.Receive(p.unread, time.Second)
	p.unread = p.unread[n:]
	p.session.Deliver()
	return err
}

// connect makes two parties that speak to each other.
func connect() (client, server *party) {
	client, server = &party{}, &party{}
	client.session = h2.NewClient(&wideH2, client, client, 0)
	server.session = h2.NewServer(&wideH2, server, server, 0)
	exchange(client, server)
	return client, server
}

// exchange lets the parties hear each other until neither has anything to say.
func exchange(client, server *party) {
	for client.sent.Len() > 0 || server.sent.Len() > 0 {
		server.hear(bytes.Clone(client.sent.Next(client.sent.Len())))
		client.hear(bytes.Clone(server.sent.Next(server.sent.Len())))
	}
}

// copied is a head with nothing lent.
func copied(h *codec.Head) *codec.Head {
	c := *h
	for _, s := range []*[]byte{&c.MethodName, &c.Target, &c.Scheme, &c.Authority, &c.Path, &c.Query, &c.Reason} {
		*s = bytes.Clone(*s)
	}
	c.Fields = slices.Clone(h.Fields)
	for i := range c.Fields {
		c.Fields[i].Name, c.Fields[i].Value = bytes.Clone(c.Fields[i].Name), bytes.Clone(c.Fields[i].Value)
	}
	return &c
}

// meaning is what must survive the way of a head to another version: everything but its spelling, and what concerns one
// hop only. omit are the traits of the fields that are not passed on.
func meaning(h *codec.Head, omit codec.Trait) string {
	framing := fmt.Sprint("content ", h.Framing == codec.NoContent)
	if h.Framing == codec.ByLength || h.Framing == codec.NoContent && h.Length == 0 {
		framing = fmt.Sprint("length ", h.Length)
	}
	s := fmt.Sprintf("%s %q %s", h.MethodName, h.Authority, framing)
	if h.Status != 0 {
		s = fmt.Sprintf("%d %s", h.Status, framing)
	} else {
		path := string(h.Path)
		if path == "" {
			path = "/"
			if h.Method == codec.MethodOptions && h.Query == nil {
				path = "*"
			}
		}
		s += fmt.Sprintf(" %q %v %q", path, h.Query != nil, h.Query)
	}
	var cookies []string
	for _, f := range h.Fields {
		switch {
		case codec.Traits[codec.LookupFieldID(f.Name)]&omit != 0:
		case h.Status == 0 && codec.EqualFold(f.Name, "cookie"): // may be in pieces in HTTP/2 (RFC 9113 section 8.2.3)
			cookies = append(cookies, string(f.Value))
		default:
			s += fmt.Sprintf(" [%s: %q]", bytes.ToLower(f.Name), f.Value)
		}
	}
	if cookies != nil {
		said := slices.DeleteFunc(cookies, func(crumb string) bool { return crumb == "" })
		s += fmt.Sprintf(" cookie %q", strings.Join(said, "; "))
	}
	return s
}

const (
	notInRequest  = codec.TraitNotInRequest | codec.TraitUpgrade
	notInResponse = codec.TraitNotInResponse | codec.TraitUpgrade
)

// FuzzRequestTo2: a request of HTTP/1.1 is the same in HTTP/2, and in HTTP/1.1 again.
func FuzzRequestTo2(f *testing.F) {
	for _, s := range []string{
		"GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\nCookie: a=b\r\ncookie: c\r\ncookie:\r\n\r\n",
		"POST http://h HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nX_y: \xff\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: close, x\r\nX: y\r\nUpgrade: h2c\r\nTE: trailers\r\n\r\n",
		"OPTIONS http://h?x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n",
		"PUT /%2f HTTP/1.0\r\nHost: h\r\nContent-Length: 0\r\nEmpty:\r\n\r\n", "m-1 //x/?? HTTP/1.1\r\nHost: h\r\n:\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h := &codec.Head{}
		n, err := h1.ParseRequestHead(in, h, &wide)
		if n == 0 || err != nil || h.Method == codec.MethodConnect || len(h.Authority) == 0 {
			return // such requests reach no server, or with the server's own authority
		}
		h.Options = 0
		want := meaning(h, notInRequest)
		client, server := connect()
		s := client.session.Open(client)
		s.Head(h, h.Framing == codec.NoContent)
		exchange(client, server)
		if server.head == nil || server.end != (h.Framing == codec.NoContent) {
			t.Fatalf("%q: %v, %v", in[:n], server.refused, client.failed)
		}
		if got := meaning(server.head, notInRequest); got != want {
			t.Fatalf("%q: in HTTP/2 %s, want %s", in[:n], got, want)
		}
		checkRequest1(t, server.head)
	})
}

// checkRequest1 sends a request of HTTP/2 as HTTP/1.1.
func checkRequest1(t *testing.T, h *codec.Head) {
	t.Helper()
	sent := h1.AppendRequestHead(nil, h, h.Framing)
	again := &codec.Head{}
	n, err := h1.ParseRequestHead(append(bytes.Clone(sent), "GET /smuggled HTTP/1.1\r\n\r\n"...), again, &wide)
	if n == 0 || n != len(sent) || err != nil {
		t.Fatalf("%s is sent as %q: %d %v", meaning(h, 0), sent, n, err)
	}
	if got, want := meaning(again, notInRequest), meaning(h, notInRequest); got != want {
		t.Fatalf("is sent as %q: %s, want %s", sent, got, want)
	}
}

// FuzzResponseTo2: a response of HTTP/1.1 is the same in HTTP/2.
func FuzzResponseTo2(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n", "HTTP/1.0 404\r\n\r\n",
		"HTTP/1.1 304 x\r\nContent-Length: 5\r\nETag: \"y\"\r\n\r\n", "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 999 x\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n",
	} {
		for m := codec.MethodGet; m <= codec.MethodPatch; m++ {
			f.Add([]byte(s), byte(m))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, method byte) {
		m := codec.Method(method % 10)
		h := &codec.Head{}
		n, err := h1.ParseResponseHead(in, m, h, &wide)
		if n == 0 || err != nil || m == codec.MethodOther || m == codec.MethodConnect || h.Status == 101 {
			return
		}
		client, server := connect()
		s := client.session.Open(client)
		s.Head(request(m.String(), "h", "/"), true)
		exchange(client, server)
		end := h.Framing == codec.NoContent && h.Status >= 200
		server.stream.Head(h, end)
		exchange(client, server)
		if client.head == nil || client.end != end || client.failed != nil {
			t.Fatalf("%q: heads %d, %v", in[:n], client.heads, client.failed)
		}
		if got, want := responseMeaning(client.head), responseMeaning(h); got != want {
			t.Fatalf("%q: in HTTP/2 %s, want %s", in[:n], got, want)
		}
	})
}

// responseMeaning is meaning with the length that says how long content would have been.
func responseMeaning(h *codec.Head) string {
	c := *h
	if codec.Contentless(c.Method, c.Status) {
		c.Framing = codec.NoContent
		if c.Status != 304 && (c.Method != codec.MethodHead || c.Status < 200 || c.Status == 204) {
			c.Length = -1
		}
		return fmt.Sprint(meaning(&c, notInResponse), " would be ", c.Length)
	}
	if c.Framing == codec.NoContent {
		c.Length = 0
	}
	return meaning(&c, notInResponse)
}

// request is a head to send.
func request(method, authority, path string) *codec.Head {
	return &codec.Head{Version: codec.HTTP2, Method: codec.LookupMethod([]byte(method)), MethodName: []byte(method),
		Authority: []byte(authority), Path: []byte(path), Length: -1}
}

// FuzzRequestFrom2: whatever fields make a request of HTTP/2 that is accepted, in HTTP/1.1 it is the same request and
// nothing else.
func FuzzRequestFrom2(f *testing.F) {
	for _, c := range tricks {
		f.Add([]byte(c.text), false)
	}
	f.Add([]byte(get+"|accept|*/*|cookie|a|x|y|cookie|b|cookie|"), true)
	f.Add([]byte(get+"|cookie||cookie|a|cookie|"), true)
	f.Fuzz(func(t *testing.T, text []byte, end bool) {
		p := asked(string(text), end)
		if p.head == nil {
			return
		}
		if p.head.Method == codec.MethodConnect {
			return // no server is asked
		}
		checkRequest1(t, p.head)
	})
}

// asked gives a server's session a request whose fields are in text: name|value|name|value.
func asked(text string, end bool) *party {
	p := &party{}
	p.session = h2.NewServer(&wideH2, p, p, 0)
	var wire bytes.Buffer
	wire.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&wire, nil)
	framer.AllowIllegalWrites = true
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(text), EndHeaders: true, EndStream: end})
	p.hear(wire.Bytes())
	return p
}

func block(text string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	parts := strings.Split(text, "|")
	for i := 0; i+1 < len(parts); i += 2 {
		e.WriteField(hpack.HeaderField{Name: parts[i], Value: parts[i+1]})
	}
	return b.Bytes()
}

// FuzzResponseFrom2: whatever fields make a response of HTTP/2 that is accepted, in HTTP/1.1 it is the same response.
func FuzzResponseFrom2(f *testing.F) {
	for _, s := range []string{":status|200|content-length|5", ":status|204|x|a\r\nb: c", ":status|304|content-length|5", ":status|103|link|x",
		":status|200|connection|close", ":status|200|transfer-encoding|chunked", ":status|101|upgrade|x", ":status|200|Date|x",
		":status|0200", ":status|200|:status|204", ":status|200|content-length|5|content-length|5", ":status|200|set-cookie|a|set-cookie|b"} {
		f.Add([]byte(s), byte(codec.MethodGet), false)
		f.Add([]byte(s), byte(codec.MethodHead), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, method byte, end bool) {
		m := codec.Method(method % 10)
		if m == codec.MethodOther || m == codec.MethodConnect {
			return
		}
		p := answered(string(text), m, end)
		if p.head == nil {
			return
		}
		if p.head.Status == 101 {
			t.Fatalf("%q: nobody asked for another protocol", text)
		}
		sent := h1.AppendResponseHead(nil, p.head, p.head.Framing, 0)
		again := &codec.Head{}
		n, err := h1.ParseResponseHead(append(bytes.Clone(sent), "smuggled: x\r\n\r\n"...), m, again, &wide)
		if n == 0 || n != len(sent) || err != nil {
			t.Fatalf("%q is sent as %q: %d %v", text, sent, n, err)
		}
		if got, want := responseMeaning(again), responseMeaning(p.head); got != want {
			t.Fatalf("%q is sent as %q: %s, want %s", text, sent, got, want)
		}
	})
}

// answered gives a client's session, which has asked with method m, a response whose fields are in text.
func answered(text string, m codec.Method, end bool) *party {
	p := &party{}
	p.session = h2.NewClient(&wideH2, p, p, 0)
	p.stream = p.session.Open(p)
	p.stream.Head(request(m.String(), "h", "/"), true)
	var wire bytes.Buffer
	framer := http2.NewFramer(&wire, nil)
	framer.AllowIllegalWrites = true
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(text), EndHeaders: true, EndStream: end})
	p.hear(wire.Bytes())
	return p
}
