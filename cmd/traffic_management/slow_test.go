package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// impatient are limits of an entry point that a test can wait for.
const (
	impatient = "header_timeout_ms: 1500, body_idle_timeout_ms: 1000, body_grace_ms: 1200, body_min_bytes_per_second: 1000, " +
		"write_timeout_ms: 1000, idle_timeout_ms: 1000"
	headTime = 1500 * time.Millisecond
	bodyTime = 1000 * time.Millisecond // of silence
	slowTime = 1200 * time.Millisecond // of less than the rate
	idleTime = 1000 * time.Millisecond
	lateness = 3 * time.Second // what a busy machine may add to them
)

// crowd is how many slow clients there are at a time.
func crowd(n int) int {
	if raceDetector {
		return n / 10
	}
	return n
}

// slow is one way of holding a connection without getting anywhere.
type slow struct {
	name    string
	sent    string        // at once
	trickle string        // again and again, a byte at a time
	answers []int         // statuses, in order, before the proxy closes the connection
	after   time.Duration // how long the proxy waits
	// What the proxy sends before it closes the connection, when it is not answers of HTTP/1.1.
	hears func(c *client) error
}

// trickleEvery is the time from one byte to the next.
const trickleEvery = 100 * time.Millisecond

// hold does it to the proxy until that closes the connection.
func (v *slow) hold(address string) error {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &client{Conn: conn}
	_ = conn.SetDeadline(began.Add(2 * patience))
	if _, err := io.WriteString(conn, v.sent); err != nil {
		return err
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	if v.trickle != "" {
		writing.Go(func() { drip(conn, v.trickle, stop) })
	}
	if v.hears != nil {
		err = v.hears(c)
	} else {
		err = c.hears(v.answers)
	}
	took := time.Since(began)
	close(stop)
	writing.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("after %v: %w", took, err)
	case took < v.after-50*time.Millisecond || took > v.after+lateness:
		return fmt.Errorf("cut off after %v, want %v", took, v.after)
	}
	return nil
}

// drip sends text a byte at a time, over and over.
func drip(conn net.Conn, text string, stop <-chan struct{}) {
	tick := time.NewTicker(trickleEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(conn, text[i%len(text):i%len(text)+1]); err != nil {
			return
		}
	}
}

// hears reads what the proxy sends until it closes the connection: answers of these statuses and nothing else.
func (c *client) hears(statuses []int) error {
	text, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return fmt.Errorf("the connection stays open: %q", text)
	}
	var got []int
	for rest := string(text); rest != ""; {
		var status int
		if _, err := fmt.Sscanf(rest, "HTTP/1.1 %d ", &status); err != nil {
			return fmt.Errorf("received %q", text)
		}
		got = append(got, status)
		next := strings.Index(rest[1:], "HTTP/1.1 ")
		if next < 0 {
			break
		}
		rest = rest[next+1:]
	}
	if fmt.Sprint(got) != fmt.Sprint(statuses) {
		return fmt.Errorf("received answers %v, want %v", got, statuses)
	}
	return nil
}

// torment holds n connections at the same time, of every way as many as of the others, while another client is served.
func torment(t *testing.T, p *proxy, ways []slow, n int) {
	t.Helper()
	tormentBeside(t, p, p.bystand().unharmed, ways, n)
}

// tormentBeside is torment beside bystanders that were started.
func tormentBeside(t *testing.T, p *proxy, unharmed func(*testing.T), ways []slow, n int) {
	t.Helper()
	failures := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { failures[i] = ways[i%len(ways)].hold(p.web) })
	}
	eventually(t, "all connections are open together", func() bool {
		return p.metric("traffic_entrypoint_open_connections") >= float64(n)
	})
	all.Wait()
	unharmed(t)
	reported := map[string]bool{}
	for i, err := range failures {
		if name := ways[i%len(ways)].name; err != nil && !reported[name] {
			reported[name] = true
			t.Errorf("%s: %v", name, err)
		}
	}
	eventually(t, "no connection is left", func() bool { return p.metric("traffic_entrypoint_open_connections") == 0 })
}

