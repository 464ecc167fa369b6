package reactor

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of the kernel's interface (io_uring.h, Linux 5.6 and later).
const (
	sysRingSetup = 425
	sysRingEnter = 426

	ringOffsetRings   = 0
	ringOffsetEntries = 0x10000000

	ringFeatureSingleMap = 1 << 0 // both rings in one mapping
	ringSubmitAll        = 1 << 7 // go on behind an entry that fails (Linux 5.18)

	ringGetEvents = 1 << 0 // of io_uring_enter: finish what is finished

	ringSend = 26
	ringRecv = 27
)

// ringSize is how many calls are handed over at once.
const ringSize = 256

// maxRefusals is how often in a row of one run the kernel may be too busy for a ring before it is given up.
const maxRefusals = 100

// ringWorth is from how many calls on one system call for all beats one for each.
const ringWorth = 3

// ring hands the kernel many calls on sockets in one system call. It is used like plain non-blocking calls: all are
// begun and ended inside run, none is left behind, so the memory they use is free again when run returns. What it saves
// is the way into the kernel and back, a quarter of a request's cost where the kernel guards against Meltdown.
//
// Owned by the loop.
type ring struct {
	fd     int
	memory [][]byte // mapped

	tail, head         *uint32 // of the submission ring; head is the kernel's
	mask               uint32
	entries            []ringEntry
	doneTail, doneHead *uint32 // of the completion ring; tail is the kernel's
	doneMask           uint32
	done               []ringDone
	queued             uint32 // entries since the last run
}

// ringEntry is a struct io_uring_sqe as ringSend and ringRecv use it.
type ringEntry struct {
	opcode   uint8
	flags    uint8
	priority uint16
	fd       int32
	_        uint64
	addr     uint64
	size     uint32
	msgFlags uint32
	user     uint64
	_        [3]uint64
}

// ringDone is a struct io_uring_cqe.
type ringDone struct {
	user  uint64
	res   int32
	flags uint32
}

// ringParams is a struct io_uring_params.
type ringParams struct {
	entries, doneEntries, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// openRing makes a ring. It fails where the kernel has none, or is told not to let us have one, as in many containers.
func openRing() (*ring, error) {
	p := ringParams{flags: ringSubmitAll}
	fd, _, errno := syscall.RawSyscall(sysRingSetup, ringSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("reactor: io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	syscall.CloseOnExec(r.fd)
	if p.features&ringFeatureSingleMap == 0 {
		r.close()
		return nil, fmt.Errorf("reactor: io_uring_setup: %w", unix.EOPNOTSUPP)
	}
	rings, err := r.mmap(ringOffsetRings, max(int(p.sq.array)+int(p.entries)*4,
		int(p.cq.cqes)+int(p.doneEntries)*int(unsafe.Sizeof(ringDone{}))))
	if err != nil {
		r.close()
		return nil, err
	}
	entries, err := r.mmap(ringOffsetEntries, int(p.entries)*int(unsafe.Sizeof(ringEntry{})))
	if err != nil {
		r.close()
		return nil, err
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&rings[offset])) }
	r.head, r.tail, r.mask = at(p.sq.head), at(p.sq.tail), *at(p.sq.mask)
	r.doneHead, r.doneTail, r.doneMask = at(p.cq.head), at(p.cq.tail), *at(p.cq.mask)
	r.entries = unsafe.Slice((*ringEntry)(unsafe.Pointer(&entries[0])), p.entries)
	r.done = unsafe.Slice((*ringDone)(unsafe.Pointer(&rings[p.cq.cqes])), p.doneEntries)
	for i := range p.entries {
		*at(p.sq.array + 4*i) = i // entries are handed over in their own order
	}
	return r, nil
}

func (r *ring) mmap(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("reactor: mapping a ring: %w", err)
	}
	r.memory = append(r.memory, b)
	return b, nil
}

func (r *ring) close() {
	for _, b := range r.memory {
		_ = unix.Munmap(b)
	}
	_ = unix.Close(r.fd)
}

// full reports whether run must come before the next call is queued.
func (r *ring) full() bool { return r.queued == uint32(len(r.entries)) }

// queue adds a call; b must stay where it is until run returns, and user comes back with the result.
func (r *ring) queue(opcode uint8, fd int32, b []byte, flags uint32, user int) {
	e := &r.entries[(*r.tail+r.queued)&r.mask]
	*e = ringEntry{opcode: opcode, fd: fd, addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))),
		size: uint32(len(b)), msgFlags: flags | unix.MSG_DONTWAIT, user: uint64(user)}
	r.queued++
}

