package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start runs a server for the rest of the test process and returns its address.
func start(t *testing.T) string {
	t.Helper()
	s, err := newServer(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(s.listener)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			ready, err := s.set.Wait(-1)
			if err != nil {
				panic(err)
			}
			for i := range ready {
				s.handle(int(ready[i].Fd), ready[i].Events)
			}
		}
	}()
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}

func dial(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c, bufio.NewReader(c)
}

// receive reads one response and checks its status and the size of its content.
func receive(t *testing.T, r *bufio.Reader, method string, status, size int) {
	t.Helper()
	a, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, a.Body)
	if err != nil || a.StatusCode != status || int(n) != size {
		t.Fatalf("status %d with %d bytes (%v), want %d with %d", a.StatusCode, n, err, status, size)
	}
}

func TestSizes(t *testing.T) {
	c, r := dial(t, start(t))
	for target, size := range map[string]int{"/128": 128, "/16k": 16 << 10, "/1m": 1 << 20, "/bytes/7": 7, "/bytes/0": 0, "/3?q=9": 3, "/json/20k": 20 << 10} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
		receive(t, r, "GET", 200, size)
	}
	for _, target := range []string{"/", "/x", "/bytes/", "/65m", "/-1", "/json", "/json/x", "/bytes/99999999999999999999"} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
		receive(t, r, "GET", 404, 0)
	}
}

// TestRecords holds that what looks like JSON says so, has the size that was asked for, is the same every time, and
// compresses, but not to nothing.
func TestRecords(t *testing.T) {
	const size = 20 << 10
	a := newAnswer(200, asJSON, records(size))
	if !bytes.Contains(a.whole, []byte("\r\nContent-Type: application/json\r\n")) || len(a.content) != size || !bytes.Equal(a.content, records(size)) {
		t.Errorf("%d bytes behind %q", len(a.content), a.whole[:len(a.whole)-len(a.content)])
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(a.content)
	z.Close()
	if n := packed.Len(); n < size/8 || n > size/2 {
		t.Errorf("%d bytes compressed", n)
	}
}

// TestServed holds that questions for the count do not count.
func TestServed(t *testing.T) {
	c, r := dial(t, start(t))
	for i := range 12 {
		fmt.Fprintf(c, "GET /128 HTTP/1.1\r\nHost: a\r\n\r\nGET /served HTTP/1.1\r\nHost: a\r\n\r\n")
		receive(t, r, "GET", 200, 128)
		receive(t, r, "GET", 200, len(fmt.Sprint(i+1)))
	}
}

// TestPipelined writes more answers' worth of requests than may wait at once, in pieces that cut heads anywhere, before
// it reads.
func TestPipelined(t *testing.T) {
	c, r := dial(t, start(t))
	const rounds = 200
	one := "POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nGET / GET /100k HTTP/1.1\r\n\r\nHEAD /9 HTTP/1.1\r\n\r\n"
	go func() {
		all := strings.NewReader(strings.Repeat(one, rounds))
		for piece := 1; all.Len() > 0; piece = piece%97 + 13 {
			io.CopyN(c, all, int64(piece))
		}
	}()
	for range rounds {
		receive(t, r, "POST", 200, 5)
		receive(t, r, "GET", 200, 100<<10)
		receive(t, r, "HEAD", 200, 0)
	}
}

func TestLastRequestCloses(t *testing.T) {
	address := start(t)
	for _, request := range []string{"GET /5 HTTP/1.0\r\n\r\n", "GET /5 HTTP/1.1\r\nConnection: close\r\n\r\n", "POST /5 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"nonsense\r\n\r\n"} {
		c, _ := dial(t, address)
		io.WriteString(c, request)
		all, err := io.ReadAll(c)
		if err != nil || bytes.Count(all, []byte("HTTP/1.1 ")) != 1 {
			t.Errorf("%q: %q, %v", request, all, err)
		}
	}
}

// TestBrokenClients holds that the server outlives clients that reset under a large answer.
func TestBrokenClients(t *testing.T) {
	address := start(t)
	for range 20 {
		c, r := dial(t, address)
		io.WriteString(c, "GET /64m HTTP/1.1\r\n\r\n")
		if _, err := r.Peek(1 << 10); err != nil {
			t.Fatal(err)
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	c, r := dial(t, address)
	io.WriteString(c, "GET /128 HTTP/1.1\r\n\r\n")
	receive(t, r, "GET", 200, 128)
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"/128", "/16k", "/1m", "/bytes/7?x", "/", "/64m", "/65m", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := parseSize(b); n < -1 || n > maxSize {
			t.Fatalf("%q asks for %d bytes", b, n)
		}
	})
}
