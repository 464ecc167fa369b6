package reactor

import "math/bits"

const (
	wheelBits   = 6 // a level has 64 slots, so that one word tells which are occupied
	wheelSlots  = 1 << wheelBits
	wheelLevels = 6 // 64^6 ticks: 17 years
	expiredSlot = wheelLevels * wheelSlots
	wheelRange  = int64(1)<<(wheelBits*wheelLevels) - 1
)

// Wheel is a hierarchical timing wheel. Time is an argument: it never reads a clock. The loop owns one; a simulated
// loop may own another. The zero value is ready.
//
// A timer lies in the level of the highest 6-bit digit in which its tick differs from the wheel's present one. So all
// occupied slots of a level are ahead of the present, and every slot of a lower level comes before any of a higher
// one: the next slot is found with one bit scan a level. When the present reaches a slot of a higher level, its timers
// move down.
//
// Moving an armed timer later only stores the new deadline; it is put where it belongs when its slot comes up. A timer
// that is moved on at every request thus costs a few instructions.
type Wheel struct {
	present  int64 // tick up to which everything was expired
	occupied [wheelLevels]uint64
	slots    [wheelLevels*wheelSlots + 1]*Timer // lists; the last is of timers that are due
}

// Arm makes t expire at deadline, never before it and at most a tick after it. An armed timer is moved.
func (w *Wheel) Arm(t *Timer, deadline Instant) {
	t.deadline = deadline
	if t.slot != 0 {
		if s := int(t.slot) - 1; s != expiredSlot && int64(deadline) > (w.due(s)-1)*int64(Tick) {
			return // its slot comes up in time
		}
		w.unlink(t)
	}
	w.link(t, w.slotOf(w.tickOf(deadline)))
}

// Stop disarms t.
func (w *Wheel) Stop(t *Timer) {
	if t.slot != 0 {
		w.unlink(t)
	}
}

// Expire removes and returns one timer whose deadline is not after now, nil when there is none left.
// now must not go back.
func (w *Wheel) Expire(now Instant) *Timer {
	target := int64(now) / int64(Tick)
	for {
		if t := w.slots[expiredSlot]; t != nil {
			w.unlink(t)
			return t
		}
		slot, due := w.next()
		if slot < 0 || due > target {
			w.present = max(w.present, target)
			return nil
		}
		w.present = due
		w.moveDown(slot)
	}
}

// Next is when Expire has something to do next. It may come before the next deadline, never after it.
func (w *Wheel) Next() (at Instant, ok bool) {
	if w.slots[expiredSlot] != nil {
		return Instant(w.present) * Instant(Tick), true
	}
	slot, due := w.next()
	return Instant(due) * Instant(Tick), slot >= 0
}

// tickOf is the first tick at which a deadline has passed, at least the one after the present.
func (w *Wheel) tickOf(deadline Instant) int64 {
	tick := (int64(deadline) + int64(Tick) - 1) / int64(Tick)
	return min(max(tick, w.present+1), w.present|wheelRange)
}

// slotOf is where a timer of this tick, which is after the present, lies.
func (w *Wheel) slotOf(tick int64) int {
	level := (63 - bits.LeadingZeros64(uint64(tick^w.present))) / wheelBits
	return level*wheelSlots + int(tick>>(level*wheelBits))&(wheelSlots-1)
}

// due is the tick at which the present reaches a slot: the present's digits above the slot's level, then the slot's.
func (w *Wheel) due(slot int) int64 {
	shift := uint(slot) / wheelSlots * wheelBits
	return w.present>>(shift+wheelBits)<<(shift+wheelBits) | int64(slot&(wheelSlots-1))<<shift
}

// next is the occupied slot that the present reaches first, -1 when there is none.
func (w *Wheel) next() (slot int, due int64) {
	for level, word := range w.occupied {
		if word != 0 {
			slot = level*wheelSlots + bits.TrailingZeros64(word)
			return slot, w.due(slot)
		}
	}
	return -1, 0
}

// moveDown puts the timers of a slot that the present has reached where they belong now.
func (w *Wheel) moveDown(slot int) {
	for t := w.slots[slot]; t != nil; t = w.slots[slot] {
		w.unlink(t)
		if int64(t.deadline) <= w.present*int64(Tick) {
			w.link(t, expiredSlot)
		} else {
			w.link(t, w.slotOf(w.tickOf(t.deadline)))
		}
	}
}

func (w *Wheel) link(t *Timer, slot int) {
	t.slot = int32(slot) + 1
	t.prev, t.next = nil, w.slots[slot]
	if t.next != nil {
		t.next.prev = t
	}
	w.slots[slot] = t
	if slot != expiredSlot {
		w.occupied[uint(slot)/wheelSlots] |= 1 << (uint(slot) % wheelSlots)
	}
}

func (w *Wheel) unlink(t *Timer) {
	slot := int(t.slot) - 1
	if t.next != nil {
		t.next.prev = t.prev
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else if w.slots[slot] = t.next; t.next == nil && slot != expiredSlot {
		w.occupied[uint(slot)/wheelSlots] &^= 1 << (uint(slot) % wheelSlots)
	}
	t.next, t.prev, t.slot = nil, nil, 0
}
