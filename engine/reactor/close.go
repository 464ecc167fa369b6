package reactor

import (
	"time"

	"golang.org/x/sys/unix"
)

// departure is the time limit of one gentle close. Pooled by the loop.
type departure struct {
	timer  Timer
	socket *socket
	queued int // when the timer was armed
	next   *departure
}

// expire ends a close that got nowhere for too long. A peer that misses something sees a reset.
func (d *departure) expire() {
	switch s := d.socket; {
	case s.phase == phaseLingering:
		s.drop()
	case s.out.size < d.queued:
		s.limit(WriteOutTime)
	default:
		s.Abort()
	}
}

// unhear makes the sink hear nothing any more. TLS over the socket ends with it.
func (s *socket) unhear() {
	if c, ok := s.sink.(*tlsConn); ok {
		c.orphan()
	}
	s.sink = nil
}

func (s *socket) Close(linger bool) {
	s.unhear() // of one that failed, too: OnClosed may still be due
	if !s.phase.hears() {
		return
	}
	s.releaseInput()
	shut := s.phase == phaseShut
	s.phase = phaseLeaving
	if linger && s.input != inputEnded {
		s.phase = phaseLeavingLag
	}
	switch {
	case s.fault != 0, s.output == outputOpening && s.out.size == 0:
		s.drop()
	case shut && s.phase == phaseLeavingLag:
		s.linger()
	default:
		s.leave()
	}
}

// leave goes on with a gentle close: at once when nothing is queued, else when it was sent or time is up.
func (s *socket) leave() {
	switch {
	case s.out.size > 0 && s.output == outputReady:
		s.flushLater()
	case s.out.size > 0 || s.output == outputOpening:
		if s.departure == nil {
			s.limit(WriteOutTime)
		}
	case s.phase == phaseLeavingLag && shutdownWrite(s.fd) == 0:
		s.linger()
	default:
		s.drop()
	}
}

// linger waits for the peer to close.
func (s *socket) linger() {
	s.phase = phaseLingering
	s.limit(LingerTime)
	s.visitLater() // input that came before is not announced again
}

// dropInput reads a closing connection as far as the peer's end.
func (s *socket) dropInput() {
	for range readsPerEvent {
		n, errno := recvAway(s.fd, s.loop.input[:ReadSize])
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0 || n == 0:
			s.drop()
			return
		}
	}
	s.visitLater()
}

func (s *socket) Abort() {
	s.unhear()
	if s.phase == phaseGone {
		return
	}
	if s.family != unix.AF_UNIX {
		resetOnClose(s.fd)
	}
	s.drop()
}

func (s *socket) Detach() (fd int, ok bool) {
	if s.phase != phaseOpen || s.output != outputReady || s.out.size > 0 || len(s.in) > 0 || s.fault != 0 ||
		s.input == inputEnded || s.early != 0 {
		return -1, false
	}
	s.loop.poller.remove(s.fd, s.place)
	fd = int(s.fd)
	s.sink = nil
	s.forget()
	s.loop.config.Descriptors.give()
	return fd, true
}

// stop ends the connection because the loop ends.
func (s *socket) stop() { s.fail(ErrStopped) }

// fail ends the connection and tells the sink why, after the event being handled.
func (s *socket) fail(err error) {
	if s.phase == phaseGone {
		return
	}
	s.drop()
	if s.sink != nil {
		s.loop.deferred = append(s.loop.deferred, deferral{socket: s, err: err})
	}
}

// closed tells the sink that the connection failed, unless it has closed it meanwhile.
func (s *socket) closed(err error) {
	sink := s.sink
	if sink == nil {
		return
	}
	s.sink = nil
	sink.OnClosed(err)
}

// drop gives back all memory, and the descriptor to be closed behind the turn's output: that takes 20 us, and its peer
// does not wait for it as others wait for answers.
func (s *socket) drop() {
	if s.phase == phaseGone {
		return
	}
	if s.place >= 0 {
		s.loop.poller.vacate(s.place)
	}
	if s.fd >= 0 {
		s.loop.dropped = append(s.loop.dropped, s.fd)
	}
	s.forget()
}

// closeDropped closes the descriptors of connections that are gone. It reports whether there were any.
func (l *EventLoop) closeDropped() bool {
	n := len(l.dropped)
	for _, fd := range l.dropped {
		closeDescriptor(fd)
		l.config.Descriptors.give()
	}
	l.dropped = l.dropped[:0]
	return n > 0
}

// forget makes the socket one that is gone; the descriptor is not its own any more.
func (s *socket) forget() {
	l := s.loop
	if s.fd >= 0 {
		l.stats.Open.Add(-1)
	}
	s.phase = phaseGone
	s.fd, s.place = -1, -1
	s.releaseInput()
	s.giveUp()
	if d := s.departure; d != nil {
		s.departure = nil
		l.Stop(&d.timer)
		d.socket, d.next = nil, l.departures
		l.departures = d
	}
}

// limit bounds what is left of a gentle close.
func (s *socket) limit(d time.Duration) {
	if s.departure == nil {
		s.departure = s.loop.newDeparture(s)
	}
	s.departure.queued = s.out.size
	s.loop.Arm(&s.departure.timer, d)
}

func (l *EventLoop) newDeparture(s *socket) *departure {
	d := l.departures
	if d == nil {
		d = new(departure)
		d.timer.Fire = d.expire
	} else {
		l.departures, d.next = d.next, nil
	}
	d.socket = s
	return d
}
