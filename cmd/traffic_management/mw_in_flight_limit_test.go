package main

import (
	"strings"
	"testing"
)

// TestInFlightLimitConforms has a server that answers when it is told to.
func TestInFlightLimitConforms(t *testing.T) {
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	s := newServer(t, func(c *serverConn) {
		for {
			if _, err := readHead(c); err != nil {
				return
			}
			asked <- struct{}{}
			<-answer
			if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")); err != nil {
				return
			}
		}
	})
	conform(t, site{server: s}, "one: {in_flight_limit: {amount: 1, key: 'header:X-User'}}", "one", func(t *testing.T, w *way) {
		by := func(user string) request { return request{fields: []string{"X-User: " + user}} }
		begin := func(user string) (status chan int) {
			status = make(chan int, 1)
			go func() { status <- w.ask(t, by(user)).StatusCode }()
			<-asked
			return status
		}
		ann := begin("ann")
		if a := w.ask(t, by("ann")); a.StatusCode != 429 || !strings.Contains(a.body, "under way") {
			t.Errorf("a second request is told %d %q", a.StatusCode, a.body)
		}
		bob := begin("bob")
		answer <- struct{}{}
		answer <- struct{}{}
		if a, b := <-ann, <-bob; a != 200 || b != 200 {
			t.Errorf("the first of each got %d and %d", a, b)
		}
		again := begin("ann")
		answer <- struct{}{}
		if got := <-again; got != 200 {
			t.Errorf("after the first is over: %d", got)
		}
	})
}
