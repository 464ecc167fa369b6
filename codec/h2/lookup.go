package h2

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
	goneKept  = 64      // streams that are remembered after their end
	goneReset = 1 << 31 // beside an id: we have reset it, so that what the peer sent before it knew may still come
)

// remember notes a stream that has ended.
func (s *Session) remember(id uint32, reset bool) {
	if reset {
		id |= goneReset
	}
	if len(s.gone) < goneKept {
		s.gone = append(s.gone, id)
		return
	}
	s.gone[s.nextGone] = id
	s.nextGone = (s.nextGone + 1) % goneKept
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
	for _, g := range s.gone {
		if g&^goneReset == id {
			if g&goneReset != 0 {
				return closureReset
			}
			return closureEnded
		}
	}
	if s.role == client {
		return closureReset // none is ever skipped, and more can end in a round trip than are remembered
	}
	return closureOld
}
