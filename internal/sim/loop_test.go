package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// Timers fire in order, never early and at most a tick late; code that runs then sees that time.
func TestTimers(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		var fired []time.Duration
		began := l.Now()
		const n = 50
		timers := make([]reactor.Timer, n)
		for i := range timers {
			d := time.Duration(l.rnd.Int64N(int64(time.Minute)))
			timers[i].Fire = func() {
				late := l.Now().Sub(began) - d
				if late < 0 || late > reactor.Tick {
					t.Fatalf("a timer of %v fired %v late", d, late)
				}
				if timers[i].Armed() {
					t.Fatal("a timer that fires is armed")
				}
				fired = append(fired, l.Now().Sub(began))
			}
			l.Arm(&timers[i], d)
			if !timers[i].Armed() || timers[i].Deadline() != began.Add(d) {
				t.Fatalf("armed %v, deadline %v", timers[i].Armed(), timers[i].Deadline())
			}
		}
		l.Stop(&timers[0])
		l.Run()
		if len(fired) != 0 || l.Now() != began {
			t.Fatalf("Run let %v pass and fired %d timers", l.Now().Sub(began), len(fired))
		}
		for l.Now() < began.Add(time.Minute+reactor.Tick) {
			l.Advance(time.Duration(l.rnd.Int64N(int64(10 * time.Second))))
		}
		if len(fired) != n-1 || !slices.IsSorted(fired) {
			t.Fatalf("%d of %d timers fired, at %v", len(fired), n-1, fired)
		}
	})
}

// A timer may arm itself again, and one that is moved fires once, at its new time.
func TestTimerMoves(t *testing.T) {
	l := NewLoop(1)
	began := l.Now()
	var ticks, moved []time.Duration
	var again, other reactor.Timer
	again.Fire = func() {
		ticks = append(ticks, l.Now().Sub(began))
		l.Arm(&again, time.Second)
	}
	other.Fire = func() { moved = append(moved, l.Now().Sub(began)) }
	l.Arm(&again, time.Second)
	l.Arm(&other, time.Second)
	l.Arm(&other, 2500*time.Millisecond)
	l.Advance(5 * time.Second)
	if len(ticks) != 5 || len(moved) != 1 || moved[0] < 2500*time.Millisecond {
		t.Errorf("fired at %v and %v", ticks, moved)
	}
	if l.Now().Sub(began) != 5*time.Second {
		t.Errorf("%v passed", l.Now().Sub(began))
	}
}

// Bytes that travel take their time; timers due meanwhile fire in between.
func TestTimersAmongBytes(t *testing.T) {
	l := NewLoop(3)
	l.Net = Net{Window: 1000, Piece: 10, Delay: 50 * time.Millisecond}
	a, b := pair(t, l)
	fired := 0
	var timer reactor.Timer
	timer.Fire = func() {
		fired++
		if n := len(b.got); n == 0 || n == 5000 {
			t.Errorf("fired when %d bytes had arrived", n)
		}
	}
	l.Arm(&timer, 60*time.Millisecond)
	a.conn.Write(make([]byte, 5000))
	l.Run()
	if fired != 1 || len(b.got) != 5000 {
		t.Errorf("fired %d times, %d bytes arrived", fired, len(b.got))
	}
}

// Deferred functions run after the event being handled and before the next; posted ones in the order of the calls.
func TestDeferAndPost(t *testing.T) {
	l := NewLoop(1)
	var order []string
	note := func(s string) func() { return func() { order = append(order, s) } }
	l.Post(func() {
		note("post 1")()
		l.Defer(func() {
			note("deferred 1")()
			l.Defer(note("deferred in deferred"))
		})
		l.Defer(note("deferred 2"))
		l.Post(note("post 3"))
	})
	l.Post(note("post 2"))
	l.Defer(note("first"))
	if order != nil {
		t.Fatalf("ran at once: %v", order)
	}
	l.Run()
	want := "first, post 1, deferred 1, deferred 2, deferred in deferred, post 2, post 3"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
}

// Whatever a sink does inside a call, no call comes before it has returned. The peers check that.
func TestNoCallInsideACall(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		a, b := pair(t, l)
		act := func(p *peer) func() {
			return func() {
				p.takeAll()
				switch l.rnd.IntN(6) {
				case 0:
					p.conn.Write(make([]byte, l.rnd.IntN(200_000)))
				case 1:
					p.conn.Wake()
				case 2:
					p.conn.Hold(true)
					l.Defer(func() { p.conn.Hold(false) })
				case 3:
					p.conn.Write([]byte("x"))
				case 4:
					l.Defer(func() { p.conn.Write([]byte("deferred")) })
				case 5:
					if l.rnd.IntN(20) == 0 {
						p.conn.CloseWrite()
					}
				}
			}
		}
		a.onData, b.onData = act(a), act(b)
		a.conn.Write([]byte("go"))
		for range 200 {
			l.turn()
			if len(l.packets) > 0 {
				l.now = max(l.now, l.packets[0].at)
			}
		}
		if len(a.heard)+len(b.heard) == 0 {
			t.Fatal("nothing was heard")
		}
	})
}

func TestRunInsideACall(t *testing.T) {
	l := NewLoop(1)
	a, _ := pair(t, l)
	var panicked any
	a.onData = func() {
		defer func() { panicked = recover() }()
		l.Run()
	}
	a.conn.Wake()
	l.Run()
	if panicked == nil {
		t.Error("a sink ran the loop")
	}
}

func TestShutdown(t *testing.T) {
	l := NewLoop(1)
	a, b := pair(t, l)
	posted := false
	l.Post(func() { posted = true })
	l.Shutdown()
	for _, p := range []*peer{a, b} {
		if !errors.Is(p.err, reactor.ErrStopped) {
			t.Errorf("%s heard %v", p.name, p.err)
		}
	}
	if !posted {
		t.Error("what was posted before did not run")
	}
	if l.Post(func() { t.Error("ran after Shutdown") }) {
		t.Error("Post after Shutdown returned true")
	}
	l.Run()
	l.Advance(time.Second)
	if l.Open() != 0 {
		t.Errorf("%d ends open", l.Open())
	}
}

// A dialogue that never ends fails, with the seed.
func TestEndlessRunFails(t *testing.T) {
	l := NewLoop(5)
	var again func()
	again = func() { l.Post(again) }
	again()
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "seed 5") {
			t.Errorf("panicked with %s", got)
		}
	}()
	l.Run()
}
