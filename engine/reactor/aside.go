package reactor

import (
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// asideKinds is for how many kinds of work, with a Share of the cores each, there are threads: content, passwords
	// and tokens.
	asideKinds = 3
	// asideNice makes the kernel give a loop 96 hundredths of a core that a thread of Aside wants too, and the core at
	// once when the loop wakes. It leaves the rest, so that work ends beside loops that never rest.
	asideNice = 15
)

// cores is Cores: more threads may run Go code.
var cores = runtime.GOMAXPROCS(0)

// Cores is how many cores the process may use, as the runtime found when it started. Any goroutine.
func Cores() int { return cores }

// Share is how many cores one kind of work beside the loops may take at once: half of them. Any goroutine.
func Share() int { return max(1, cores/2) }

// room is made when there is work for the first time: a program without pays nothing for it, which would be a thread that
// looks for work whenever a loop rests.
var room sync.Once

// makeRoom lets loops, all threads of Aside and the handshakes of clients run Go code at the same time: which of them has
// a core is up to the kernel, which knows what a loop is worth. Otherwise the runtime makes a loop that wakes wait for
// work that has begun, for 10 ms and more.
func makeRoom() { runtime.GOMAXPROCS(cores + asideKinds*Share() + computingHandshakes()) }

// asideJob is work that somebody waits for.
type asideJob struct {
	work func()
	done chan any // what work panicked with, or nil
}

var (
	asideJobs    = make(chan *asideJob) // has no room: a thread that is idle takes one
	asideThreads atomic.Int32           // started, asideKinds shares at most
)

// Aside calls work on a thread that yields to the loops, when one is free, and returns when work has. It is for what
// takes a core for longer than some 100 us; who calls it bounds how much of that there is at once. A panic in work is
// one of the caller. Any goroutine but a loop's.
func Aside(work func()) {
	room.Do(makeRoom)
	j := &asideJob{work, make(chan any, 1)}
	select {
	case asideJobs <- j:
	default:
		if n := asideThreads.Load(); int(n) < asideKinds*Share() && asideThreads.CompareAndSwap(n, n+1) {
			go stepAside()
		}
		asideJobs <- j
	}
	if v := <-j.done; v != nil {
		panic(v)
	}
}

// stepAside is one thread. Without privileges it cannot become more than it was, so it does nothing else in its life.
func stepAside() {
	runtime.LockOSThread()
	// A kernel that refuses leaves it as important as a loop: that is slower, and no reason not to work.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, asideNice)
	for j := range asideJobs {
		j.run()
	}
}

func (j *asideJob) run() {
	defer func() { j.done <- recover() }()
	j.work()
}
