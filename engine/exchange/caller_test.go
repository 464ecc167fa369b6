package exchange_test

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
)

// caller is the client of an exchange without a connection: it says and hears what a frontend does, of any version.
type caller struct {
	scene    *scene
	peer     exchange.Peer
	x        *exchange.Exchange
	heard    []string
	holds    int
	queued   int
	finished bool
}

// caller makes a client; a non-nil state is that of its TLS session.
func (s *scene) caller(state *tls.ConnectionState) *caller {
	local := netip.MustParseAddrPort("192.0.2.100:443")
	return &caller{scene: s, peer: exchange.NewPeer(netip.MustParseAddrPort("198.51.100.7:5000"), local, state, s.entry.Env.Hosts)}
}

// head is a request of HTTP/2 as a frontend hands it over; fields are "name: value".
func head(method, authority, target string, framing codec.Framing, fields ...string) codec.Head {
	h := codec.Head{Version: codec.HTTP2, Method: codec.LookupMethod([]byte(method)), MethodName: []byte(method),
		Scheme: []byte("https"), Authority: []byte(authority), Target: []byte(target), Framing: framing, Length: -1}
	path, query, ok := strings.Cut(target, "?")
	if h.Path = []byte(path); ok {
		h.Query = []byte(query)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Fields = append(h.Fields, codec.Field{Name: []byte(name), Value: []byte(value), ID: codec.LookupFieldID([]byte(name))})
	}
	return h
}

// asks begins a request and lets things take their course.
func (c *caller) asks(h codec.Head) {
	c.x, c.heard, c.finished = c.scene.entry.Local.Begin(c.scene.entry.Env, c, &c.peer), nil, false
	c.x.RequestHead = h
	c.x.Request(h.Framing == codec.NoContent)
	c.scene.loop.Run()
}

// says sends content.
func (c *caller) says(text string, end bool) {
	c.x.RequestData([]byte(text), end)
	c.scene.loop.Run()
}

// replies writes to the server that was asked last, and gives what that got.
func (s *scene) replies(text string) (got string) {
	s.t.Helper()
	for _, server := range s.servers {
		if server.got != "" {
			got, server.got = server.got, ""
			s.sends(server, text)
			return got
		}
	}
	s.t.Fatal("no server was asked")
	return ""
}

func (c *caller) Head(h *codec.Head, end bool) {
	text := fmt.Sprint(h.Status)
	for _, f := range h.Fields {
		if f.ID != codec.FieldRemoved {
			text += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
		}
	}
	if end {
		text += " end"
	}
	c.heard = append(c.heard, text)
}

func (c *caller) Data(p []byte, end bool) {
	c.heard = noteData(c.heard, p, end)
}

// noteData adds content to what was heard. In which pieces it came is the network's affair.
func noteData(heard []string, p []byte, end bool) []string {
	text := "data " + string(p)
	if n := len(heard); n > 0 && strings.HasPrefix(heard[n-1], "data ") {
		text = heard[n-1] + string(p)
		heard = heard[:n-1]
	}
	if end {
		text += " end"
	}
	return append(heard, text)
}

func (c *caller) Trailers(t []codec.Field) {
	text := "trailers"
	for _, f := range t {
		text += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
	}
	c.heard = append(c.heard, text)
}

func (c *caller) Reset(e *codec.Error) { c.heard = append(c.heard, "reset "+e.Error()) }
func (c *caller) Queued() int          { return c.queued }
func (c *caller) Finished()            { c.x, c.finished = nil, true }

func (c *caller) Hold(on bool) {
	if on {
		c.holds++
	} else {
		c.holds--
	}
}
