package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"traffic_management/perf/frame"
	"traffic_management/perf/message"
	"traffic_management/perf/socket"
)

// maxPending is how many bytes of answers may wait on one connection before its further requests do.
const maxPending = 4 << 20

// server is one loop with all its connections.
type server struct {
	set      *socket.Set
	listener int
	conns    []*conn // by descriptor; nil when not open
	answers  map[resource]*answer
	buf      []byte // input of the event being handled
	gather   socket.Gather
	served   int64 // requests answered, but those that asked for this
}

// answer is a response to any request for its size. It does not change.
type answer struct {
	whole   []byte // of HTTP/1.1
	content []byte // the end of whole
	section []byte // the same field section for HTTP/2, which needs no table
}

// version is what a connection speaks.
type version uint8

const (
	unknown version = iota // too little came to tell
	overHTTP1
	overHTTP2 // by prior knowledge (RFC 9113 section 3.3)
)

func (v version) String() string { return [...]string{"unknown", "HTTP/1.1", "HTTP/2"}[v] }

// conn is one client connection.
type conn struct {
	fd      int
	version version
	session *session // of HTTP/2 only
	in      []byte   // input that is no whole head yet, or waits for room in out
	skip    int64    // bytes of request content still to be dropped
	out     [][]byte // what is not sent yet; it points into server.answers or is what the session handed over
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
	if c.version == unknown && len(b) > 0 {
		switch is, more := isPreface(b); {
		case more:
			return b
		case is:
			c.version, c.session = overHTTP2, newSession(s)
			b = b[len(frame.Preface):]
		default:
			c.version = overHTTP1
		}
	}
	if c.version == overHTTP2 {
		rest, err := c.session.receive(b)
		c.last = err != nil
		return rest
	}
	return s.parse1(c, b)
}

// parse1 is parse for HTTP/1.1.
func (s *server) parse1(c *conn, b []byte) []byte {
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
		a := s.find(r.Target)
		whole := a.whole
		if string(r.Method) == "HEAD" {
			whole = whole[:len(whole)-len(a.content)]
		}
		c.out = append(c.out, whole)
		c.pending += len(whole)
	}
	return b
}

// find counts a request and returns what answers it.
func (s *server) find(target []byte) *answer {
	if string(target) == served {
		return newAnswer(200, plain, strconv.AppendInt(nil, s.served, 10))
	}
	s.served++
	r := parseTarget(target)
	a, ok := s.answers[r]
	if !ok {
		switch {
		case r.size < 0:
			a = newAnswer(404, plain, nil)
		case r.kind == asKeys:
			a = newAnswer(200, asKeys, keySet(r.size))
		case r.kind == asJSON:
			a = newAnswer(200, asJSON, records(r.size))
		default:
			a = newAnswer(200, plain, letters(r.size))
		}
		s.answers[r] = a
	}
	return a
}

// flush sends what waits. It returns false when the connection was closed.
func (s *server) flush(c *conn) bool {
	for c.pending > 0 || c.session != nil && len(c.session.out) > 0 {
		if c.pending == 0 {
			c.out = append(c.out, c.session.hand())
			c.pending = len(c.out[0])
		}
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

func newAnswer(status int, as kind, content []byte) *answer {
	size := strconv.Itoa(len(content))
	whole := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n", status, http.StatusText(status), as, size)
	whole = append(whole, content...)
	section := []byte{indexed[status]}
	section = appendField(section, contentType, string(as))
	section = appendField(section, contentLength, size)
	return &answer{whole: whole, content: whole[len(whole)-len(content):], section: section}
}

// letters is content of the given size.
func letters(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}

// records is what looks like JSON of the given size, cut off at its end: names that come again and values that do not, so
// that it compresses as answers of an API do. It is the same every time.
func records(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := []byte("[")
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, `{"id":%d,"name":"%08x","email":"%06x@example.com","active":%t,"balance":%d.%02d,"tags":["%04x","%04x"]},`,
			i, r.Uint32(), r.Uint32N(1<<24), r.IntN(2) == 0, r.IntN(1e5), r.IntN(100), r.IntN(1<<16), r.IntN(1<<16))
	}
	return b[:size]
}
