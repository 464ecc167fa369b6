package frontend_test

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// wide opens a connection whose client lets all content come, but takes it in sips.
func (s *stall) wide() *h2end {
	c := s.h2client()
	c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	c.framer.WriteWindowUpdate(0, 1<<30)
	c.flush()
	c.gets("SETTINGS ack")
	c.deaf, c.sips = true, true
	return c
}

// A client that takes a large response slowly is heard all the same, however much waits for it at the moment: what it asks
// for and gives up meanwhile does not wait for the end of that.
func TestH2SlowClientIsHeard(t *testing.T) {
	const size = 2 << 20
	for sips := range 12 {
		s := newH2Stall(t)
		c := s.wide()
		c.request(1, true)
		s.servers[0].sends("HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n" + strings.Repeat("a", size))
		for c.data[1] < size/8 {
			c.sip()
		}
		for range sips {
			c.sip()
		}
		c.request(3, true)
		for c.data[1] < size/2 && len(s.servers) < 2 {
			c.sip()
		}
		if len(s.servers) < 2 {
			t.Fatalf("%d sips, %d bytes later the second request is not heard", sips, c.data[1]-size/8)
		}
		c.framer.WriteRSTStream(1, http2.ErrCodeCancel)
		c.flush()
		for before := c.data[1]; c.data[1] < before+size/8 && s.servers[0].fate == ""; {
			c.sip()
		}
		if s.servers[0].fate == "" {
			t.Fatalf("%d sips: the first request was given up and goes on", sips)
		}
	}
}
