package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// server is a scripted backend. It records what each of its connections receives.
type server struct {
	address string
	serve   func(c *serverConn) // the script; runs on a goroutine for each connection, which it need not close

	mu    sync.Mutex
	conns []*serverConn // in the order they were accepted
}

// serverConn is one connection of a server. What its script reads is recorded.
type serverConn struct {
	net.Conn
	r *bufio.Reader // reads from the connection and records

	mu    sync.Mutex
	got   bytes.Buffer
	ended bool // the script returned
}

func (c *serverConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got.Write(p[:n])
	return n, err
}

// received is every byte so far, and whether the script is over.
func (c *serverConn) received() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.String(), c.ended
}

// newServer runs a backend until the test ends.
func newServer(t *testing.T, script func(c *serverConn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String(), serve: script}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c := &serverConn{Conn: conn}
			c.r = bufio.NewReader(c)
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			running.Go(func() {
				s.serve(c)
				conn.Close()
				c.mu.Lock()
				c.ended = true
				c.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		for _, c := range s.connections() {
			c.Close()
		}
		running.Wait()
	})
	return s
}

func (s *server) connections() []*serverConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*serverConn(nil), s.conns...)
}

// forget drops what was recorded: only connections accepted from now on, and what old ones receive from now on, count.
func (s *server) forget() {
	for _, c := range s.connections() {
		c.mu.Lock()
		c.got.Reset()
		c.mu.Unlock()
	}
}

// received is every byte recorded, connection after connection.
func (s *server) received() string {
	b := &strings.Builder{}
	for _, c := range s.connections() {
		text, _ := c.received()
		b.WriteString(text)
	}
	return b.String()
}

// settled waits until every connection is over or waits between requests, so that received is final. It must only be
// used with scripts that answer every request in full.
func (s *server) settled(t *testing.T) string {
	t.Helper()
	eventually(t, "the server's connections are at rest", func() bool {
		for _, c := range s.connections() {
			if text, ended := c.received(); !ended && !wholeRequests(text) {
				return false
			}
		}
		return true
	})
	return s.received()
}

// wasLeft waits until every connection is over.
func (s *server) wasLeft(t *testing.T) {
	t.Helper()
	eventually(t, "the server's connections are cut", func() bool {
		for _, c := range s.connections() {
			if _, ended := c.received(); !ended {
				return false
			}
		}
		return true
	})
}

// wholeRequests reports whether text is nothing but complete requests, as net/http reads them.
func wholeRequests(text string) bool {
	r := bufio.NewReader(strings.NewReader(text))
	for {
		if _, err := r.Peek(1); err != nil {
			return true
		}
		request, err := http.ReadRequest(r)
		if err != nil {
			return false
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return false
		}
	}
}

// greet is the script of a server that answers every request with 200 and a greeting.
func greet(c *serverConn) {
	for {
		request, err := http.ReadRequest(c.r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, greeting); err != nil {
			return
		}
	}
}

const greeting = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

// readHead is a part of scripts: it waits for a request head and leaves its content unread.
func readHead(c *serverConn) (*http.Request, error) { return http.ReadRequest(c.r) }

// headOf is the only request head in text, as lines; the test fails when there is none, or more.
func headOf(t *testing.T, text string) []string {
	t.Helper()
	head, rest, ok := strings.Cut(text, "\r\n\r\n")
	if !ok || strings.Contains(rest, " HTTP/1.1\r\n") {
		t.Fatalf("the server received %q, want one request", text)
	}
	return strings.Split(head, "\r\n")
}

// values are the values of the head's field lines of this name, in any case, joined by " | ".
func values(head []string, name string) string {
	var all []string
	for _, line := range head[1:] {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			all = append(all, strings.TrimSpace(v))
		}
	}
	return strings.Join(all, " | ")
}

// content is an answer of 200 with n bytes.
func content(n int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
}
