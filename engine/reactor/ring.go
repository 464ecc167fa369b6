package reactor

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"traffic_management/internal/invariant"
)

// Numbers of the kernel's interface (io_uring.h).
const (
	ringOffsetRings   = 0
	ringOffsetEntries = 0x10000000

	ringFeatureSingleMap = 1 << 0 // both rings in one mapping
	ringSubmitAll        = 1 << 7 // go on behind an entry that fails; since Linux 5.18, which refuses us on older ones

	ringGetEvents = 1 << 0 // of io_uring_enter: end what can be ended, and wait for as many results as is asked for

	ringSend = 26
	ringRecv = 27
)

// ringSize is how many calls are handed over at once. A stop of the collector waits until they are made: some 0.3 ms.
const ringSize = 64

// maxRefusals is how often in one run the kernel may be too busy for a ring before it is given up.
const maxRefusals = 100

// ring hands the kernel many calls on sockets in one system call. It is used like plain non-blocking calls: all are
// begun and ended inside run, none is left behind, so the memory they use is free again when run returns. What it saves
// is the way into the kernel and back, a quarter of a request's cost where the kernel guards against Meltdown.
//
// Owned by the loop, whichever thread it runs on.
type ring struct {
	fd     int
	memory [][]byte // mapped

	tail               *uint32 // of the submission ring
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

// openRing makes a ring. It fails where the kernel has none, or is told not to let us have one or use it, as in many
// containers. The descriptor is closed on exec, as the kernel makes it.
func openRing() (*ring, error) {
	p := ringParams{flags: ringSubmitAll}
	fd, _, errno := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, ringSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("reactor: io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	err := r.mapMemory(&p)
	if err == nil {
		err = r.try()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// mapMemory finds what the kernel shares with us.
func (r *ring) mapMemory(p *ringParams) error {
	if p.features&ringFeatureSingleMap == 0 {
		return fmt.Errorf("reactor: io_uring_setup: %w", unix.EOPNOTSUPP)
	}
	rings, err := r.mmap(ringOffsetRings, max(int(p.sq.array)+int(p.entries)*4,
		int(p.cq.cqes)+int(p.doneEntries)*int(unsafe.Sizeof(ringDone{}))))
	if err != nil {
		return err
	}
	entries, err := r.mmap(ringOffsetEntries, int(p.entries)*int(unsafe.Sizeof(ringEntry{})))
	if err != nil {
		return err
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&rings[offset])) }
	r.tail, r.mask = at(p.sq.tail), *at(p.sq.mask)
	r.doneHead, r.doneTail, r.doneMask = at(p.cq.head), at(p.cq.tail), *at(p.cq.mask)
	r.entries = unsafe.Slice((*ringEntry)(unsafe.Pointer(&entries[0])), p.entries)
	r.done = unsafe.Slice((*ringDone)(unsafe.Pointer(&rings[p.cq.cqes])), p.doneEntries)
	for i := range p.entries {
		*at(p.sq.array + 4*i) = i // entries are handed over in their own order
	}
	return nil
}

func (r *ring) mmap(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("reactor: mapping a ring: %w", err)
	}
	r.memory = append(r.memory, b)
	return b, nil
}

// try makes each kind of call on a descriptor that nobody has. A kernel that does not know the call, or may not make
// it for us, has another answer than one that looked for the descriptor; sockets must never meet that answer.
func (r *ring) try() (err error) {
	r.queue(ringSend, -1, nil, 0, ringSend)
	r.queue(ringRecv, -1, nil, 0, ringRecv)
	failed := r.run(func(user, _ int, errno syscall.Errno) {
		if errno != unix.EBADF {
			err = fmt.Errorf("reactor: io_uring operation %d: %w", user, errno)
		}
	})
	if failed != nil {
		return failed
	}
	return err
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
	left, outstanding := r.queued, r.queued
	atomic.StoreUint32(r.tail, *r.tail+r.queued)
	r.queued = 0
	for refusals := 0; outstanding > 0; {
		// Calls that must not wait end while they are handed over: nothing blocks here. Should the kernel end one later
		// after all, it is waited for, because until then its memory is in use.
		late := uint32(0)
		if left == 0 {
			late = outstanding
		}
		n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(left), uintptr(late),
			ringGetEvents, 0, 0)
		outstanding -= r.reap(done)
		switch {
		case errno == 0 && (n > 0 || left == 0):
			left -= uint32(n)
		case errno == unix.EINTR:
		case (errno == 0 || errno == unix.EAGAIN || errno == unix.EBUSY) && refusals < maxRefusals:
			refusals++ // no memory for a call just now
		default:
			invariant.Check(outstanding == left, "reactor: a call of a ring has no result")
			return fmt.Errorf("reactor: io_uring_enter: %w", errno)
		}
	}
	return nil
}

// reap tells done of the results there are, and returns how many.
func (r *ring) reap(done func(user, n int, errno syscall.Errno)) (results uint32) {
	head, tail := *r.doneHead, atomic.LoadUint32(r.doneTail)
	for at := head; at != tail; at++ {
		c := &r.done[at&r.doneMask]
		if c.res < 0 {
			done(int(c.user), 0, syscall.Errno(-c.res))
		} else {
			done(int(c.user), int(c.res), 0)
		}
	}
	atomic.StoreUint32(r.doneHead, tail)
	return tail - head
}

// unmade reports whether a result says that the ring failed, not the socket: the call is still to be made, by itself.
func unmade(errno syscall.Errno) bool {
	return errno == unix.EINTR || errno == unix.ENOMEM || errno == unix.ECANCELED
}
