package sim

import (
	"container/heap"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"time"

	"traffic_management/engine/reactor"
)

// Loop is a reactor.Loop on virtual time. One goroutine, the test's, may use it; that holds for Post too.
type Loop struct {
	// Net is how connections behave. A test may change it at any time; it holds for what is sent from then on.
	Net Net
	// Handshake decides on the outcome of handshakes, on both sides alike, by the configuration each was given. nil
	// lets them succeed, with the first of NextProtos and the ServerName.
	Handshake func(c *tls.Config) (tls.ConnectionState, error)

	seed  uint64
	rnd   *rand.Rand
	now   reactor.Instant
	stage stage

	wheel    reactor.Wheel
	packets  packets // on their way
	posts    []func()
	deferred []func()
	visits   []*conn // to read or to wake later in the turn
	flushes  []*conn // with gathered output

	conns     []*conn // those not gone, in the order they were made
	listeners map[reactor.Addr]listener
	detached  map[int]*socket // by the descriptor Detach returned
	lastFD    int
	lastPort  uint16
}

// stage is what the loop is doing.
type stage uint8

const (
	stageResting stage = iota // the test has the word
	stageRunning              // inside Run or Advance
	stageStopped              // after Shutdown
)

func (s stage) String() string { return [...]string{"resting", "running", "stopped"}[s] }

// epoch is what the clock says at first: not zero, since code takes the zero Instant for "not yet".
const epoch = reactor.Instant(time.Hour)

// maxTurns bounds one Run or Advance: connections that answer each other for ever must fail a test, not hang it.
const maxTurns = 1_000_000

// NewLoop makes a loop. Equal seeds and equal calls give equal runs. The seed also chooses Net, without resets.
func NewLoop(seed uint64) *Loop {
	rnd := rand.New(rand.NewPCG(seed, 0x73696d))
	return &Loop{Net: drawNet(rnd), seed: seed, rnd: rnd, now: epoch, listeners: map[reactor.Addr]listener{},
		detached: map[int]*socket{}}
}

// Index is 0.
func (l *Loop) Index() int { return 0 }

// Now is the virtual time.
func (l *Loop) Now() reactor.Instant { return l.now }

// Clock is the same as Now: no time passes within a turn.
func (l *Loop) Clock() reactor.Instant { return l.now }

// Arm makes t fire at the first whole tick that is no sooner than d from Now: Advance(d + reactor.Tick) fires it.
func (l *Loop) Arm(t *reactor.Timer, d time.Duration) { l.wheel.Arm(t, l.now.Add(d)) }

// Stop disarms t.
func (l *Loop) Stop(t *reactor.Timer) { l.wheel.Stop(t) }

// Defer runs f after the event being handled; when the test calls it between runs, first thing in the next run.
func (l *Loop) Defer(f func()) { l.deferred = append(l.deferred, f) }

// Post runs f in the next turn.
func (l *Loop) Post(f func()) bool {
	if l.stage == stageStopped {
		return false
	}
	l.posts = append(l.posts, f)
	return true
}

// Open is how many connection ends, of either side, are not closed yet. Those that close gently count.
func (l *Loop) Open() int { return len(l.conns) }

// Run works until nothing moves any more but timers. Time passes only as far as travelling bytes need; timers that
// are due by then fire.
func (l *Loop) Run() {
	l.drive(func() bool { return l.busy() || len(l.packets) > 0 && l.pass(l.next()) })
}

// Advance works until d from now, and lets time pass until then. What is due at that very moment is done.
func (l *Loop) Advance(d time.Duration) {
	end := l.now.Add(d)
	l.drive(func() bool {
		if l.busy() {
			return true
		}
		at, ok := l.nextOrTimer()
		return ok && at <= end && l.pass(at)
	})
	l.now = max(l.now, end)
}

// Shutdown ends the loop: every sink hears reactor.ErrStopped, Post returns false, nothing runs any more.
func (l *Loop) Shutdown() {
	l.drive(l.busy)
	l.stage = stageStopped
	for len(l.conns) > 0 {
		l.conns[0].fail(reactor.ErrStopped)
	}
	l.settle()
}

// drive does turns for as long as there is something to do.
func (l *Loop) drive(more func() bool) {
	switch l.stage {
	case stageRunning:
		panic("sim: the loop was run by what runs on it")
	case stageStopped:
		return
	}
	l.stage = stageRunning
	defer func() { l.stage = stageResting }()
	l.settle()
	for turns := 0; more(); turns++ {
		if turns == maxTurns {
			panic(fmt.Sprintf("sim: still busy after %d turns, seed %d", turns, l.seed))
		}
		l.turn()
	}
}

// busy reports whether there is work without any time passing.
func (l *Loop) busy() bool {
	return len(l.posts)+len(l.visits)+len(l.flushes)+len(l.deferred) > 0
}

// next is when the first packet arrives; there is one.
func (l *Loop) next() reactor.Instant {
	at, _ := l.nextOrTimer()
	return min(at, l.packets[0].at)
}

// nextOrTimer is when the first packet arrives or the wheel has something to do.
func (l *Loop) nextOrTimer() (at reactor.Instant, ok bool) {
	at, ok = l.wheel.Next()
	if len(l.packets) > 0 && (!ok || l.packets[0].at < at) {
		return l.packets[0].at, true
	}
	return at, ok
}

// pass lets time pass until at.
func (l *Loop) pass(at reactor.Instant) bool {
	l.now = max(l.now, at)
	return true
}

// turn does one turn as the reactor does: events, posted functions, connections to visit, timers, gathered output.
// Of several packets that are due only some are handled; the others are seen in the next turn.
func (l *Loop) turn() {
	for handled := false; len(l.packets) > 0 && l.packets[0].at <= l.now; handled = true {
		if handled && l.rnd.IntN(3) == 0 {
			break
		}
		p := heap.Pop(&l.packets).(packet)
		p.arrive()
		l.settle()
	}
	posts := l.posts
	l.posts = nil
	for _, f := range posts {
		f()
		l.settle()
	}
	visits := l.visits
	l.visits = nil
	for _, c := range visits {
		c.visit()
		l.settle()
	}
	for t := l.wheel.Expire(l.now); t != nil; t = l.wheel.Expire(l.now) {
		t.Fire()
		l.settle()
	}
	for len(l.flushes) > 0 {
		c := l.flushes[0]
		l.flushes = l.flushes[1:]
		c.flush()
		l.settle()
	}
}

// settle runs what was deferred, and what that defers.
func (l *Loop) settle() {
	for len(l.deferred) > 0 {
		f := l.deferred[0]
		l.deferred = l.deferred[1:]
		f()
	}
}
