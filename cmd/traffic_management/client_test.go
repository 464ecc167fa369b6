package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// client is a connection to the proxy that writes what a test likes.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// connect opens a connection that lasts until the test ends, and on which everything must happen within patience.
func (p *proxy) connect(t *testing.T) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.web, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, Conn: conn, r: bufio.NewReader(conn)}
}

// send writes text. That the proxy may have closed the connection is no error: its answer tells.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("sending: %v", err)
	}
}

// answer is one response and its content.
type answer struct {
	*http.Response
	body string
}

// receive reads a response to a request of this method.
func (c *client) receive(method string) answer {
	c.t.Helper()
	a, err := c.tryReceive(method)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	return a
}

func (c *client) tryReceive(method string) (answer, error) {
	response, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	return answer{response, string(body)}, err
}

// isClosed waits for the proxy to close the connection and reports whether it did so without sending more.
func (c *client) isClosed() bool {
	c.t.Helper()
	b, err := c.r.ReadByte()
	switch {
	case err == nil:
		rest, _ := io.ReadAll(c.r)
		c.t.Errorf("more was sent: %q", string(b)+string(rest))
		return false
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false
	}
	return true
}

// isOpen reports whether the connection still serves requests.
func (c *client) isOpen() bool {
	c.t.Helper()
	c.send("GET /still-open HTTP/1.1\r\nHost: bystander.test\r\n\r\n")
	a, err := c.tryReceive("GET")
	return err == nil && a.StatusCode == 200
}

// bystander is a client of another service that asks again and again while something is done to the proxy.
type bystander struct {
	stop chan struct{}
	done chan struct{}

	served  int // valid once done
	slowest time.Duration
	err     error
}

// bystand starts one, which has been served once already. Its requests go over new and kept connections in turn.
func (p *proxy) bystand() *bystander { return p.bystandBy(&http.Transport{}, "http") }

// bystandBy is bystand for a client of any kind.
func (p *proxy) bystandBy(transport *http.Transport, scheme string) *bystander {
	b := &bystander{stop: make(chan struct{}), done: make(chan struct{})}
	httpClient := http.Client{Timeout: patience, Transport: transport}
	url := scheme + "://" + p.web + "/"
	b.err = b.ask(&httpClient, url)
	go func() {
		defer close(b.done)
		defer httpClient.CloseIdleConnections()
		for b.err == nil {
			select {
			case <-b.stop:
				return
			case <-time.After(2 * time.Millisecond): // a client, not a load
			}
			b.err = b.ask(&httpClient, url)
			if b.served%4 == 0 {
				httpClient.CloseIdleConnections()
			}
		}
	}()
	return b
}

func (b *bystander) ask(c *http.Client, url string) error {
	began := time.Now()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return err
	}
	request.Host = "bystander.test"
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != 200 || string(body) != "hello\n" {
		return errors.New(response.Status + ": " + string(body))
	}
	b.served++
	b.slowest = max(b.slowest, time.Since(began))
	return nil
}

// unharmed ends the bystander, which must have been served all the time.
func (b *bystander) unharmed(t *testing.T) {
	t.Helper()
	close(b.stop)
	<-b.done
	switch {
	case b.err != nil:
		t.Errorf("another client was not served: %v", b.err)
	case b.slowest > 5*time.Second && !raceDetector:
		t.Errorf("another client waited for %v", b.slowest)
	}
	t.Logf("another client was served %d times, in at most %v", b.served, b.slowest.Round(time.Microsecond))
}

// field is a request head in which one field line is text.
func field(text string) string { return "GET / HTTP/1.1\r\nHost: a.test\r\n" + text + "\r\n\r\n" }

// post is a request head with these field lines, and content as it is sent.
func post(fields, content string) string {
	return "POST /attack HTTP/1.1\r\nHost: a.test\r\n" + strings.TrimSuffix(fields, "\r\n") + "\r\n\r\n" + content
}