// run makes the queued calls and tells done of each result, in any order. All have ended when it returns. done must
// not use the ring. After an error the ring is of no use; calls whose result done was not told were not made.
func (r *ring) run(done func(user, n int, errno syscall.Errno)) error {
	left, outstanding, refusals := r.queued, r.queued, 0
	atomic.StoreUint32(r.tail, *r.tail+r.queued)
	r.queued = 0
	for outstanding > 0 {
		// Calls that must not wait end while they are submitted: nothing blocks here.
		n, _, errno := syscall.RawSyscall6(sysRingEnter, uintptr(r.fd), uintptr(left), 0, ringGetEvents, 0, 0)
		if errno == 0 {
			left -= uint32(n)
		} else if refusals++; errno != unix.EINTR && errno != unix.EAGAIN && errno != unix.EBUSY || refusals > maxRefusals {
			return fmt.Errorf("reactor: io_uring_enter: %w", errno)
		}
		head, tail := *r.doneHead, atomic.LoadUint32(r.doneTail)
		for ; head != tail; head++ {
			c := &r.done[head&r.doneMask]
			outstanding--
			if c.res < 0 {
				done(int(c.user), 0, syscall.Errno(-c.res))
			} else {
				done(int(c.user), int(c.res), 0)
			}
		}
		atomic.StoreUint32(r.doneHead, head)
	}
	return nil
}

// flushRing sends what sockets gathered, each of which fits one call, in one system call. What it leaves in the list is
// for flush to send.
func (l *EventLoop) flushRing() {
	due := l.flushes[l.flushesDone:]
	for first := 0; first < len(due); {
		i := first
		for ; i < len(due) && !l.ring.full(); i++ {
			if s := due[i]; s.phase != phaseGone && s.output == outputReady && s.out.head != nil && s.out.head == s.out.tail {
				l.ring.queue(ringSend, s.fd, s.out.head.b[s.out.head.start:s.out.head.end], unix.MSG_NOSIGNAL, i)
			}
		}
		err := l.ring.run(l.ringSent)
		first = i
		if err != nil {
			l.dropRing()
			return
		}
	}
}

// ringSent takes the result of one call of flushRing. It calls nobody else's code.
func (l *EventLoop) ringSent(user, n int, errno syscall.Errno) {
	at := &l.flushes[l.flushesDone+user]
	if errno == unix.EINTR {
		return // flush sends it
	}
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

// dropRing goes on without a ring.
func (l *EventLoop) dropRing() {
	l.ring.close()
	l.ring = nil
}

// earlySlot is how much is received for a socket together with others. Few requests are larger.
const earlySlot = 4 << 10

// earlySlots is for how many sockets of a turn input is received together.
const earlySlots = 64

// early is input that was received for a socket before its turn came.
type early struct {
	socket *socket
	n      int
	errno  syscall.Errno
}

// receiveRing receives the input of the sockets that are ready in one system call. Each finds its own when its event is
// handled; what that does not take is kept with the socket, so that nothing is left when the next turn begins.
func (l *EventLoop) receiveRing() {
	l.early = l.early[:0]
	for i := 0; i < l.ready && len(l.early) < earlySlots; i++ {
		source, events := l.poller.event(i)
		s, ok := source.(*socket)
		if !ok || events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != unix.EPOLLIN ||
			s.output != outputReady || s.input == inputEnded || s.input == inputEnding || s.holds > 0 ||
			!s.phase.hears() || len(s.in) > 0 || s.marks&markBulk != 0 {
			continue
		}
		l.early = append(l.early, early{socket: s})
	}
	if len(l.early) < ringWorth {
		l.early = l.early[:0]
		return
	}
	for i := range l.early {
		l.ring.queue(ringRecv, l.early[i].socket.fd, l.earlyInput[i*earlySlot:(i+1)*earlySlot], 0, i)
	}
	if err := l.ring.run(l.ringReceived); err != nil {
		l.dropRing()
	}
}

// ringReceived takes the result of one call of receiveRing.
func (l *EventLoop) ringReceived(user, n int, errno syscall.Errno) {
	if errno == unix.EINTR {
		return // its event makes the call
	}
	e := &l.early[user]
	e.n, e.errno = n, errno
	e.socket.early = int32(user) + 1
}

// takeEarly is recv, of what receiveRing has received for the socket.
func (s *socket) takeEarly(b []byte) (n int, errno syscall.Errno) {
	e := &s.loop.early[s.early-1]
	slot := s.loop.earlyInput[int(s.early-1)*earlySlot:]
	s.early = 0
	if e.n == earlySlot {
		s.marks |= markBulk
	}
	return copy(b, slot[:e.n]), e.errno
}

// keepEarly keeps what was received for a socket that turned out not to want it yet: it was held meanwhile.
func (s *socket) keepEarly() {
	e := s.loop.early[s.early-1]
	slot := s.loop.earlyInput[int(s.early-1)*earlySlot:]
	s.early = 0
	switch {
	case e.errno == unix.EAGAIN:
		s.input = inputAwaited
	case e.errno != 0:
		s.fail(os.NewSyscallError("read", e.errno))
	case e.n == 0:
		s.input = inputEnding // reading again says so again
	case s.phase.hears():
		c := s.loop.chunks.get(e.n)
		c.end = copy(c.b, slot[:e.n])
		s.kept, s.in = c, c.b[:c.end]
		s.input = inputReady
	}
}
