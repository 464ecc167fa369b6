package reactor

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a turn.
const (
	// StallTime is how long a turn may take before it counts as a stall: everybody else on the loop waited for it. A
	// turn of a saturated loop, with some hundred requests in it, stays well below.
	StallTime = 10 * time.Millisecond
	// turnsPerYield is after how many turns without blocking the loop lets other goroutines of its core run; the
	// runtime would only force it to after 10 ms, too long for a TLS handshake to wait.
	turnsPerYield = 64
)

// Errors a sink may be told by OnClosed, besides those of system calls.
var (
	ErrStopped     = errors.New("reactor: the loop has stopped")
	ErrDescriptors = errors.New("reactor: no descriptor left for this purpose")
	ErrPanic       = errors.New("reactor: panic")
)

// Config is what an EventLoop is made from. Its functions are called on the loop.
type Config struct {
	Index       int
	Descriptors *Descriptors              // shared by all loops; nil is no limit
	Handshakes  *Handshakes               // of TLS, shared by all loops; nil is no limit
	Plain       bool                      // make every system call by itself, without io_uring
	Busy        func() bool               // whether somebody waits who had better not wait for a handshake, too. May be nil
	Shed        func() bool               // asks the owner to close a connection it can spare; false when there is none. May be nil
	OnTurn      func(time.Duration)       // told how long each turn took. May be nil
	OnPanic     func(v any, stack []byte) // told of each contained panic. May be nil
}

// Stats counts what a loop did. Atomic, any goroutine; written by the loop.
type Stats struct {
	Open   atomic.Int64  // sockets open now, those that linger too
	Turns  atomic.Uint64 // turns that had something to do
	Stalls atomic.Uint64 // turns longer than StallTime
	Panics atomic.Uint64 // panics contained
	Pauses atomic.Uint64 // times accepting paused for want of descriptors
	Shed   atomic.Uint64 // connections the owner closed to make room
}

// stage is how far the life of a loop has come.
type stage uint8

const (
	stageRunning stage = iota
	stageEnding        // sockets are being closed; none is opened any more
	stageEnded         // descriptors of the loop itself are closed
)

func (s stage) String() string { return [...]string{"running", "ending", "ended"}[s] }

// deferral is what is owed after the event being handled: a function, or news for a connection's sink (with an error,
// that it closed; without, that it opened).
type deferral struct {
	f      func()
	socket *socket
	err    error
}

// EventLoop is the Loop of the kernel: everything in it happens on the goroutine that calls Run; before Run, on the one
// that made it. Any goroutine may call Post, Shutdown and Stats.
type EventLoop struct {
	config Config // immutable
	stats  Stats
	mail   mailbox

	// Owned by the loop.
	stage   stage
	now     Instant
	poller  *poller
	current *socket // whose sink is being called
	hooks   []func()

	wheel   Wheel
	timerFD int
	ring    *ring   // nil where the kernel has none for us
	alarm   Instant // when the timerfd goes off, 0 when it does not

	// Work of this turn: lists, and how far each was worked off, so that a contained panic resumes behind its cause.
	ready, readyDone      int
	receivedTo            int // events up to here had their input received together, where that is possible
	posts                 []func()
	postsDone             int
	visits                []*socket
	visitsDue, visitsDone int // visitsDue is -1 until visiting begins; what comes later waits for the next turn
	flushes               []*socket
	flushesDone           int
	accepting             []*Acceptor
	acceptingDone         int
	dropped               []int32 // descriptors of connections that are gone
	seals                 []*tlsConn
	sealsDone             int
	hooksDone             int
	deferred              []deferral
	deferredDone          int

	// Memory all connections of the loop share.
	input      []byte
	earlyInput []byte // earlySlots of earlySlot bytes
	early      []early
	plain      []byte // opened records; nil until TLS is used
	record     []byte // content of one record to be sealed; nil until it is needed
	iov        [maxParts]unix.Iovec
	message    unix.Msghdr
	name       unix.RawSockaddrAny
	chunks     chunks
	departures *departure
	yielded    []chan struct{} // closed when handshakes that let others go first may go on
}

// New makes a loop that is ready to be given listeners, and to run. Run must be called to release what it holds.
func New(c Config) (*EventLoop, error) {
	if c.Descriptors == nil {
		c.Descriptors = NewDescriptors(math.MaxInt32, 0)
	}
	l := &EventLoop{config: c, input: make([]byte, MaxInput+2*ReadSize), timerFD: -1}
	l.now = l.Clock()
	var err error
	if l.poller, err = openPoller(l.run); err != nil {
		return nil, err
	}
	if !c.Plain {
		if l.ring, err = openRing(); err == nil {
			l.earlyInput = make([]byte, earlySlots*earlySlot)
			l.early = make([]early, 0, earlySlots)
		}
	}
	l.mail.wake = l.poller.wake
	l.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err == nil {
		_, err = l.poller.add(int32(l.timerFD), unix.EPOLLIN|unix.EPOLLET, alarmSource{}, 0)
	}
	if err != nil {
		l.release()
		return nil, fmt.Errorf("reactor: timerfd: %w", err)
	}
	return l, nil
}