func TestSlowHeads(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: a.test\r\n"
	ways := []slow{
		{"silence", "", "", nil, headTime, nil},
		{"silence in a method", "GE", "", []int{408}, headTime, nil},
		{"silence in a head", head, "", []int{408}, headTime, nil},
		{"silence before the last line feed", head + "\r", "", []int{408}, headTime, nil},
		{"trickled from the start", "", "GET / HTTP/1.1\r\n", []int{408}, headTime, nil},
		{"trickled value", head + "X: ", "a", []int{408}, headTime, nil},
		{"trickled fields", head, "X: y\r\n", []int{408}, headTime, nil},
		{"large head, then trickled", head + "X: " + strings.Repeat("a", 15<<10), "a", []int{408}, headTime, nil},
		{"second head", head + "\r\n" + head, "X: y\r\n", []int{200, 408}, headTime, nil},
		{"no second request", head + "\r\n", "", []int{200}, idleTime, nil},
		{"an empty line", "\r\n", "", []int{408}, headTime, nil},
	}
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	torment(t, p, ways, crowd(2000))
	p.heldAtMost(96 << 20) // of which 3 MB are the large heads
	if got := s.settled(t); strings.Contains(got, "X:") {
		t.Error("the server received a part of a head")
	}
}

func TestSlowContent(t *testing.T) {
	const chunked = "Transfer-Encoding: chunked"
	ways := []slow{
		{"silence", post("Content-Length: 9", ""), "", []int{408}, bodyTime, nil},
		{"silence inside", post("Content-Length: 9", "abc"), "", []int{408}, bodyTime, nil},
		{"silence before a chunk", post(chunked, ""), "", []int{408}, bodyTime, nil},
		{"silence inside a chunk", post(chunked, "5\r\nab"), "", []int{408}, bodyTime, nil},
		{"silence before the last chunk", post(chunked, "2\r\nab\r\n"), "", []int{408}, bodyTime, nil},
		{"silence in trailers", post(chunked, "0\r\nX: y\r\n"), "", []int{408}, bodyTime, nil},
		{"trickled", post("Content-Length: 1000000", ""), "a", []int{408}, slowTime, nil},
		{"trickled chunks", post(chunked, ""), "1\r\na\r\n", []int{408}, slowTime, nil},
		{"trickled extension", post(chunked, "5;"), "a", []int{408}, slowTime, nil},
		{"trickled trailers", post(chunked, "0\r\n"), "X: y\r\n", []int{408}, slowTime, nil},
		{"expects to be asked", post("Expect: 100-continue\r\nContent-Length: 9", ""), "", []int{408}, bodyTime, nil},
		{"expects, nominated", post("Connection: Expect\r\nExpect: 100-continue\r\nContent-Length: 9", ""), "", []int{408}, bodyTime, nil},
	}
	s, bystanders := newServer(t, greet), newServer(t, greet)
	p := start(t, site{server: s, bystander: bystanders, http: impatient})
	torment(t, p, ways, crowd(1200))
	p.heldAtMost(128 << 20)
	s.wasLeft(t)
	if got := p.metric("traffic_requests_total", `router="main"`, `code="4xx"`); got != float64(crowd(1200)) {
		t.Errorf("%v answers of 4xx were counted, want %d", got, crowd(1200))
	}
}

// A client that waits to be asked for its content has the time of silence again once it was asked.
func TestContentMayFollowALateContinue(t *testing.T) {
	ask := make(chan struct{})
	s := newServer(t, func(c *serverConn) {
		request, err := readHead(c)
		if err != nil {
			return
		}
		<-ask
		if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		_, _ = io.WriteString(c, greeting)
	})
	p := start(t, site{server: s, http: "body_idle_timeout_ms: 1500, body_grace_ms: 100"})
	c := p.connect(t)
	c.send(post("Expect: 100-continue\r\nContent-Length: 5", ""))
	time.AfterFunc(time.Second, func() { close(ask) })
	if a := c.receive("POST"); a.StatusCode != http.StatusContinue {
		t.Fatalf("status %d %q", a.StatusCode, a.body)
	}
	// Well before the pace is looked at, which is every second.
	time.AfterFunc(700*time.Millisecond, func() { c.send("hello") })
	if a := c.receive("POST"); a.StatusCode != 200 {
		t.Errorf("status %d %q", a.StatusCode, a.body)
	}
}
