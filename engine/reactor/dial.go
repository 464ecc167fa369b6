package reactor

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dial opens a connection. A failure, even one known at once, reaches the sink after the event being handled.
func (l *EventLoop) Dial(a Addr, sink Sink) Conn {
	s := l.newSocket(-1, unix.AF_UNSPEC, outputOpening)
	s.sink = sink
	if a.Path == "" {
		s.peer = a.TCP
	}
	if l.stage == stageEnding {
		s.fail(ErrStopped)
		return s
	}
	l.closeDropped() // this one may replace one of them, with a server that takes no more
	if !l.config.Descriptors.take(l.config.Descriptors.forDial) {
		s.fail(ErrDescriptors)
		return s
	}
	if call, errno := s.dial(a); errno != 0 {
		s.fail(os.NewSyscallError(call, errno))
		return s
	}
	if err := s.watch(placeOpened); err != nil {
		s.fail(err)
	}
	return s
}

// dial opens the socket and begins to connect. It names the call that failed.
func (s *socket) dial(a Addr) (call string, errno syscall.Errno) {
	name := &s.loop.name
	size, errno := encodeName(a, name)
	if errno == 0 {
		s.family = name.Addr.Family
		s.fd, errno = openSocket(int(s.family))
	}
	if errno != 0 {
		s.loop.config.Descriptors.give()
		return "socket", errno
	}
	s.loop.stats.Open.Add(1)
	if s.family != unix.AF_UNIX {
		setOption(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	switch errno = connect(s.fd, name, size); errno {
	case 0: // unix sockets connect at once
		s.output = outputReady
		s.loop.deferred = append(s.loop.deferred, deferral{socket: s})
	case unix.EINPROGRESS, unix.EINTR:
	default:
		return "connect", errno
	}
	return "", 0
}

// opened asks for the outcome of a connection in progress and tells the sink. It reports whether it is open.
func (s *socket) opened() bool {
	if errno := socketError(s.fd); errno != 0 {
		s.fail(os.NewSyscallError("connect", errno))
		return false
	}
	s.output = outputReady
	s.announce()
	return s.phase != phaseGone
}

// announce tells the sink that the connection is open, and sends what was written before.
func (s *socket) announce() {
	if s.out.size > 0 {
		s.flushLater()
	}
	s.level = levelLow
	if s.phase.hears() {
		s.drained()
	}
	if s.out.size == 0 {
		s.sent()
	}
}

// Attach makes a connected, non-blocking socket a connection of this loop.
func (l *EventLoop) Attach(fd int, sink Sink) Conn {
	family := uint16(unix.AF_UNSPEC)
	var peer netip.AddrPort
	if nameOf(unix.SYS_GETPEERNAME, int32(fd), &l.name) == 0 {
		family, peer = l.name.Addr.Family, decodeName(&l.name)
	}
	s := l.newSocket(int32(fd), family, outputReady)
	s.sink, s.peer = sink, peer
	l.stats.Open.Add(1)
	l.config.Descriptors.inUse.Add(1)
	if l.stage == stageEnding {
		s.fail(ErrStopped)
	} else if err := s.watch(0); err != nil {
		s.fail(err)
	}
	return s
}
