package reactor

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
)

// maxParts is how many pieces one sendmsg takes.
const maxParts = 64

func (s *socket) Write(p []byte) {
	bufs := [1][]byte{p}
	s.Writev(bufs[:])
}

func (s *socket) Writev(bufs [][]byte) {
	total := size(bufs)
	switch {
	case total == 0:
	case s.phase != phaseOpen || s.fault != 0:
		s.lost += total
	case s.output != outputReady:
		s.enqueue(bufs, 0)
		s.raise()
	case s.out.size+total < gatherLimit:
		s.enqueue(bufs, 0)
		s.flushLater()
	default:
		s.send(bufs)
		s.raise()
	}
}

// gather takes output for the end of the turn, however much it is.
func (s *socket) gather(p []byte) {
	switch {
	case s.phase != phaseOpen || s.fault != 0:
		s.lost += len(p)
		return
	case s.output == outputReady:
		s.flushLater()
	}
	s.out.append(&s.loop.chunks, p)
}

// push sends what was gathered, unless that is little and may wait for the end of the turn.
func (s *socket) push() {
	if s.output == outputReady && s.out.size >= gatherLimit {
		s.send(nil)
	}
	s.raise()
}

func size(bufs [][]byte) (n int) {
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// enqueue copies bufs, without their first skip bytes, behind the queue.
func (s *socket) enqueue(bufs [][]byte, skip int) {
	for _, b := range bufs {
		n := min(skip, len(b))
		skip -= n
		s.out.append(&s.loop.chunks, b[n:])
	}
}

// flushLater makes the loop send the queue at the end of the turn.
func (s *socket) flushLater() {
	if s.marks&markFlush == 0 {
		s.marks |= markFlush
		s.loop.flushes = append(s.loop.flushes, s)
	}
}

// flush sends what was gathered in the turn.
func (s *socket) flush() {
	s.marks &^= markFlush
	if s.phase == phaseGone || s.output != outputReady {
		return
	}
	s.send(nil)
	s.raise()
	s.sent()
}

// send hands the queue and then bufs to the kernel. What it refuses of bufs is copied to the queue.
func (s *socket) send(bufs [][]byte) {
	l := s.loop
	skip := 0 // bytes of bufs that were sent
	for {
		parts, want := l.parts(&s.out, bufs, skip)
		if want == 0 {
			return
		}
		n, errno := sendv(s.fd, parts, &l.message)
		clear(parts) // keep no lent memory alive
		if errno != 0 && errno != unix.EAGAIN {
			s.lost += size(bufs) - skip
			s.refused(errno)
			return
		}
		queued := min(n, s.out.size)
		s.out.drop(&l.chunks, queued)
		skip += n - queued
		if n < want {
			s.enqueue(bufs, skip)
			s.block()
			return
		}
	}
}

// parts lists the queue and then bufs, without their first skip bytes, for one system call, and adds up their size.
func (l *EventLoop) parts(o *output, bufs [][]byte, skip int) (parts []unix.Iovec, size int) {
	n := 0
	for c := o.head; c != nil && n < maxParts; c = c.next {
		l.iov[n].Base = &c.b[c.start]
		l.iov[n].SetLen(c.end - c.start)
		size += c.end - c.start
		n++
	}
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		if n == maxParts {
			break
		}
		l.iov[n].Base = &b[skip]
		l.iov[n].SetLen(len(b) - skip)
		size += len(b) - skip
		skip = 0
		n++
	}
	return l.iov[:n], size
}

// block waits for the kernel to take output again.
func (s *socket) block() {
	s.output = outputBlocked
	if s.family == unix.AF_UNIX {
		s.loop.poller.change(s.fd, s.place, watchSocket)
	}
}

// unblock goes on sending: the kernel may take output again.
func (s *socket) unblock() {
	s.output = outputReady
	s.send(nil)
	if s.output == outputReady && s.family == unix.AF_UNIX && s.phase != phaseGone {
		s.loop.poller.change(s.fd, s.place, watchInput)
	}
	if s.level == levelHigh && s.out.size <= codec.LowMark {
		s.level = levelLow
		if s.phase.hears() && s.fault == 0 {
			s.drained()
		}
	}
	s.sent()
}

// sent takes the steps that waited for the queue to be empty.
func (s *socket) sent() {
	switch s.phase {
	case phaseShutting:
		if s.out.size == 0 && s.output == outputReady && s.fault == 0 {
			s.shut()
		}
	case phaseLeaving, phaseLeavingLag:
		s.leave()
	}
}

// shut closes the writing side.
func (s *socket) shut() {
	s.phase = phaseShut
	if errno := shutdownWrite(s.fd); errno != 0 {
		s.refused(errno)
	}
}

// refused handles an error of sending: the peer is gone, or reads no more. What it sent before that may still wait in
// the kernel, such as an early response, so input is read to its end before the sink hears of the failure.
func (s *socket) refused(errno syscall.Errno) {
	s.giveUp()
	s.output = outputReady
	if s.holds > 0 || s.input == inputEnded || !s.phase.hears() {
		s.fail(os.NewSyscallError("write", errno))
		return
	}
	s.fault = errno
	s.input = inputEnding
	s.visitLater()
}

// giveUp drops what is queued.
func (s *socket) giveUp() {
	s.lost += s.out.size
	s.out.clear(&s.loop.chunks)
}

func (s *socket) CloseWrite() {
	if s.phase != phaseOpen {
		return
	}
	s.phase = phaseShutting
	s.sent()
}
