package frontend

import "bytes"

// h2Preface is what a client of HTTP/2 sends first (RFC 9113 section 3.4). In clear text it is how such a client is known;
// a request to upgrade is not taken, as that RFC has it.
var h2Preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

// detect looks whether a connection that has had no request yet speaks HTTP/2, or may, for all that has come. It reports
// whether that was so, and then there is nothing for HTTP/1.1 to read.
func (c *H1) detect(in []byte) bool {
	n := min(len(in), len(h2Preface))
	if c.peer.TLS != nil || c.entry.Settings.HTTP2 == nil || !bytes.Equal(in[:n], h2Preface[:n]) {
		return false
	}
	if n < len(h2Preface) {
		c.incomplete(len(in))
		c.seen = 1 // the next byte may decide, whatever it is
		return true
	}
	c.replaced()
	c.phase = phaseClosed
	next := c.entry.beginH2(c.conn, c.meter, c.peer, c.accepted)
	c.conn.SetSink(next)
	next.OnData()
	return true
}
