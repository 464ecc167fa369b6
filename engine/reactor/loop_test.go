package reactor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPostKeepsOrderAndEndsWithTheLoop(t *testing.T) {
	l := newLoop(t, Config{})
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	const posters, each = 8, 2000
	got := make([][]int, posters)
	accepted := make([]int, posters)
	var started, wg sync.WaitGroup
	started.Add(posters)
	for p := range posters {
		wg.Go(func() {
			for i := range each * 50 {
				if !l.Post(func() { got[p] = append(got[p], i) }) {
					break
				}
				accepted[p]++
				if i == each {
					started.Done()
				}
			}
		})
	}
	started.Wait()
	l.Shutdown() // in the middle of it
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for p := range posters {
		if len(got[p]) != accepted[p] || !slices.IsSorted(got[p]) {
			t.Errorf("poster %d: %d accepted, %d ran, in order: %v", p, accepted[p], len(got[p]), slices.IsSorted(got[p]))
		}
	}
	if l.Post(func() { t.Error("ran after the end") }) {
		t.Error("Post accepted after the end")
	}
}

func TestPostWakesASleepingLoop(t *testing.T) {
	l := startLoop(t, Config{})
	for range 2000 {
		on(t, l, func() {}) // the loop sleeps in between, mostly
	}
}

func TestDeferRunsAfterTheEventBeforeTheNext(t *testing.T) {
	l := startLoop(t, Config{})
	var order []string
	on(t, l, func() {
		l.Post(func() { order = append(order, "next") })
		l.Defer(func() {
			order = append(order, "deferred")
			l.Defer(func() { order = append(order, "deferred by it") })
		})
		order = append(order, "event")
	})
	on(t, l, func() {})
	if got := strings.Join(order, ", "); got != "event, deferred, deferred by it, next" {
		t.Error(got)
	}
}

func TestTimersFireInTime(t *testing.T) {
	l := startLoop(t, Config{})
	type firing struct{ due, at Instant }
	fired := make(chan firing, 100)
	var timers [20]Timer
	on(t, l, func() {
		for i := range timers {
			timer := &timers[i]
			timer.Fire = func() { fired <- firing{timer.Deadline(), l.Clock()} }
			l.Arm(timer, time.Second)
			l.Arm(timer, time.Duration(i)*5*time.Millisecond) // moved sooner
		}
		l.Stop(&timers[3])
		l.Arm(&timers[4], 150*time.Millisecond) // moved later
	})
	for range len(timers) - 1 {
		if f := await(t, fired); f.at < f.due {
			t.Errorf("fired %v early", f.due.Sub(f.at))
		}
	}
	on(t, l, func() {
		for i := range timers {
			if timers[i].Armed() {
				t.Errorf("timer %d is armed", i)
			}
		}
	})
	if len(fired) > 0 {
		t.Error("a timer fired twice, or though it was stopped")
	}
}

func TestTimerArmedBeforeRun(t *testing.T) {
	l := newLoop(t, Config{})
	fired := make(chan struct{})
	l.Arm(&Timer{Fire: func() { close(fired) }}, Tick)
	runLoop(t, l)
	await(t, fired)
}

func TestPanicsAreContained(t *testing.T) {
	stacks := make(chan string, 100)
	l := startLoop(t, Config{OnPanic: func(v any, stack []byte) { stacks <- string(stack) }})
	bystander := pair(t, l, (*sink).echo)
	check := func(what string) {
		t.Helper()
		if !strings.Contains(await(t, stacks), "loop_test.go") {
			t.Errorf("%s: the stack does not name the culprit", what)
		}
		bystander.Write([]byte("alive"))
		if _, err := io.ReadFull(bystander, make([]byte, 5)); err != nil {
			t.Fatalf("%s: the bystander: %v", what, err)
		}
	}

	closed := make(chan error, 1)
	out := pair(t, l, func(s *sink) {
		s.data = func() { panic("in OnData") }
		s.closed = func(err error) { closed <- err; panic("in OnClosed") }
	})
	out.Write([]byte("x"))
	check("OnData")
	check("OnClosed")
	if err := await(t, closed); !errors.Is(err, ErrPanic) || !strings.Contains(err.Error(), "in OnData") {
		t.Errorf("OnClosed heard %v", err)
	}
	if _, err := out.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the peer saw %v, want a reset", err)
	}

	l.Post(func() { panic("posted") })
	check("Post")
	l.Post(func() { l.Defer(func() { panic("deferred") }) })
	check("Defer")
	l.Post(func() { l.Arm(&Timer{Fire: func() { panic("timer") }}, 0) })
	check("Timer")
	once := false
	l.Post(func() {
		l.OnTurnEnd(func() {
			if !once {
				once = true
				panic("hook")
			}
		})
	})
	check("OnTurnEnd")
	listener, _ := serve(t, "127.0.0.1:0", func(*EventLoop, Conn) Sink { panic("accept") }, l)
	go net.Dial("tcp", listener.Addr().String()) // may see the reset already
	check("accept")
	if n := l.Stats().Panics.Load(); n != 7 {
		t.Errorf("%d panics counted", n)
	}
}

// TestPanicResumesBehindItsCause: everything else of the same batch still happens, in order.
func TestPanicResumesBehindItsCause(t *testing.T) {
	l := startLoop(t, Config{})
	var order []string
	on(t, l, func() {
		for _, name := range []string{"a", "b", "c"} {
			l.Post(func() {
				l.Defer(func() { order = append(order, name+" deferred") })
				order = append(order, name)
				if name == "b" {
					panic(name)
				}
			})
		}
	})
	on(t, l, func() {})
	if got := strings.Join(order, ", "); got != "a, a deferred, b, b deferred, c, c deferred" {
		t.Error(got)
	}
}

