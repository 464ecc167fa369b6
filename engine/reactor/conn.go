package reactor

import (
	"crypto/tls"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
	"traffic_management/internal/invariant"
)

// Bounds of reading.
const (
	// ReadSize is how many bytes one system call asks for.
	ReadSize = 64 << 10
	// SipSize is the least that one asks for, whatever a Portion says. Most response heads fit in it.
	SipSize = 4 << 10
	// MaxInput is how many bytes a sink may leave unconsumed; a connection that has more is not read until some are
	// consumed. A sink that waits for a longer message must consume it in parts.
	MaxInput = 128 << 10
	// readsPerEvent bounds what one connection may read before the others have their turn.
	readsPerEvent = 4
	// gatherLimit is how much output waits for the end of the turn; more leaves at once.
	gatherLimit = 16 << 10
)

// phase is how far the life of a socket has come.
type phase uint8

const (
	phaseOpen       phase = iota // both directions may be used
	phaseShutting                // CloseWrite was called; the writing side closes when the queue is empty
	phaseShut                    // the writing side is closed, input goes on
	phaseLeaving                 // Close was called; the sink is gone; closes when the queue is empty
	phaseLeavingLag              // as phaseLeaving, but lingers then
	phaseLingering               // the writing side is closed, input is dropped until the peer closes or time is up
	phaseGone                    // no descriptor any more
)

func (p phase) String() string {
	return [...]string{"open", "shutting", "shut", "leaving", "leaving to linger", "lingering", "gone"}[p]
}

// hears reports whether the sink is still told anything.
func (p phase) hears() bool { return p <= phaseShut }

// inputState is what is known of the kernel's side of the input; edge-triggered events are told once, so it is kept.
type inputState uint8

const (
	inputAwaited inputState = iota // nothing to read
	inputReady                     // there may be something
	inputEnding                    // as inputReady, and an end or an error follows: read on until it comes
	inputEnded                     // the end was read
)

func (i inputState) String() string { return [...]string{"awaited", "ready", "ending", "ended"}[i] }

// outputState is whether the kernel takes output.
type outputState uint8

const (
	outputOpening outputState = iota // the connection is being opened
	outputReady                      // it does; what is queued was only gathered
	outputBlocked                    // it refused some; an event tells when it takes more
)

func (o outputState) String() string { return [...]string{"opening", "ready", "blocked"}[o] }

// level says which mark the queue passed last.
type level uint8

const (
	levelLow  level = iota // never above the high mark since it was at the low one
	levelHigh              // passed the high mark: OnDrained is owed
)

func (l level) String() string { return [...]string{"low", "high"}[l] }

// marks are the lists of the loop a socket is in, and what for.
type marks uint8

const (
	markVisit marks = 1 << iota // in the list of sockets to visit later in the turn
	markFlush                   // in the list of sockets with gathered output
	markWake                    // OnData is owed even without new input
	markBulk                    // sends more at a time than is worth receiving with others
	markShut                    // CloseWrite was called before a handshake's end
)

// socket is a Conn of the kernel: TCP or unix, accepted, dialled or attached. Small, since idle connections are many:
// it holds no buffer while nothing is unconsumed or queued.
//
// Owned by its loop. A socket that is gone may still be called; it does nothing.
type socket struct {
	loop *EventLoop
	sink Sink // nil once it is to hear nothing any more

	portion func() int // nil: nobody is asked
	received
	out output

	lost int // output that was given up before the kernel had it

	departure *departure // the time limit of a gentle close
	fault     syscall.Errno
	peer      netip.AddrPort

	fd     int32
	place  int32
	holds  int32
	early  int32 // index into loop.early plus 1 while input received with that of others waits there; 0 otherwise
	family uint16
	phase  phase
	input  inputState
	output outputState
	level  level
	marks  marks
}

func (l *EventLoop) newSocket(fd int32, family uint16, o outputState) *socket {
	return &socket{loop: l, fd: fd, place: -1, family: family, output: o}
}

// watch begins to watch the descriptor. mark is placeOpened or 0.
func (s *socket) watch(mark int32) (err error) {
	events := uint32(watchSocket)
	if s.family == unix.AF_UNIX {
		events = watchInput
	}
	s.place, err = s.loop.poller.add(s.fd, events, s, mark)
	return err
}

// ready handles an event of the poller.
func (s *socket) ready(events uint32) {
	const failed = unix.EPOLLERR | unix.EPOLLHUP
	if s.output == outputOpening {
		if events&(unix.EPOLLOUT|failed) == 0 || !s.opened() {
			return
		}
	} else if s.output == outputBlocked && events&(unix.EPOLLOUT|failed) != 0 {
		s.unblock()
	}
	if s.phase == phaseGone || s.input == inputEnded && events&unix.EPOLLERR == 0 {
		return
	}
	switch {
	case s.input == inputEnded:
	case events&(unix.EPOLLRDHUP|failed) != 0:
		s.input = inputEnding
	case events&unix.EPOLLIN != 0 && s.input == inputAwaited:
		s.input = inputReady
	}
	if events&unix.EPOLLERR != 0 && !s.readable() && s.phase != phaseLingering {
		// Nobody reads as far as the error: ask for it, so that even a held connection tells of a reset.
		if errno := socketError(s.fd); errno != 0 {
			s.fail(os.NewSyscallError("poll", errno))
			return
		}
	}
	s.receive()
	if s.early != 0 {
		s.keepEarly()
	}
}

// readable reports whether reading makes sense now.
func (s *socket) readable() bool {
	return (s.input == inputReady || s.input == inputEnding) && s.holds == 0 && s.phase.hears() &&
		s.output != outputOpening && len(s.in) < MaxInput
}

