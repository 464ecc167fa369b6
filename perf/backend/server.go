package main

import (
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"traffic_management/perf/message"
	"traffic_management/perf/socket"
)

// maxPending is how many bytes of answers may wait on one connection before its further requests do.
const maxPending = 4 << 20

// server is one loop with all its connections.
type server struct {
	set      *socket.Set
	listener int
	conns    []*conn        // by descriptor; nil when not open
	answers  map[int][]byte // whole responses by size of content; never changed once made
	buf      []byte         // input of the event being handled
	gather   socket.Gather
	served   int64 // requests answered, but those that asked for this
}

// conn is one client connection.
type conn struct {
	fd      int
	in      []byte   // input that is no whole head yet, or waits for room in out
	skip    int64    // bytes of request content still to be dropped
	out     [][]byte // answers not sent yet; they point into server.answers
	pending int      // bytes in out
	last    bool     // close behind out
}

func (s *server) handle(fd int, events uint32) {
	if fd == s.listener {
		s.accept()
		return
	}
	if fd >= len(s.conns) || s.conns[fd] == nil {
		return
	}
	c := s.conns[fd]
	if events&unix.EPOLLOUT != 0 && c.pending > 0 && !s.flush(c) {
		return
	}
	s.read(c, events&socket.Ended != 0)
}

func (s *server) accept() {
	for {
		fd, err := socket.Accept(s.listener)
		if err != nil {
			return
		}
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{fd: fd}
		if s.set.Add(fd, socket.Both) != nil {
			s.close(s.conns[fd])
		}
	}
}

// read takes input until the kernel has no more or too many answers wait.
func (s *server) read(c *conn, toEnd bool) {
	for c.pending < maxPending && !c.last {
		// Input waiting from before comes first; parse keeps what it cannot use.
		kept, n, errno := copy(s.buf, c.in), 0, syscall.Errno(0)
		if kept < len(s.buf) {
			n, errno = socket.Recv(c.fd, s.buf[kept:])
			if errno == 0 && n == 0 || errno != 0 && errno != unix.EAGAIN {
				s.close(c)
				return
			}
		}
		rest := s.parse(c, s.buf[:kept+n])
		blocked := c.pending >= maxPending
		c.in = append(c.in[:0], rest...)
		if !s.flush(c) {
			return
		}
		// A short read means that the kernel has no more.
		if !blocked && (errno == unix.EAGAIN || kept+n < len(s.buf) && !toEnd) {
			return
		}
	}
}

// parse answers the whole requests in b and returns what is left.
func (s *server) parse(c *conn, b []byte) []byte {
	for len(b) > 0 && c.pending < maxPending && !c.last {
		if c.skip > 0 {
			n := min(c.skip, int64(len(b)))
			c.skip -= n
			b = b[n:]
			continue
		}
		r, n, err := message.ParseRequest(b)
		if err != nil {
			r, n = message.Request{Last: true}, len(b) // nothing behind it can be understood either
		}
		if n == 0 {
			break
		}
		b = b[n:]
		c.skip = r.Length
		c.last = r.Last
		s.answer(c, r)
	}
	return b
}

func (s *server) answer(c *conn, r message.Request) {
	if string(r.Target) == served {
		text := strconv.FormatInt(s.served, 10)
		a := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		c.out = append(c.out, a)
		c.pending += len(a)
		return
	}
	s.served++
	size := parseSize(r.Target)
	a, ok := s.answers[size]
	if !ok {
		a = makeAnswer(size)
		s.answers[size] = a
	}
	if string(r.Method) == "HEAD" {
		a = a[:len(a)-max(size, 0)]
	}
	c.out = append(c.out, a)
	c.pending += len(a)
}

// flush sends what waits. It returns false when the connection was closed.
func (s *server) flush(c *conn) bool {
	for c.pending > 0 {
		var n int
		var errno syscall.Errno
		if len(c.out) == 1 {
			n, errno = socket.Send(c.fd, c.out[0])
		} else {
			n, errno = s.gather.Send(c.fd, c.out)
		}
		if errno == unix.EAGAIN {
			return true
		}
		if errno != 0 {
			s.close(c)
			return false
		}
		c.sent(n)
	}
	if c.last {
		s.close(c)
	}
	return !c.last
}

// sent drops the first n bytes of what waits.
func (c *conn) sent(n int) {
	c.pending -= n
	done := 0
	for done < len(c.out) && n >= len(c.out[done]) {
		n -= len(c.out[done])
		done++
	}
	c.out = c.out[:copy(c.out, c.out[done:])]
	if n > 0 {
		c.out[0] = c.out[0][n:]
	}
}

func (s *server) close(c *conn) {
	s.conns[c.fd] = nil
	unix.Close(c.fd)
}

// makeAnswer is the whole response with size bytes of content, or the 404 when size is negative.
func makeAnswer(size int) []byte {
	if size < 0 {
		return []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	}
	a := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
	for i := range size {
		a = append(a, 'a'+byte(i%26))
	}
	return a
}
