package h2

import (
	"slices"
	"time"

	"traffic_management/codec"
)

// enqueue makes a stream wait with p, which is copied.
func (s *Session) enqueue(t *Stream, p []byte) {
	if t.place == placeNone {
		t.place = placeWaiting
		s.waiting = append(s.waiting, t)
		t.moved, t.moving = s.now, 0
	}
	t.out.push(p)
	s.queued += int64(len(p))
}

// unqueue drops what a stream has queued.
func (s *Session) unqueue(t *Stream) {
	s.queued -= int64(t.out.size)
	t.out.clear()
	t.block, t.ending = nil, endingNone
	s.waits(t)
	if len(s.owed) > 0 {
		s.later() // others may have been told of too much
	}
}

// waits takes a stream off the list of those that wait.
func (s *Session) waits(t *Stream) {
	if t.place == placeWaiting {
		t.place = placeNone
		i := slices.Index(s.waiting, t)
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
}

// Flush says that the wire has room again.
func (s *Session) Flush() {
	s.state = wireOpen
	s.unread = 0
	s.pump()
	s.notify()
}

// pump writes what waits, as far as windows and wire let it through.
func (s *Session) pump() {
	if len(s.waiting) == 0 || s.state == wireFull || s.phase == phaseFailed {
		return
	}
	o := outputs.Get().(*output)
	for s.next() != nil {
		if s.wire.Queued() > codec.HighMark {
			s.state = wireFull
			break
		}
		s.write(o)
	}
	outputs.Put(o)
}

// next is the stream that sends next (RFC 9218 section 10): the most urgent; of equal ones, those that are not
// incremental first, in the order of their ids, and then the others in turn. nil: none can send.
func (s *Session) next() (best *Stream) {
	for _, t := range s.waiting {
		if t.out.size > 0 && (t.window <= 0 || s.window <= 0) {
			continue
		}
		if best == nil || t.before(best) {
			best = t
		}
	}
	return best
}

func (t *Stream) before(u *Stream) bool {
	switch {
	case t.priority != u.priority:
		return t.priority < u.priority
	case t.priority.incremental():
		return int32(t.turn-u.turn) < 0
	}
	return t.id < u.id
}

// write writes one gathering of frames: DATA of the streams whose turn it is, up to a trailer section.
func (s *Session) write(o *output) {
	v, size := o.vector[:0], 0
	for k := 0; k < writeFrames && size < writeBytes; k++ {
		t := s.next()
		if t == nil {
			break
		}
		if t.out.size == 0 && t.ending == endingTrailers {
			if k > 0 {
				break // what was gathered goes first
			}
			s.writeTrailers(t, o)
			return
		}
		n := int(min(int64(t.out.size), maxFrameSize, int64(max(0, min(s.window, t.window)))))
		header := o.headers[k*headerSize : (k+1)*headerSize]
		if cap(v)-len(v) < 1+n/chunkSize+2 {
			break
		}
		v = append(v, header)
		v = t.out.cut(v, n, &o.spent)
		s.queued -= int64(n)
		s.window -= outflow(n)
		t.window -= outflow(n)
		size += n
		s.turns++
		t.turn = s.turns
		if t.moving += n; t.moving >= stallBytes {
			t.moved, t.moving = s.now, 0
		}
		s.sent(n)
		s.repay(budgetUpdates, 2)
		flags := uint8(0)
		if t.out.size == 0 && t.ending == endingStream {
			flags = flagEndStream
		}
		putFrame(header, n, frameData, flags, t.id)
		if t.out.size == 0 && t.ending != endingTrailers {
			s.waits(t)
			if flags != 0 {
				t.ending = endingNone
				o.ended = append(o.ended, t)
			}
		}
	}
	s.wire.Writev(v)
	clear(v)
	for c := o.spent; c != nil; {
		next := c.next
		chunks.Put(c)
		c = next
	}
	o.spent = nil
	for i, t := range o.ended {
		o.ended[i] = nil
		s.sentEnd(t)
	}
	o.ended = o.ended[:0]
	s.repay(budgetPings, 1)
}

// writeTrailers writes the trailer section that a stream has queued.
func (s *Session) writeTrailers(t *Stream, o *output) {
	o.bytes = append(o.bytes[:0], t.block...)
	s.waits(t)
	t.block, t.ending = nil, endingNone
	s.writeBlock(o, t.id, true)
	s.sentEnd(t)
}

// notify tells those that were told of too much that the queues have room again.
func (s *Session) notify() {
	if len(s.owed) == 0 {
		return
	}
	s.owed, s.notified = s.notified[:0], s.owed
	for i, t := range s.notified {
		if t == nil {
			continue
		}
		if t.out.size > codec.LowMark || t.out.size > 0 && s.queued > s.maxQueued/2 {
			s.owed = append(s.owed, t)
			continue
		}
		s.notified[i] = nil
		t.level = levelLow
		if t.receiver != nil {
			t.receiver.Drained()
		}
	}
	clear(s.notified)
}

// stallBytes must leave a stream's queue for it to count as moving: a window that is opened by the byte is closed.
const stallBytes = 1024

// sent notes that content has left.
func (s *Session) sent(n int) {
	if s.moving += n; s.moving >= stallBytes {
		s.moved, s.moving = s.now, 0
	}
}

// movedLast is since when the queue of a stream stands still. One with a window of its own is not to blame while that of
// the connection goes to others.
func (s *Session) movedLast(t *Stream) time.Duration {
	if t.window > 0 {
		return max(t.moved, s.moved)
	}
	return t.moved
}

// Tick is due about once a second while Streams is not 0: it resets streams whose queue the peer's windows hold up. Of a
// client's session it is due only while there are streams that were released.
func (s *Session) Tick(now time.Duration) {
	s.now = now
	switch {
	case s.state == wireFull || s.phase == phaseFailed:
		return
	case s.role == client:
		s.endReleased()
	case s.config.WriteStall > 0 && !s.endStalled():
		return
	}
	s.pump()
	s.notify()
}

// endStalled resets the streams whose queue stands still. It reports false when the session has failed meanwhile.
func (s *Session) endStalled() bool {
	now := s.now
	for i := 0; i < len(s.waiting); {
		t := s.waiting[i]
		if now-s.movedLast(t) < s.config.WriteStall {
			i++
			continue
		}
		s.reset(t, Cancel)
		s.fault(t, streamStalled)
		if s.phase == phaseFailed {
			return false
		}
		i = 0
	}
	return true
}

// unseen is Stream.moved of a client's stream that changed since the last Tick, before which it may be long.
const unseen = time.Duration(-1)

// endReleased resets a client's streams that nobody has any more and whose time is over: to send what is queued, or to
// hear the server's end of a tunnel.
func (s *Session) endReleased() {
	for i := 0; i < len(s.open); {
		t := s.open[i]
		limit, since := s.config.WriteStall, s.movedLast(t)
		if t.state == streamHalfLocal {
			limit, since = s.config.Linger, t.moved
		}
		switch {
		case t.holder != holderNone:
			i++
		case t.moved == unseen:
			t.moved = s.now
			i++
		case limit <= 0 || s.now-since < limit:
			i++
		default:
			t.stop(Cancel)
		}
	}
}
