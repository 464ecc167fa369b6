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

	"golang.org/x/sys/unix"
)

// Sizes of content, in bytes.
const (
	smallContent = 600
	largeContent = 256 << 10
	firstPart    = smallContent / 2 // of a request's content: the client of an upload waits behind it
	slowPart     = 60               // what a server that dribbles sends so
	// largeUpload is more than the buffers between a client and a server that stopped reading can take.
	largeUpload = 16 << 20
)

// dribbleEvery is the time between two bytes of a server that dribbles.
const dribbleEvery = 20 * time.Millisecond

// policy is what the router of a cell does about failures.
type policy int

const (
	plain  policy = iota // nothing
	repeat               // it has the retry middleware
)

// contentOf is size bytes that belong to one message only: those of others differ within a tag's length.
func contentOf(tag string, size int) string {
	return strings.Repeat("<"+tag+">", size/(len(tag)+2)+1)[:size]
}

// cell is one kind of exchange meeting one failure, with two servers of its own. Both fail the same: the first attempt
// at the exchange meets the failure, whichever server has it, and every other attempt and exchange is answered well.
type cell struct {
	*failure
	kind   kind
	policy policy
	wanted ending // of its exchange, by its kind and policy
	host   string // of its requests, by which it has a router and a service of its own

	addresses [2]string
	servers   []*server     // those that there are
	underway  chan struct{} // closed when a server has the first part of the request's content
	heard     chan struct{} // closed when the client has the response, or its head when it is not to be whole
	over      chan struct{} // closed when the exchange is over for the client
	through   chan struct{} // closed when a server has all of a tunnel, or lost the connection it talked idly on

	mu       sync.Mutex
	begun    sync.Once
	answered int // exchanges served
	attempts int // at the exchange that meets the failure
	leaks    []string
}

// tag marks every byte of the nth exchange of the cell, counted from 0.
func (x *cell) tag(n int) string { return fmt.Sprintf("%s/%d", x.host, n) }

// size is that of the content of the nth response.
func (x *cell) size(n int) int {
	if x.kind == download && n == x.kind.served() {
		return largeContent
	}
	return smallContent
}

// sends is the size of the nth request's content.
func (x *cell) sends(n int) int {
	switch {
	case n != x.kind.served():
		return 0
	case x.kind == uploading && x.stage == onRequest && x.act == stall:
		return largeUpload
	case x.kind == plainPost, x.kind == keptPost, x.kind == uploading:
		return smallContent
	}
	return 0
}

// listen opens the cell's servers until the test ends. One whose address is no server's is at dead, by what it does.
func (x *cell) listen(t *testing.T, dead map[act]string) {
	for i := range x.addresses {
		if i == 0 && x.stage == onDial {
			x.addresses[i] = dead[x.act]
			x.attempts = 1 // whoever answers is the other one
			continue
		}
		s := newServer(t, x.serve)
		x.addresses[i] = s.address
		x.servers = append(x.servers, s)
	}
}

// deadAddress is one where nobody answers until the test ends: connections are refused, or wait behind a full queue.
func deadAddress(t *testing.T, waits bool) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	if !waits {
		return address
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
}

// meets counts an attempt at the exchange and reports whether it is the first.
func (x *cell) meets() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.attempts++
	return x.attempts == 1
}

// isDue reports whether everything before the exchange was served.
func (x *cell) isDue() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.answered == x.kind.served()
}

func (x *cell) leak(format string, a ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.leaks = append(x.leaks, fmt.Sprintf(format, a...))
}

// serve is the script of both servers.
func (x *cell) serve(c *serverConn) {
	if x.stage == onAccept && x.isDue() && x.meets() {
		x.begun.Do(func() { close(x.underway) })
		x.fail(c, "")
		return
	}
	for {
		request, err := http.ReadRequest(c.r)
		if err != nil {
			return
		}
		var n int
		if _, err := fmt.Sscanf(request.URL.Path, "/%d", &n); err != nil || request.Host != x.host ||
			request.Header.Get("X-Tag") != x.tag(n) {
			x.leak("a server received %s %s%s with X-Tag %q", request.Method, request.Host, request.URL, request.Header.Get("X-Tag"))
			return
		}
		size := x.sends(n)
		if !x.read(request.Body, n, 0, min(size, firstPart)) {
			return
		}
		if n == x.kind.served() {
			x.begun.Do(func() { close(x.underway) })
			if x.stage != onAccept && x.meets() {
				part := x.kind == uploading || x.stage == onRequest
				if !part && !x.read(request.Body, n, firstPart, size) || !x.respond(c, n) {
					return
				}
				continue
			}
		}
		if n == x.kind.served() && x.kind == tunnelled {
			x.serveTunnel(c, n, false)
			return
		}
		if !x.read(request.Body, n, firstPart, size) || !x.answer(c, n) {
			return
		}
	}
}

