package upstream

import (
	"traffic_management/codec"
	"traffic_management/codec/h2"
)

// h2stream is an attempt's share of a connection of HTTP/2: the Stream of its request and the Receiver of what the
// session hears of the response. It belongs to its loop. The attempt keeps it for its next life, so that what its
// receiver does with a Stream that has ended meets nobody else's.
type h2stream struct {
	conn    *h2conn
	stream  *h2.Stream // nil when the session has it back
	attempt *Attempt   // nil when nobody listens
	progress
	mark     int    // what the connection had been given before the request, in bytes
	received int    // h2conn.received then
	served   uint32 // h2conn.served then
}

// giveBack ends the share. The session resets the stream unless request and response are whole.
func (s *h2stream) giveBack() {
	if t := s.stream; t != nil {
		s.attempt, s.stream = nil, nil
		s.conn.end(t)
	}
}

// unused is the carrier's.
func (s *h2stream) unused() { s.giveBack() }

// abandon is the carrier's.
func (s *h2stream) abandon() { s.giveBack() }

// expired is the carrier's.
func (s *h2stream) expired() {
	if e := s.overdue(s.attempt, s.Queued()); e != nil {
		s.broken(e)
	}
}

// broken fails the attempt.
func (s *h2stream) broken(e *codec.Error) {
	a := s.attempt
	s.giveBack()
	a.fail(e)
}

// detach ends the attempt before its last event is delivered, so that its receiver may release it there, and another one
// have s. The stream is the caller's to end behind that event.
func (s *h2stream) detach() (codec.Receiver, *h2.Stream) {
	a, t := s.attempt, s.stream
	s.attempt, s.stream = nil, nil
	a.end(nil)
	return a.receiver, t
}

// lost is what the end of the connection means for a: once any of a response came the server has taken the request up,
// and what the kernel was not given it never saw.
func (s *h2stream) lost(a *Attempt) *codec.Error {
	c := s.conn
	unsent := c.conn.Unsent() >= c.wrote-s.mark || a.sent == 0
	switch {
	case a.answered != 0:
		return errTruncated
	case unsent && c.received == 0:
		return errHungUp
	case unsent:
		return errUnsent
	case s.served > 0 && c.received == s.received:
		return errIdleRace
	}
	return errClosed
}

// Head is the Stream's: it sends the request head.
func (s *h2stream) Head(h *codec.Head, end bool) {
	if s.stream == nil {
		return
	}
	q := s.conn.pool
	authority := h.Authority
	if !q.service.Options().PassHost || len(authority) == 0 {
		h.Authority = q.host
	}
	s.mark, s.received, s.served = s.conn.wrote, s.conn.received, s.conn.served
	s.attempt.sent = q.pools.loop.Clock()
	s.headSent(h, end)
	s.stream.Head(h, end)
	h.Authority = authority
}

// Data is the Stream's: it sends request content, or bytes through a tunnel.
func (s *h2stream) Data(p []byte, end bool) {
	switch {
	case s.attempt == nil:
		return
	case s.send == partTunnel:
		s.stream.Data(p, end)
		s.tunnelSent(end)
		return
	case s.recv == partHead:
		s.attempt.awaitHead()
	}
	s.contentSent(end)
	s.stream.Data(p, end)
}

// tunnelSent follows what was sent through the tunnel; end closed our direction.
func (s *h2stream) tunnelSent(end bool) {
	switch {
	case !end:
	case s.recv == partWhole:
		_, t := s.detach()
		s.conn.end(t)
	default:
		s.send = partWhole
	}
}

// Trailers is the Stream's: it ends the request with a trailer section.
func (s *h2stream) Trailers(t []codec.Field) {
	if s.attempt != nil {
		s.send = partWhole
		s.stream.Trailers(t)
	}
}

// Reset is the Stream's.
func (s *h2stream) Reset(*codec.Error) { s.giveBack() }

// Hold is the Stream's: it pauses the response.
func (s *h2stream) Hold(on bool) {
	if s.attempt == nil {
		return
	}
	if on {
		s.holds++
	} else {
		s.holds--
		if s.recv == partContent {
			s.attempt.arm(s.attempt.service.Options().ResponseIdle)
		}
	}
	s.stream.Hold(on)
}

// Queued is the Stream's.
func (s *h2stream) Queued() int {
	if s.stream == nil {
		return 0
	}
	return s.stream.Queued()
}
