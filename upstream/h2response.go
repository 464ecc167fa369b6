package upstream

import "traffic_management/codec"

// h2response is an h2stream as the Receiver of its session, which hears the response. It is a type of its own since the
// methods of a Stream have the same names.
type h2response h2stream

// Ready is not called: the stream is there at once.
func (r *h2response) Ready(codec.Stream) {}

// Head hears a response head, interim ones too.
func (r *h2response) Head(h *codec.Head, end bool) {
	s, a, c := (*h2stream)(r), r.attempt, r.conn
	c.pings = 0
	if a.answered == 0 {
		a.answered = c.pool.pools.loop.Now()
	}
	switch {
	case h.Status == 101:
		s.switched(h)
		return
	case h.Status < 200:
		if s.notFinal(a, h.Status) {
			a.receiver.Head(h, false)
		} else {
			s.broken(errInterim)
		}
		return
	}
	a.heard(h.Status)
	if end {
		receiver, t := s.detach()
		receiver.Head(h, true)
		c.end(t)
		return
	}
	s.recv = partContent
	a.arm(a.service.Options().ResponseIdle)
	a.receiver.Head(h, false)
}

// switched begins a tunnel: the server agreed to the protocol that it was offered.
func (s *h2stream) switched(h *codec.Head) {
	a := s.attempt
	a.heard(h.Status)
	s.send, s.recv = partTunnel, partTunnel
	s.conn.pool.pools.loop.Stop(&a.timer) // silence in a tunnel is the frontend's to judge
	a.receiver.Head(h, false)
}

// Data hears content, or what comes through a tunnel, which is over when our direction has ended, too.
func (r *h2response) Data(p []byte, end bool) {
	s, a, c := (*h2stream)(r), r.attempt, r.conn
	c.pings = 0
	switch {
	case end && s.send == partTunnel:
		s.recv = partWhole
		a.receiver.Data(p, true)
	case end:
		receiver, t := s.detach()
		receiver.Data(p, true)
		c.end(t)
	default:
		if s.recv == partContent {
			a.arm(a.service.Options().ResponseIdle)
		}
		a.receiver.Data(p, false)
	}
}

// Trailers hears the trailer section.
func (r *h2response) Trailers(f []codec.Field) {
	c := r.conn
	c.pings = 0
	receiver, t := (*h2stream)(r).detach()
	receiver.Trailers(f)
	c.end(t)
}

// Drained hears that the queue of the request has room again.
func (r *h2response) Drained() {
	if r.recv == partHead {
		r.attempt.awaitHead()
	}
	r.attempt.receiver.Drained()
}

// Failed hears that there is no whole response. An attempt of which nothing was sent gets another connection, unless the
// server hung up as soon as this one was open: then the next one may fare no better.
func (r *h2response) Failed(e *codec.Error) {
	s, a, c := (*h2stream)(r), r.attempt, r.conn
	switch {
	case s.recv == partTunnel || s.send == partTunnel:
		e = errTunnelLost
	case a.state == AttemptReady && c.received > 0 && !a.askedEnough():
		s.giveBack()
		a.conn = nil
		a.pool.acquire(a)
		return
	case e.Cause == errClosed.Cause:
		e = s.lost(a)
	case e.Retry == codec.RetrySafe:
		e = errNotTaken
	}
	s.broken(e)
}
