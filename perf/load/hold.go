package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/perf/message"
	"traffic_management/perf/socket"
)

// holdTimeout bounds one exchange of hold.
const holdTimeout = 10 * time.Second

// hold opens n connections, lets each do one request, tells so, and keeps them idle until in ends. It then tells how
// many the server had closed meanwhile.
func hold(p *plan, in io.Reader, out io.Writer) error {
	conns := make([]net.Conn, 0, p.conns)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	buf := make([]byte, 256<<10)
	for range p.conns {
		c, err := net.DialTimeout("tcp", p.server.String(), holdTimeout)
		if err != nil {
			return fmt.Errorf("after %d connections: %w", len(conns), err)
		}
		conns = append(conns, c)
		over := c
		if p.tls != nil {
			over = tls.Client(c, p.tls)
		}
		if err := exchange(over, p.requests[0].text, buf); err != nil {
			return fmt.Errorf("connection %d: %w", len(conns), err)
		}
	}
	fmt.Fprintln(out, "held", len(conns))
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	fmt.Fprintln(out, "closed", countClosed(conns, buf))
	return nil
}

// exchange sends one request and reads its response into buf, which must hold it.
func exchange(c net.Conn, request, buf []byte) error {
	if err := c.SetDeadline(time.Now().Add(holdTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	for have := 0; ; {
		n, err := c.Read(buf[have:])
		have += n
		r, head, bad := message.ParseResponse(buf[:have])
		switch {
		case bad != nil:
			return bad
		case r.Chunked:
			return message.ErrFraming
		case head > 0 && int64(have-head) == r.Length:
			if r.Status != 200 {
				return fmt.Errorf("status %d", r.Status)
			}
			return c.SetDeadline(time.Time{})
		case err != nil:
			return err
		}
	}
}

// countClosed asks each socket, without waiting, whether its peer has closed.
func countClosed(conns []net.Conn, buf []byte) int {
	closed := 0
	for _, c := range conns {
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			closed++
			continue
		}
		gone := false
		err = raw.Control(func(fd uintptr) {
			n, errno := socket.Recv(int(fd), buf)
			for n > 0 { // TLS says that it ends before the socket does
				n, errno = socket.Recv(int(fd), buf)
			}
			gone = errno != unix.EAGAIN
		})
		if gone || err != nil {
			closed++
		}
	}
	return closed
}
