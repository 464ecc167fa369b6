package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// trick is a request of HTTP/2 that would be another one, or two, in HTTP/1.1 if it were written as it is.
type trick struct {
	name    string
	fields  []string // names and values in turn; those of usual that are not among them come first, all others as they are
	raw     bool     // fields is all there is
	content string
	status  string // of the answer; empty: the stream is reset
	server  string // what the server receives, as attack has it
}

// usual are the pseudo-header fields that a trick has unless it says otherwise.
var usual = []string{":method", "POST", ":scheme", "http", ":authority", "a.test", ":path", "/attack"}

func (v *trick) head() []string {
	if v.raw {
		return v.fields
	}
	var all []string
	for i := 0; i < len(usual); i += 2 {
		value := usual[i+1]
		for k := 0; k < len(v.fields); k += 2 {
			if v.fields[k] == usual[i] {
				value = v.fields[k+1]
			}
		}
		all = append(all, usual[i], value)
	}
	for k := 0; k < len(v.fields); k += 2 {
		if !strings.HasPrefix(v.fields[k], ":") {
			all = append(all, v.fields[k], v.fields[k+1])
		}
	}
	return all
}

// What reaches a server of HTTP/1.1 of the requests of HTTP/2, to the byte.
func TestSmugglingOverHTTP2(t *testing.T) {
	const head, coded = "POST /attack HTTP/1.1\r\nHost: a.test\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	chunked := head + coded + "28\r\n" + smuggled + "\r\n0\r\n\r\n"
	tricks := []trick{
		{name: "H2.CL", fields: []string{"content-length", "0"}, content: smuggled},
		{name: "H2.CL, some", fields: []string{"content-length", "5"}, content: "hello" + smuggled},
		{name: "H2.CL, too much", fields: []string{"content-length", "500"}, content: smuggled},
		{name: "H2.CL, twice", fields: []string{"content-length", "40", "content-length", "40"}, content: smuggled},
		{name: "H2.CL, list", fields: []string{"content-length", "40, 0"}, content: smuggled},
		{name: "H2.CL, sign", fields: []string{"content-length", "+40"}, content: smuggled},
		{name: "H2.TE", fields: []string{"transfer-encoding", "chunked"}, content: "0\r\n\r\n" + smuggled},
		{name: "H2.TE, capital", fields: []string{"Transfer-Encoding", "chunked"}, content: "0\r\n\r\n" + smuggled},
		{name: "H2.TE in a value", fields: []string{"x", "y\r\nTransfer-Encoding: chunked"}, content: "0\r\n\r\n" + smuggled},
		{name: "H2.TE in a name", fields: []string{"x: y\r\ntransfer-encoding", "chunked"}, content: "0\r\n\r\n" + smuggled},
		{name: "H2.TE behind a colon", fields: []string{"transfer-encoding:", "chunked"}, content: "0\r\n\r\n" + smuggled},
		{name: "request in a value", fields: []string{"x", "y\r\n\r\n" + smuggled}},
		{name: "line feed", fields: []string{"x", "y\n\n" + smuggled}},
		{name: "NUL", fields: []string{"x", "y\x00z"}},
		{name: "request in :path", fields: []string{":path", "/ HTTP/1.1\r\nHost: a.test\r\n\r\n" + smuggled}},
		{name: "version in :path", fields: []string{":path", "/ HTTP/1.1"}},
		{name: "tab in :path", fields: []string{":path", "/\tHTTP/1.1"}},
		{name: "request in :method", fields: []string{":method", "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\nPOST"}},
		{name: "space in :method", fields: []string{":method", "GET /smuggled"}},
		{name: "line in :authority", fields: []string{":authority", "a.test\r\nX: y"}},
		{name: "path in :authority", fields: []string{":authority", "a.test/smuggled"}},
		{name: "user in :authority", fields: []string{":authority", "a.test@b.test"}},
		{name: "request in :scheme", fields: []string{":scheme", "http://a.test/smuggled HTTP/1.1\r\n\r\n"}},
		{name: "absolute :path", fields: []string{":path", "http://b.test/"}},
		{name: "encoded NUL in :path", fields: []string{":path", "/%00"}, status: "400"},
		{name: "two paths", fields: append(slices.Clone(usual), ":path", "/admin"), raw: true},
		{name: "pseudo-header field behind others", fields: append([]string{"x", "y"}, usual...), raw: true},
		{name: "no path", fields: []string{":method", "GET", ":scheme", "http", ":authority", "a.test"}, raw: true},
		{name: "another Host", fields: []string{"host", "b.test"}},
		{name: "Connection", fields: []string{"connection", "content-length"}},
		{name: "Upgrade", fields: []string{"upgrade", "h2c"}},
		{name: "TE", fields: []string{"te", "trailers, chunked"}},
		{name: "content is a request", content: smuggled, status: "200", server: chunked},
		{name: "content is a request, of GET", fields: []string{":method", "GET"}, content: smuggled, status: "200",
			server: strings.Replace(chunked, "POST", "GET", 1)},
		{name: "content is chunks", content: "0\r\n\r\n" + smuggled, status: "200",
			server: head + coded + "2d\r\n0\r\n\r\n" + smuggled + "\r\n0\r\n\r\n"},
		{name: "content of the length it has", fields: []string{"content-length", "40"}, content: smuggled, status: "200",
			server: head + "Content-Length: 40\r\n\r\n" + smuggled},
		{name: "the same Host", fields: []string{"host", "A.test", "x", "y"}, status: "200", server: head + "x: y\r\n\r\n"},
		{name: "crumbs", fields: []string{"cookie", "a=b", "x", "y", "cookie", "c=d"}, status: "200",
			server: head + "Cookie: a=b; c=d\r\nx: y\r\n\r\n"},
		{name: "aliases", fields: []string{"transfer_encoding", "chunked", "content_length", "9"}, content: "hello", status: "200",
			server: head + coded + "5\r\nhello\r\n0\r\n\r\n"},
	}
	for _, d := range doors(t) {
		t.Run(d.name, func(t *testing.T) {
			s, bystanders := newServer(t, greet), newServer(t, greet)
			p := start(t, site{server: s, bystander: bystanders, entry: d.entry})
			unharmed := d.bystand(p)
			f := d.frames(t, p)
			for i := range tricks {
				t.Run(tricks[i].name, func(t *testing.T) { f.play(t, s, odd(i), &tricks[i]) })
			}
			unharmed(t)
			f.serves(t, odd(len(tricks)))
		})
	}
}

