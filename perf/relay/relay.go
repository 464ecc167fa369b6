package main

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"traffic_management/perf/socket"
)

// relay pairs connections and moves bytes between them. The loop owns it.
type relay struct {
	listener int
	backend  netip.AddrPort
	poller   poller
	sides    []*side // by descriptor; nil when not open
	buf      []byte  // what is being moved
}

// side is one end of a pair.
type side struct {
	fd     int
	client bool
	other  *side
	held   []byte // what this side's kernel has not taken yet; the other side is not read while there is any
}

func newRelay(at, backend netip.AddrPort, p poller) (*relay, error) {
	fd, err := socket.Listen(at)
	if err != nil {
		return nil, err
	}
	return &relay{listener: fd, backend: backend, poller: p, buf: make([]byte, 256<<10)}, p.add(fd, unix.EPOLLIN)
}

// handle does what one event asks for. Events are hints: the system calls tell what is true.
func (r *relay) handle(fd int, events uint32) {
	if fd == r.listener {
		r.accept()
		return
	}
	s := r.at(fd)
	if s == nil {
		return // closed earlier in this batch
	}
	if events&unix.EPOLLOUT != 0 && len(s.held) > 0 {
		if !r.flush(s) {
			return
		}
	}
	if len(s.other.held) == 0 {
		r.move(s, events&socket.Ended != 0)
	}
}

// move reads s and writes to the other side until s has no more; toEnd says that the end of the stream is to be read too.
func (r *relay) move(s *side, toEnd bool) {
	for {
		n, errno := socket.Recv(s.fd, r.buf)
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 || n == 0 {
			r.close(s)
			return
		}
		if s.client {
			messages.Store(messages.Load() + 1)
		}
		sent, errno := socket.Send(s.other.fd, r.buf[:n])
		if errno != 0 && errno != unix.EAGAIN {
			r.close(s)
			return
		}
		if sent < n {
			s.other.held = append(s.other.held[:0], r.buf[sent:n]...)
			return
		}
		// A short read means that the kernel has no more, so asking again would be a system call for nothing.
		if n < len(r.buf) && !toEnd {
			return
		}
	}
}

// flush sends what s holds back and, when all is gone, reads the other side again. It returns false when s was closed.
func (r *relay) flush(s *side) bool {
	n, errno := socket.Send(s.fd, s.held)
	if errno != 0 && errno != unix.EAGAIN {
		r.close(s)
		return false
	}
	s.held = s.held[:copy(s.held, s.held[n:])]
	if len(s.held) == 0 {
		r.move(s.other, true)
	}
	return r.at(s.fd) == s
}

func (r *relay) accept() {
	for {
		fd, err := socket.Accept(r.listener)
		if err != nil {
			return
		}
		to, err := socket.Dial(r.backend)
		if err != nil {
			unix.Close(fd)
			continue
		}
		c, b := &side{fd: fd, client: true}, &side{fd: to}
		c.other, b.other = b, c
		r.put(c)
		r.put(b)
		if r.poller.add(fd, socket.Both) != nil || r.poller.add(to, socket.Both) != nil {
			r.close(c)
		}
	}
}

func (r *relay) close(s *side) {
	for _, x := range [...]*side{s, s.other} {
		r.sides[x.fd] = nil
		unix.Close(x.fd)
	}
}

func (r *relay) at(fd int) *side {
	if fd < len(r.sides) {
		return r.sides[fd]
	}
	return nil
}

func (r *relay) put(s *side) {
	for len(r.sides) <= s.fd {
		r.sides = append(r.sides, nil)
	}
	r.sides[s.fd] = s
}
