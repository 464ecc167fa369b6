package main

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// simple are the fields of a request.
const simple = ":method|GET|:scheme|http|:authority|a.test|:path|/"

// TestFloodsOverHTTP2 has what costs a client nothing and the proxy work. Each ends its connection, for its reason, before
// much of it was done; the proxy's memory stays small, and who asks for a page meanwhile gets it.
func TestFloodsOverHTTP2(t *testing.T) {
	s, bystanders := newServer(t, hang), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	b := p.bystand()
	stream := func(i int) uint32 { return uint32(2*i + 1) }
	for _, c := range []struct {
		reason string
		do     func(c *client2, i int)
	}{
		{"reset_flood", func(c *client2, i int) { // CVE-2023-44487
			c.ask(stream(i), simple)
			c.framer.WriteRSTStream(stream(i), http2.ErrCodeCancel)
		}},
		{"reset_flood", func(c *client2, i int) { // CVE-2025-8671
			c.ask(stream(i), simple)
			c.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, stream(i), make([]byte, 4))
		}},
		{"settings_flood", func(c *client2, i int) { c.framer.WriteSettings() }},
		{"ping_flood", func(c *client2, i int) { c.framer.WritePing(false, [8]byte{}) }},
		{"priority_flood", func(c *client2, i int) { c.framer.WritePriority(stream(i), http2.PriorityParam{Weight: 1}) }},
		{"window_update_flood", func(c *client2, i int) { c.framer.WriteWindowUpdate(0, 1) }},
		{"unknown_frame_flood", func(c *client2, i int) { c.framer.WriteRawFrame(0xee, 0, 0, nil) }},
		{"empty_data_flood", func(c *client2, i int) {
			if i == 0 {
				c.begin(1, simple)
			}
			c.framer.WriteData(1, false, nil)
		}},
		{"continuation_flood", func(c *client2, i int) {
			if i == 0 {
				c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}
			c.framer.WriteContinuation(1, false, nil)
		}},
		{"compression", func(c *client2, i int) { // an index that no table has
			c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream(i), BlockFragment: []byte{0xff, 0xff, 0x7f}, EndHeaders: true})
		}},
	} {
		before := p.metric("traffic_http2_errors_total", `reason="`+c.reason+`"`)
		conn := p.connect2(t)
		for i := range 2000 { // the proxy stops reading long before
			c.do(conn, i)
		}
		if got := conn.farewell(t); got != c.reason {
			t.Errorf("the connection ended for %q, want %q", got, c.reason)
		}
		if n := p.metric("traffic_http2_errors_total", `reason="`+c.reason+`"`); n != before+1 {
			t.Errorf("%s was counted %v times", c.reason, n-before)
		}
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
}

// TestHeaderBombOverHTTP2: entries of the table that stand for much, named again and again in streams that a closed
// window keeps open, fill no memory.
func TestHeaderBombOverHTTP2(t *testing.T) {
	s, bystanders := newServer(t, hang), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders})
	b := p.bystand()
	for range 20 {
		c := p.connect2(t)
		c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.ask(1, simple+"|cookie|"+strings.Repeat("x", 3900))
		for i := 1; i < 90; i++ {
			c.bomb(uint32(2*i+1), 8)
		}
		for i := 1; i < 90; i++ {
			if got := c.status(t, uint32(2*i+1)); got != "431" {
				t.Errorf("a bomb was answered with %s", got)
			}
		}
		c.bomb(201, 16000)
		if got := c.farewell(t); got != "field_block_long" {
			t.Errorf("the connection ended for %q", got)
		}
	}
	b.unharmed(t)
	p.heldAtMost(memoryBound)
}

// bomb sends a request with the newest entry of the table so many times.
func (c *client2) bomb(stream uint32, times int) {
	block := []byte("\x82\x86\x84\x01\x06a.test" + strings.Repeat("\xbe", times))
	c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: true})
}

// status reads until the head of a response on a stream.
func (c *client2) status(t *testing.T, stream uint32) string {
	t.Helper()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := f.(*http2.MetaHeadersFrame); ok && h.StreamID == stream {
			return h.PseudoValue("status")
		}
	}
}

// hang is the script of a server that takes requests and answers none.
func hang(c *serverConn) {
	for {
		if _, err := readHead(c); err != nil {
			return
		}
	}
}

// begin sends a request whose content is to follow.
func (c *client2) begin(stream uint32, fields string) {
	var out bytes.Buffer
	old := c.framer
	c.framer = http2.NewFramer(&out, nil)
	c.ask(stream, fields)
	c.framer = old
	b := out.Bytes()
	b[4] &^= byte(http2.FlagHeadersEndStream)
	c.Write(b)
}

// farewell reads until GOAWAY, and returns what it says.
func (c *client2) farewell(t *testing.T) string {
	t.Helper()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Errorf("no GOAWAY: %v", err)
			return ""
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			return string(g.DebugData())
		}
	}
}
