package h2

import "slices"

// find is the place of a stream in open, and whether it is there.
func (s *Session) find(id uint32) (int, bool) {
	i, j := 0, len(s.open)
	for i < j {
		if m := int(uint(i+j) >> 1); s.open[m].id < id {
			i = m + 1
		} else {
			j = m
		}
	}
	return i, i < len(s.open) && s.open[i].id == id
}

// stream is the open stream of this id, or nil.
func (s *Session) stream(id uint32) *Stream {
	if i, ok := s.find(id); ok {
		return s.open[i]
	}
	return nil
}

const (
	endedKept = 64   // streams that are remembered after their end
	resetKept = 1024 // the same of those that we have reset, at most
)

// ring has the latest ids of those that were added. The zero value is empty.
type ring struct {
	ids  []uint32
	next int // the oldest, when it is full
}

func (r *ring) add(id uint32, most int) {
	if len(r.ids) < most {
		r.ids = append(r.ids, id)
		return
	}
	r.ids[r.next] = id
	r.next = (r.next + 1) % most
}

// remember notes a stream that has ended; reset: by our doing, so that what the peer sent before it knew may still come.
// No more streams than were open, others in their place and those that one burst may cost are reset before it knows.
func (s *Session) remember(id uint32, reset bool) {
	if reset {
		s.stopped.add(id, min(2*s.config.MaxStreams+int(allowances[budgetResets].burst), resetKept))
	} else {
		s.ended.add(id, endedKept)
	}
}

// closure is what is known of a stream that is not open.
type closure uint8

const (
	closureIdle  closure = iota // it was never opened
	closureOld                  // it ended long ago, or was skipped
	closureEnded                // it ended lately, and the peer knew that it would
	closureReset                // we have reset it, so that what the peer sent before it knew may still come
)

// closed is what is known of a stream that is not open, when a frame names it.
func (s *Session) closed(id uint32) closure {
	if id&1 == 0 || s.role == server && id > s.last || s.role == client && id >= s.last {
		return closureIdle
	}
	if slices.Contains(s.ended.ids, id) {
		return closureEnded
	}
	if s.role == client || slices.Contains(s.stopped.ids, id) {
		return closureReset // of a client's none is ever skipped, and more can end in a round trip than are remembered
	}
	return closureOld
}
