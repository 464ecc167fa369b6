package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// mood is one way to behave on one connection. An error is a fault of the proxy.
type mood struct {
	name  string
	share int // of all connections, against the other moods' shares
	act   func(*client) error
}

var moods = []mood{
	{"polite", 30, polite},
	{"pipelining", 20, pipelining},
	{"slow reader", 8, slowReader},
	{"slow writer", 8, slowWriter},
	{"aborting", 20, aborting},
	{"malformed", 12, malformed},
	{"huge", 2, huge},
}

func anyMood(rng *rand.Rand) *mood {
	sum := 0
	for i := range moods {
		sum += moods[i].share
	}
	at := rng.IntN(sum)
	for i := range moods {
		if at -= moods[i].share; at < 0 {
			return &moods[i]
		}
	}
	panic("shares do not add up")
}

// polite does some exchanges one after the other.
func polite(c *client) error {
	for range 1 + c.rng.IntN(20) {
		w := c.anyWant(1 << (4 + c.rng.IntN(15)))
		if c.rng.IntN(3) == 0 {
			if err := c.post(w, fast, fast); err != nil {
				return err
			}
			continue
		}
		if _, err := io.WriteString(c, c.get(w)); err != nil {
			return err
		}
		if err := c.receive(w, fast); err != nil {
			return err
		}
	}
	return nil
}

// pipelining sends requests without waiting for responses, which must come in order.
func pipelining(c *client) error {
	var wants []want
	var out strings.Builder
	for range 2 + c.rng.IntN(15) {
		w := c.anyWant(16 << 10)
		wants = append(wants, w)
		out.WriteString(c.get(w))
	}
	if _, err := io.WriteString(c, out.String()); err != nil {
		return err
	}
	for i, w := range wants {
		if err := c.receive(w, fast); err != nil {
			return fmt.Errorf("response %d of %d: %w", i+1, len(wants), err)
		}
	}
	return nil
}

func slowReader(c *client) error {
	w := c.anyWant(2 << 20)
	if _, err := io.WriteString(c, c.get(w)); err != nil {
		return err
	}
	return c.receive(w, slow)
}

func slowWriter(c *client) error { return c.post(c.anyWant(1<<20), drip, slow) }

func huge(c *client) error {
	w := c.anyWant(maxContent)
	if c.rng.IntN(2) == 0 {
		return c.post(w, fast, fast)
	}
	if _, err := io.WriteString(c, c.get(w)); err != nil {
		return err
	}
	return c.receive(w, fast)
}

// maxPatience is how long an aborting client reads at most.
const maxPatience = 300 * time.Millisecond

// aborting goes away at a random point of a request or a response, gently or with a reset. Nothing it sees is a fault.
func aborting(c *client) error {
	w := c.anyWant(4 << 20)
	message := io.Reader(strings.NewReader(c.get(w)))
	if c.rng.IntN(2) == 0 {
		body, _ := c.postBody(w)
		message = io.MultiReader(strings.NewReader(c.postHead(w)), body)
	}
	if c.rng.IntN(2) == 0 {
		message = io.LimitReader(message, c.rng.Int64N(200))
	}
	if c.send(message, fast) == nil && c.rng.IntN(3) > 0 {
		// Half a request has no response to read; the deadline is when the client loses patience.
		if err := c.SetReadDeadline(time.Now().Add(time.Duration(c.rng.Int64N(int64(maxPatience))))); err != nil {
			return err
		}
		_, _ = io.CopyN(io.Discard, c, c.rng.Int64N(w.size+300))
	}
	if c.rng.IntN(2) == 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
	}
	return nil
}

// broken are requests no proxy may let through. %s is the host.
var broken = []string{
	"GET / HTTP/1.1\r\n\r\n",
	"GET /content/1/1 HTTP/1.1\r\nHost: %[1]s\r\nHost: %[1]s\r\n\r\n",
	"GET /content/1/1 HTTP/1.1\r\nHost : %s\r\n\r\n",
	"GET /content/1/1 HTTP/1.1\r\nHost: %s\r\nBad Name: x\r\n\r\n",
	"GET /content/1/1 HTTP/1.1\r\nHost: %s\r\nX: a\x00b\r\n\r\n",
	"POST /digest HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST /digest HTTP/1.1\r\nHost: %s\r\nContent-Length: -1\r\n\r\n",
	"POST /digest HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
	"POST /digest HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	"POST /digest HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no TLS here\r\n\r\n",
	"no HTTP at all, host %s\r\n\r\n",
}

// malformed sends one broken request. It must be refused, or the connection closed, within the timeout.
func malformed(c *client) error {
	request := broken[c.rng.IntN(len(broken))]
	if strings.Contains(request, "%") {
		request = fmt.Sprintf(request, c.host)
	}
	if c.rng.IntN(8) == 0 {
		request = fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nX-Long: %s\r\n\r\n", c.host, strings.Repeat("x", 128<<10))
	}
	// It may be refused before all of it was sent.
	_, _ = io.WriteString(c, request)
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	a, err := http.ReadResponse(c.in, nil)
	if isTimeout(err) {
		return fmt.Errorf("neither answered nor closed: %q", request[:min(len(request), 100)])
	}
	if err != nil {
		return nil // closed, or not HTTP/1: as good a refusal
	}
	a.Body.Close()
	if a.StatusCode < 400 {
		return fmt.Errorf("status %s for %q", a.Status, request[:min(len(request), 100)])
	}
	return nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
