package reactor

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"traffic_management/internal/invariant"
)

// What sockets of one turn have the ring do for them together. Nothing here calls anybody else's code: a sink learns of
// input when the event of its socket is handled, and of a failure after the flush, as without a ring.

const (
	// ringWorth is from how many calls on one system call for all beats one for each.
	ringWorth = 3
	// earlySlot is how much is received for a socket together with others. Few requests are larger.
	earlySlot = 4 << 10
	// earlySlots is for how many sockets input is received together.
	earlySlots = 64
)

// early is input that was received for a socket before its event was handled.
type early struct {
	socket *socket
	n      int
	errno  syscall.Errno
}

// receiveRing receives the input of the sockets whose events come next in one system call. Each finds its own when its
// event is handled; what that does not take is kept with the socket, so that nothing is left for the next call.
func (l *EventLoop) receiveRing() {
	if l.ready-l.readyDone < ringWorth {
		return
	}
	l.early = l.early[:0]
	i := l.readyDone
	for ; i < l.ready && len(l.early) < earlySlots; i++ {
		source, events := l.poller.event(i)
		if s, ok := source.(*socket); ok && s.wantsEarly(events) {
			l.early = append(l.early, early{socket: s})
		}
	}
	l.receivedTo = i
	if len(l.early) < ringWorth {
		return
	}
	for i := range l.early {
		l.ring.queue(ringRecv, l.early[i].socket.fd, l.slot(i), 0, i)
	}
	if err := l.ring.run(l.ringReceived); err != nil {
		l.dropRing()
	}
}

// wantsEarly reports whether handling these events of the socket begins with reading, and little of it.
func (s *socket) wantsEarly(events uint32) bool {
	invariant.Check(s.early == 0, "reactor: early input was left behind")
	return events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) == unix.EPOLLIN &&
		s.output == outputReady && (s.input == inputAwaited || s.input == inputReady) && s.holds == 0 &&
		s.phase.hears() && len(s.in) == 0 && s.marks&markBulk == 0
}

// slot is the memory for the i-th socket's early input.
func (l *EventLoop) slot(i int) []byte { return l.earlyInput[i*earlySlot : (i+1)*earlySlot] }

// ringReceived takes the result of one call of receiveRing.
func (l *EventLoop) ringReceived(user, n int, errno syscall.Errno) {
	if unmade(errno) {
		return // its event makes the call
	}
	e := &l.early[user]
	e.n, e.errno = n, errno
	e.socket.early = int32(user) + 1
}

// claimEarly is the result of receiveRing's call for the socket. The bytes are lent until the next receiveRing.
func (s *socket) claimEarly() (in []byte, errno syscall.Errno) {
	i := int(s.early) - 1
	e := &s.loop.early[i]
	s.early, e.socket = 0, nil
	return s.loop.slot(i)[:e.n], e.errno
}

// takeEarly is recv, of what receiveRing has received for the socket.
func (s *socket) takeEarly(b []byte) (n int, errno syscall.Errno) {
	in, errno := s.claimEarly()
	if len(in) == earlySlot {
		s.marks |= markBulk
	}
	n = copy(b, in)
	invariant.Poison(in)
	return n, errno
}

// keepEarly keeps what was received for a socket that turned out not to want it yet: it was held meanwhile. One that
// was closed meanwhile needs none of it.
func (s *socket) keepEarly() {
	in, errno := s.claimEarly()
	switch {
	case errno == unix.EAGAIN:
		s.input = inputAwaited
	case errno != 0:
		s.fail(os.NewSyscallError("read", errno))
	case len(in) == 0:
		s.input = inputEnding // reading again says so again
	case s.phase.hears():
		s.in = in
		s.keep(&s.loop.chunks)
		s.input = inputReady
	}
}

// flushRing sends what sockets gathered, each of which fits one call, in one system call. What it leaves in the list is
// for flush to send.
func (l *EventLoop) flushRing() {
	due := l.flushes[l.flushesDone:]
	for next := 0; next < len(due); {
		for ; next < len(due) && !l.ring.full(); next++ {
			// Behind a contained panic the list may hold sockets that were served already: nil.
			if s := due[next]; s != nil && s.fitsOneSend() {
				l.ring.queue(ringSend, s.fd, s.out.head.b[s.out.head.start:s.out.head.end], unix.MSG_NOSIGNAL, next)
			}
		}
		if err := l.ring.run(l.ringSent); err != nil {
			l.dropRing()
			return
		}
	}
}

// fitsOneSend reports whether there is output to flush, all in one piece.
func (s *socket) fitsOneSend() bool {
	return s.phase != phaseGone && s.output == outputReady && s.out.head != nil && s.out.head == s.out.tail
}

// ringSent takes the result of one call of flushRing.
func (l *EventLoop) ringSent(user, n int, errno syscall.Errno) {
	if unmade(errno) {
		return // flush sends it
	}
	at := &l.flushes[l.flushesDone+user]
	s := *at
	*at = nil
	s.marks &^= markFlush
	switch {
	case errno == unix.EAGAIN:
		s.block()
	case errno != 0:
		s.refused(errno)
	default:
		want := s.out.size
		s.out.drop(&l.chunks, n)
		if n < want {
			s.block()
		}
	}
	s.raise()
	s.sent()
}

// dropRing goes on without a ring: every call is made by itself from now on.
func (l *EventLoop) dropRing() {
	l.ring.close()
	l.ring = nil
}