// alarmSource owns the timerfd: its event only makes a turn happen. Edge-triggered, it need not be read.
type alarmSource struct{}

func (alarmSource) ready(uint32) {}
func (alarmSource) stop()        {}

// Run handles events until Shutdown was called, and has closed every socket of the loop when it returns.
func (l *EventLoop) Run() error {
	l.setAlarm(l.Clock())
	if !l.run() {
		return nil
	}
	err := l.poller.run()
	if l.stage != stageEnded {
		l.end() // the kernel refused to wait
	}
	return err
}

// Shutdown makes Run end: what was posted runs, then sinks hear OnClosed with ErrStopped. Any goroutine.
func (l *EventLoop) Shutdown() { l.mail.stop() }

// Stats is what the loop has done so far.
func (l *EventLoop) Stats() *Stats { return &l.stats }

// Batches reports whether the loop has a ring to make the socket calls of a turn together. On the loop, or before Run.
func (l *EventLoop) Batches() bool { return l.ring != nil }

// Index is the loop's number.
func (l *EventLoop) Index() int { return l.config.Index }

// processStart is the zero of Instant.
var processStart = time.Now()

// Clock reads the process's clock. Any goroutine; on a loop Loop.Now is cheaper.
func Clock() Instant { return Instant(time.Since(processStart)) }

// Clock reads the clock.
func (l *EventLoop) Clock() Instant { return Clock() }

// Now is the clock as read when this turn began.
func (l *EventLoop) Now() Instant { return l.now }

// Arm makes t fire d from Now.
func (l *EventLoop) Arm(t *Timer, d time.Duration) { l.wheel.Arm(t, l.now.Add(d)) }

// Stop disarms t.
func (l *EventLoop) Stop(t *Timer) { l.wheel.Stop(t) }

// Defer runs f after the event being handled.
func (l *EventLoop) Defer(f func()) { l.deferred = append(l.deferred, deferral{f: f}) }

// Post runs f on the loop.
func (l *EventLoop) Post(f func()) bool { return l.mail.post(f) }

// OnTurnEnd makes f run at the end of every turn, for as long as the loop runs.
func (l *EventLoop) OnTurnEnd(f func()) { l.hooks = append(l.hooks, f) }

// run makes turns until there is nothing left to do. It returns false when the loop has ended.
func (l *EventLoop) run() bool {
	l.mail.woken()
	for turns := 1; ; turns++ {
		worked, stopping := l.turn()
		switch {
		case stopping:
			l.end()
			return false
		case !worked && l.mail.sleep():
			return true
		case turns%turnsPerYield == 0:
			runtime.Gosched()
		}
	}
}

// contain is deferred around calls of code that is not the reactor's. A panic costs the connection whose sink was
// being called, and nobody else anything.
func (l *EventLoop) contain() {
	v := recover()
	if v == nil {
		return
	}
	s := l.current
	l.current = nil
	l.stats.Panics.Add(1)
	if l.config.OnPanic != nil {
		l.config.OnPanic(v, debug.Stack())
	}
	if s != nil && s.phase != phaseGone {
		resetOnClose(s.fd)
		s.fail(fmt.Errorf("%w: %v", ErrPanic, v))
	}
}

// end closes everything. Sinks and posted functions are contained as in a turn.
func (l *EventLoop) end() {
	l.posts, l.postsDone = l.mail.close(), 0
	for !l.work() {
	}
	l.stage = stageEnding
	for i := 0; i < len(l.poller.places); i++ {
		if s := l.poller.places[i].source; s != nil {
			s.stop()
		}
	}
	l.hooksDone = 0
	for !l.work() {
	}
	l.closeDropped()
	l.release()
	l.stage = stageEnded
}

// LetGo gives up the memory that the loop keeps for later. On the loop.
func (l *EventLoop) LetGo() { l.chunks, l.plain, l.record = chunks{}, nil, nil }

// release closes the loop's own descriptors.
func (l *EventLoop) release() {
	if l.timerFD >= 0 {
		unix.Close(l.timerFD)
	}
	if l.ring != nil {
		l.dropRing()
	}
	l.poller.close()
}