func TestShutdownClosesEverything(t *testing.T) {
	before := openDescriptors(t)
	goroutines := runtime.NumGoroutine()
	turnEnds := 0
	l := newLoop(t, Config{Descriptors: NewDescriptors(1000, 0)})
	l.OnTurnEnd(func() { turnEnds++ })
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	listener, err := Listen("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 10)
	hear := func(s *sink) {
		s.closed = func(err error) {
			heard <- err
			l.Dial(listener.Addr(), &sink{closed: func(err error) { heard <- err }}) // too late
		}
	}
	on(t, l, func() { l.AddListener(listener.Sockets(0)[0], func(Conn) Sink { return new(sink) }) })
	out, fd := tcpPair(t)
	attach(t, l, fd, hear)
	on(t, l, func() {
		s := new(sink)
		hear(s)
		l.Dial(Addr{TCP: listener.Addr().TCP}, s)
		l.Shutdown()
		l.Shutdown()
	})
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	if len(heard) != 4 {
		t.Errorf("%d sinks heard of the end", len(heard))
	}
	for len(heard) > 0 {
		if err := <-heard; !errors.Is(err, ErrStopped) {
			t.Errorf("a sink heard %v", err)
		}
	}
	if turnEnds == 0 {
		t.Error("hooks did not run")
	}
	if l.config.Descriptors.InUse() != 0 || l.Stats().Open.Load() != 0 {
		t.Errorf("%d descriptors, %d sockets left", l.config.Descriptors.InUse(), l.Stats().Open.Load())
	}
	out.Close()
	listener.Close()
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if n := runtime.NumGoroutine(); n > goroutines+1 { // the one that ran the loop may still be ending
		t.Errorf("%d goroutines before, %d after", goroutines, n)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestStallsAreCounted(t *testing.T) {
	turns := make(chan time.Duration, 1000)
	l := startLoop(t, Config{OnTurn: func(d time.Duration) {
		if d > StallTime {
			turns <- d
		}
	}})
	on(t, l, func() {
		for began := l.Clock(); l.Clock().Sub(began) <= StallTime; {
		}
	})
	await(t, turns)
	if l.Stats().Stalls.Load() == 0 || l.Stats().Turns.Load() == 0 {
		t.Error("nothing was counted")
	}
}

func TestGo(t *testing.T) {
	l := startLoop(t, Config{})
	type outcome struct {
		n   int
		err error
	}
	done := make(chan outcome, 3)
	finish := func(n int, err error) { done <- outcome{n, err} }
	failure := errors.New("failure")
	start := func(work func(context.Context) (int, error)) (j *Job) {
		on(t, l, func() { j = Go(l, work, finish) })
		return j
	}
	start(func(context.Context) (int, error) { return 7, nil })
	if got := await(t, done); got != (outcome{7, nil}) {
		t.Error(got)
	}
	start(func(context.Context) (int, error) { return 0, failure })
	if got := await(t, done); got.err != failure {
		t.Error(got)
	}
	start(func(context.Context) (int, error) { panic("work") })
	if got := await(t, done); !errors.Is(got.err, ErrPanic) {
		t.Error(got)
	}
	cancelled := make(chan struct{})
	j := start(func(ctx context.Context) (int, error) {
		<-ctx.Done()
		close(cancelled)
		return 1, nil
	})
	on(t, l, j.Cancel)
	await(t, cancelled)
	// A job whose result is posted before it is cancelled drops it as well.
	worked := make(chan struct{})
	on(t, l, func() {
		j := Go(l, func(context.Context) (int, error) { defer close(worked); return 2, nil }, finish)
		<-worked
		j.Cancel()
	})
	on(t, l, func() {})
	if len(done) > 0 {
		t.Error("done was called after Cancel")
	}
}

// TestAnswersGoBeforeRequests: of two connections that are ready, the one the loop opened is told first, whenever it was
// written to, also when it is watched anew, and whoever has its place later is not.
func TestAnswersGoBeforeRequests(t *testing.T) {
	l := stepper(t)
	path := socketPath(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	order := ""
	hear := func(name string) *sink {
		s := new(sink)
		s.data = func() {
			order += name
			s.conn.Consume(len(s.conn.In()))
		}
		return s
	}
	dialled := hear("answer ")
	dialled.conn = l.Dial(Addr{Path: path}, dialled)
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	us, client := unixPair(t)
	defer unix.Close(client)
	attached := hear("request ")
	attached.conn = l.Attach(us, attached)
	l.turn() // what Dial and Attach report
	for range 2 {
		order = ""
		unix.Write(client, []byte("x"))
		server.Write([]byte("x"))
		l.turn()
		if order != "answer request " {
			t.Errorf("order %q", order)
		}
		s := dialled.conn.(*socket)
		l.poller.change(s.fd, s.place, watchInput)
	}
	place := dialled.conn.(*socket).place
	dialled.conn.Abort()
	us, heirs := unixPair(t)
	defer unix.Close(heirs)
	heir := hear("heir ")
	heir.conn = l.Attach(us, heir)
	if now := heir.conn.(*socket).place; now != place&^placeOpened {
		t.Fatalf("place %d, freed was %d", now, place)
	}
	l.turn()
	order = ""
	unix.Write(client, []byte("x"))
	unix.Write(heirs, []byte("x"))
	l.turn()
	if order != "request heir " {
		t.Errorf("order %q", order)
	}
}
