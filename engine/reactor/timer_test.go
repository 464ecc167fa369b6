package reactor

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// expireAll collects what the wheel gives up at now.
func expireAll(w *Wheel, now Instant) (fired []*Timer) {
	for t := w.Expire(now); t != nil; t = w.Expire(now) {
		fired = append(fired, t)
	}
	return fired
}

func TestWheelFiresOnceInItsTick(t *testing.T) {
	for _, d := range []time.Duration{
		0, 1, Tick - 1, Tick, Tick + 1, 63 * Tick, 64 * Tick, 65 * Tick, 4095 * Tick, 4096 * Tick, time.Minute, time.Hour,
		30 * time.Hour, 1000 * time.Hour,
	} {
		for _, start := range []Instant{0, 1, Instant(Tick), Instant(511 * time.Millisecond), Instant(3 * time.Hour)} {
			var w Wheel
			expireAll(&w, start)
			var timer Timer
			w.Arm(&timer, start.Add(d))
			var at Instant
			for now := start; at == 0; {
				next, ok := w.Next()
				if !ok || next > start.Add(d+Tick) {
					t.Fatalf("%v from %d: Next is %d, %v", d, start, next, ok)
				}
				now = max(next, now)
				if len(expireAll(&w, now)) == 1 {
					at = now
				}
			}
			if late := at.Sub(start.Add(d)); late < 0 || late > Tick || timer.Armed() {
				t.Errorf("%v from %d: late by %v, armed %v", d, start, late, timer.Armed())
			}
			if _, ok := w.Next(); ok {
				t.Errorf("%v from %d: something is left", d, start)
			}
		}
	}
}

// TestWheelAgainstList does what a plain list of deadlines says: random arming, moving, stopping and passing of time.
func TestWheelAgainstList(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		span := []time.Duration{100 * time.Millisecond, 5 * time.Second, time.Hour, 50 * time.Hour}[seed%4]
		var w Wheel
		timers := make([]Timer, 200)
		due := map[*Timer]Instant{} // the list
		armed := map[*Timer]Instant{}
		now := Instant(rnd.Int64N(int64(span)))
		expireAll(&w, now)
		for step := range 3000 {
			timer := &timers[rnd.IntN(len(timers))]
			switch rnd.IntN(4) {
			case 0, 1:
				d := time.Duration(rnd.Int64N(int64(span)))
				w.Arm(timer, now.Add(d))
				due[timer], armed[timer] = now.Add(d), now
			case 2:
				w.Stop(timer)
				delete(due, timer)
			case 3:
				if rnd.IntN(2) == 0 {
					if at, ok := w.Next(); ok {
						now = max(now, at)
					}
				} else {
					now = now.Add(time.Duration(rnd.Int64N(int64(span) / 50)))
				}
				for _, fired := range expireAll(&w, now) {
					at, ok := due[fired]
					if !ok || at > now {
						t.Fatalf("seed %d step %d: fired early or unasked: due %d, now %d", seed, step, at, now)
					}
					delete(due, fired)
				}
				for _, at := range due {
					if at.Add(Tick) <= now {
						t.Fatalf("seed %d step %d: not fired: due %d, now %d", seed, step, at, now)
					}
				}
			}
			if timer.Armed() != (due[timer] != 0) {
				t.Fatalf("seed %d step %d: armed is %v", seed, step, timer.Armed())
			}
			next, ok := w.Next()
			for _, at := range due {
				if !ok || next > at.Add(Tick) {
					t.Fatalf("seed %d step %d: Next %d, %v misses %d", seed, step, next, ok, at)
				}
			}
		}
	}
}

func TestWheelMovedLaterStaysInPlace(t *testing.T) {
	var w Wheel
	var timer Timer
	w.Arm(&timer, Instant(time.Second))
	slot := timer.slot
	w.Arm(&timer, Instant(time.Minute))
	if timer.slot != slot {
		t.Error("moving a timer later moved it at once")
	}
	if fired := expireAll(&w, Instant(time.Second+Tick)); len(fired) != 0 {
		t.Error("it fired at its old deadline")
	}
	if fired := expireAll(&w, Instant(time.Minute+Tick)); !slices.Equal(fired, []*Timer{&timer}) {
		t.Error("it did not fire at its new deadline")
	}
}

func TestWheelRearmInFire(t *testing.T) {
	var w Wheel
	var timer Timer
	now := Instant(Tick) * 10
	expireAll(&w, now)
	w.Arm(&timer, now)
	fires := 0
	for range 5 {
		now = now.Add(Tick)
		for f := w.Expire(now); f != nil; f = w.Expire(now) {
			fires++
			w.Arm(f, now)
		}
	}
	if fires < 4 || fires > 10 {
		t.Errorf("%d fires in 5 ticks", fires)
	}
}

func TestWheelAllocatesNothing(t *testing.T) {
	var w Wheel
	timers := make([]Timer, 64)
	now := Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		for i := range timers {
			w.Arm(&timers[i], now.Add(time.Duration(i)*37*time.Millisecond))
		}
		now = now.Add(50 * time.Millisecond)
		for w.Expire(now) != nil {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWheelMoveOn(b *testing.B) {
	var w Wheel
	var timer Timer
	for i := range b.N {
		w.Arm(&timer, Instant(i)+Instant(time.Minute))
	}
}

func BenchmarkWheelStopArm(b *testing.B) {
	var w Wheel
	var timer Timer
	for i := range b.N {
		w.Stop(&timer)
		w.Arm(&timer, Instant(i)+Instant(time.Minute))
	}
}