// play sends a trick, and looks what came of it on both sides.
func (f *framer) play(t *testing.T, s *server, id uint32, v *trick) {
	s.forget()
	f.head(id, v.content == "", v.head()...)
	if v.content != "" {
		f.must(f.WriteData(id, true, []byte(v.content)))
	}
	f.flush()
	f.until(t, "an answer", func(h *heard) bool {
		_, reset := h.resets[id]
		return reset || h.ended[id] || h.closed != nil
	})
	f.mu.Lock()
	code, reset := f.heard.resets[id]
	status := f.heard.statuses[id]
	f.mu.Unlock()
	if v.status == "" {
		if !reset || code != http2.ErrCodeProtocol {
			t.Errorf("not reset: %v, %s", code, status)
		}
		// The head of a request whose content is wrong may be there already, but no end of it and nothing behind.
		eventually(t, "nobody waits at the server", func() bool {
			for _, c := range s.connections() {
				if text, ended := c.received(); text != "" && !ended {
					return false
				}
			}
			return true
		})
		if got := s.received(); strings.Count(got, "HTTP/1.1") > 1 || wholeRequests(got) && got != "" {
			t.Errorf("the server received %q", got)
		}
		return
	}
	if status != v.status {
		t.Fatalf("status %q, reset %v %v; want %s", status, reset, code, v.status)
	}
	if v.server == "" {
		if got := s.received(); got != "" {
			t.Errorf("the server received %q", got)
		}
		return
	}
	if got := forwarded(t, s.settled(t)); got != v.server {
		t.Errorf("the server received\n%q, want\n%q", got, v.server)
	}
}

// What a client sends behind an extended CONNECT (RFC 8441) is its word only: a server that does not switch never sees it.
func TestContentBeforeAnUpgrade(t *testing.T) {
	for _, c := range []struct{ name, answer, status string }{
		{"declined", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"},
		{"ignored", greeting, "400"},
		{"switched to something else", strings.Replace(switches, "websocket", "h2c", 1), "502"},
		{"switched without a proof", switches, "502"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, func(s *serverConn) {
				for {
					if _, err := readHead(s); err != nil {
						return
					}
					if _, err := io.WriteString(s, c.answer); err != nil {
						return
					}
				}
			})
			d := doors(t)[1]
			p := start(t, site{server: s, bystander: newServer(t, greet), entry: d.entry}, "--loops", "1")
			f := d.frames(t, p)
			f.head(1, unfinished, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a.test", ":path", "/chat")
			f.must(f.WriteData(1, false, []byte(smuggled)))
			f.flush()
			f.until(t, "an answer", func(h *heard) bool { return h.statuses[1] != "" })
			f.must(f.WriteData(1, true, []byte(smuggled)))
			f.flush()
			if !f.so(func(h *heard) bool { return h.statuses[1] == c.status }) {
				t.Errorf("status %s, want %s", f.heard.statuses[1], c.status)
			}
			f.head(3, complete, ":method", "GET", ":scheme", "https", ":authority", "bystander.test", ":path", "/")
			f.flush()
			f.until(t, "another request", func(h *heard) bool { return h.statuses[3] == "200" })
			eventually(t, "the connection to the server ends", func() bool {
				_, ended := s.connections()[0].received()
				return ended
			})
			if got := s.received(); strings.Contains(got, "smuggled") {
				t.Errorf("the server received %q", got)
			}
		})
	}
}