// read takes bytes from..to of a request's content, which must be the right ones, and reports whether they came.
func (x *cell) read(body io.Reader, n, from, to int) bool {
	if to <= from {
		return true
	}
	b := make([]byte, to-from)
	got, err := io.ReadFull(body, b)
	if want := contentOf("to "+x.tag(n), to)[from:]; string(b[:got]) != want[:got] {
		x.leak("a server received %q as content of %s", b[:got], x.tag(n))
	}
	return err == nil
}

// head is the beginning of a response, all but what frames its content.
func (x *cell) head(n, attempt int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Tag: %s\r\nX-Attempt: %d\r\n", x.tag(n), attempt)
}

// answer sends a whole response and reports whether the connection goes on.
func (x *cell) answer(c *serverConn, n int) bool {
	x.mu.Lock()
	attempt := x.attempts
	x.answered++
	x.mu.Unlock()
	head := x.head(n, attempt)
	last := x.stage == onAccept && n < x.kind.served()
	if last {
		head += "Connection: close\r\n" // the exchange is to have a new connection
	}
	_, err := fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", head, x.size(n), contentOf("from "+x.tag(n), x.size(n)))
	return err == nil && !last
}

// respond sends as much of the response as the failure lets through, and fails. It reports whether the connection goes on.
func (x *cell) respond(c *serverConn, n int) bool {
	if x.stage == inTunnel {
		x.serveTunnel(c, n, true)
		return false
	}
	head, content := x.head(n, 1), contentOf("from "+x.tag(n), x.size(n))
	known := fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, len(content))
	coded := head + "Transfer-Encoding: chunked\r\n\r\n"
	half := len(content) / 2
	sent, rest := "", ""
	switch x.stage {
	case inHead:
		sent, rest = known[:20], known[20:]+content
	case afterHead:
		sent = known
	case inContent:
		if x.act == dribble {
			half = len(content) - slowPart
		}
		sent, rest = known+content[:half], content[half:]
	case inChunk:
		sent = fmt.Sprintf("%s%x\r\n%s", coded, len(content), content[:half])
	case inTrailer:
		sent = fmt.Sprintf("%s%x\r\n%s\r\n0\r\nX-Sum: ", coded, len(content), content)
	case inStream:
		sent = head + "\r\n" + content[:half]
	case afterAll:
		sent = known + content
	}
	if x.act == decline {
		sent = strings.Replace(known+content, "200 OK", "500 Internal Server Error", 1)
	}
	if x.act == babble {
		sent += x.text
	}
	if _, err := io.WriteString(c, sent); err != nil {
		return false
	}
	if x.stage >= afterHead && (x.act == reset || x.act == babbleLater) {
		x.awaitClient()
	}
	x.fail(c, rest)
	return x.act == dribble || x.act == decline
}

// awaitClient waits until the client has what was sent, so that it is not lost with the connection.
func (x *cell) awaitClient() {
	select {
	case <-x.heard:
	case <-time.After(patience):
		x.leak("the client does not get what was sent")
	}
}

// fail is what the server does then. It returns when the connection is over, on either side, or it has said all.
func (x *cell) fail(c *serverConn, rest string) {
	switch x.act {
	case reset:
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		return
	case finish, decline:
		return
	case halfFinish:
		_ = c.Conn.(*net.TCPConn).CloseWrite()
	case babbleLater:
		_, _ = io.WriteString(c, x.text)
	case dribble:
		for i := range len(rest) {
			time.Sleep(dribbleEvery) // this slowness is what is tested
			if _, err := io.WriteString(c, rest[i:i+1]); err != nil {
				return
			}
		}
		return
	}
	if x.stage == onRequest && x.act == stall {
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4096)
		<-x.over
		return
	}
	_, _ = io.Copy(io.Discard, c.r)
	if x.act == babbleLater {
		close(x.through)
	}
}
