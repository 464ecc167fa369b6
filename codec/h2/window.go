package h2

// outflow is a flow-control window that the peer gave us (RFC 9113 section 6.9): how much we may send. A change of the
// peer's settings can make it negative.
type outflow int64

// add takes an increment; false when the window would be larger than the protocol allows.
func (w *outflow) add(n int64) bool {
	if int64(*w)+n > maxWindow {
		return false
	}
	*w += outflow(n)
	return true
}

// inflow is a window that we gave the peer. What it may send, what came and was not taken yet, and what was taken and
// not given back yet, are the whole window at any time.
type inflow struct {
	left  int64 // what the peer may send; negative after the window was made smaller
	taken int64 // taken and not given back yet
}

// receive takes a frame's bytes from the window; false when the peer has sent more than it may.
func (w *inflow) receive(n int) bool {
	w.left -= int64(n)
	return w.left >= 0
}

// take notes that bytes were taken, and returns the increment to announce now, or 0: as much as is left is worth a frame.
// That is half a window, and less when the rest of it is held: what is not must not wait for that.
func (w *inflow) take(n int) int64 {
	w.taken += int64(n)
	if w.taken == 0 || w.taken < w.left {
		return 0
	}
	n64 := w.taken
	w.left, w.taken = w.left+n64, 0
	return n64
}