// receive reads and tells the sink, for as long as there is input. It reports whether the sink was told.
func (s *socket) receive() (told bool) {
	if s.phase == phaseLingering {
		s.dropInput()
		return false
	}
	for rounds := 0; s.readable(); rounds++ {
		if rounds == readsPerEvent {
			s.visitLater()
			break
		}
		told = s.read() || told
	}
	return told
}

// read does one round: fill the loop's buffer behind what was left unconsumed, tell the sink, keep what it leaves.
// When the end is known to follow, it is read for at once, so that the sink learns it with the last bytes.
func (s *socket) read() (told bool) {
	buf := s.loop.input
	from := len(s.in)
	end := from
	size := s.readSize()
	var errno syscall.Errno
	for end+size <= len(buf) {
		n, room := 0, size
		if s.early != 0 {
			room = earlySlot
			n, errno = s.takeEarly(buf[end:])
		} else {
			n, errno = recv(s.fd, buf[end:end+size])
		}
		if errno != 0 {
			break
		}
		if n == 0 {
			s.input = inputEnded
			break
		}
		end += n
		if n == size {
			break
		}
		if s.input == inputReady && n < room {
			s.input = inputAwaited // a short read emptied it: the next byte is a new edge
			break
		}
	}
	if errno == unix.EAGAIN {
		s.input, errno = inputAwaited, 0
	}
	if errno != 0 {
		s.input = inputEnded
		if s.fault == 0 {
			s.fault = errno
		}
	}
	if end-from < earlySlot {
		s.marks &^= markBulk
	}
	if end > from {
		copy(buf, s.in)
		s.releaseInput()
		s.in = buf[:end]
	}
	if end > from || s.EOF() {
		s.tell()
		told = true
		invariant.Poison(buf[:end]) // the loan ends here
	}
	if s.fault != 0 && (s.input == inputEnded || s.input == inputAwaited) && s.phase.hears() {
		s.fail(os.NewSyscallError("read", s.fault))
	}
	return told
}

// readSize is how many bytes the next system call asks for.
func (s *socket) readSize() int {
	if s.portion == nil {
		return ReadSize
	}
	return min(max(s.portion(), SipSize), ReadSize)
}

// tell calls OnData and keeps what the sink leaves of the shared buffer.
func (s *socket) tell() {
	s.marks &^= markWake
	s.loop.current = s
	s.sink.OnData()
	s.loop.current = nil
	s.keepInput()
}

// drained calls OnDrained.
func (s *socket) drained() {
	s.loop.current = s
	s.sink.OnDrained()
	s.loop.current = nil
	s.keepInput()
}

// keepInput moves what the sink left of the shared buffer to memory of the connection's own.
func (s *socket) keepInput() {
	if len(s.in) == 0 {
		s.releaseInput()
	} else {
		s.keep(&s.loop.chunks)
	}
}

// releaseInput drops what is unconsumed.
func (s *socket) releaseInput() { s.release(&s.loop.chunks, s.loop.current == s) }

// visitLater makes the loop call visit later in the turn, or in the next one.
func (s *socket) visitLater() {
	if s.marks&markVisit == 0 {
		s.marks |= markVisit
		s.loop.visits = append(s.loop.visits, s)
	}
}

// visit reads on, and wakes the sink when that is owed.
func (s *socket) visit() {
	s.marks &^= markVisit
	told := s.receive()
	if !told && s.marks&markWake != 0 && s.holds == 0 && s.phase.hears() {
		s.tell()
	}
}

func (s *socket) In() []byte { return s.in }

func (s *socket) Consume(n int) {
	if !s.phase.hears() {
		return // it ended inside this very call of the sink
	}
	full := len(s.in) >= MaxInput
	s.in = s.in[n:]
	if full && s.readable() {
		s.visitLater()
	}
	if len(s.in) == 0 && s.loop.current != s {
		s.releaseInput()
	}
}

func (s *socket) EOF() bool { return s.input == inputEnded && s.fault == 0 }

func (s *socket) Hold(on bool) {
	if on {
		s.holds++
		return
	}
	invariant.Check(s.holds > 0, "reactor: Hold(false) without Hold(true)")
	if s.holds = max(s.holds-1, 0); s.holds > 0 || !s.phase.hears() {
		return
	}
	if len(s.in) > 0 || s.EOF() {
		s.marks |= markWake
	}
	if s.marks&markWake != 0 || s.readable() {
		s.visitLater()
	}
}

func (s *socket) Portion(portion func() int) { s.portion = portion }

func (s *socket) Wake() {
	if s.phase.hears() {
		s.marks |= markWake
		s.visitLater()
	}
}

func (s *socket) SetSink(sink Sink) {
	if s.phase.hears() {
		s.sink = sink
	}
}

func (s *socket) Queued() int {
	if s.output == outputReady {
		return 0
	}
	return s.out.size
}

func (s *socket) Unsent() int { return s.out.size + s.lost }

// TLS is nil: a socket's bytes are what the sink sees.
func (s *socket) TLS() *tls.ConnectionState { return nil }

func (s *socket) Peer() netip.AddrPort { return s.peer }

func (s *socket) Local() netip.AddrPort {
	var name unix.RawSockaddrAny
	if s.phase == phaseGone || nameOf(unix.SYS_GETSOCKNAME, s.fd, &name) != 0 {
		return netip.AddrPort{}
	}
	return decodeName(&name)
}

// raise notes that the queue grew.
func (s *socket) raise() {
	if s.out.size > codec.HighMark {
		s.level = levelHigh
	}
}
