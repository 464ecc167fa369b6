package exchange

import "traffic_management/codec"

// The Exchange is the codec.Receiver of its attempts.

// Ready sends the request head, the content that an earlier attempt was sent, and lets more of it follow.
func (x *Exchange) Ready(s codec.Stream) {
	x.stream, x.state = s, AttemptOpen
	whole := x.request == RequestWhole
	if x.replay == ReplayUnused {
		s.Head(&x.RequestHead, whole)
	} else {
		s.Head(&x.RequestHead, false)
		if len(x.kept) > 0 || whole {
			s.Data(x.kept, whole)
		}
	}
	if whole || s.Queued() <= codec.HighMark {
		x.letGo(holdsClient)
	}
}

// Head passes a response head on.
func (x *Exchange) Head(h *codec.Head, end bool) {
	x.heard = x.local.Loop.Now()
	if h.Status == 101 {
		x.switched(h)
		return
	}
	if h.Status < 200 {
		x.interim(h)
		return
	}
	if x.repeatsStatus(h.Status) {
		x.lost, x.state = statusError(h.Status), AttemptLost
		x.settle()
		return
	}
	if x.tunnel == TunnelOffered && x.RequestHead.Version == codec.HTTP2 && h.Status < 300 {
		x.refuse(errNotSwitched)
		return
	}
	codec.RemoveHopByHop(h)
	x.Status = h.Status
	if x.replay == ReplayKept {
		x.forget()
	}
	x.accept(h)
	if end {
		x.spent()
	}
	x.deliver(h, end)
	if end {
		x.settle()
	}
}

// interim passes an interim response on to a client that understands it. A 100 that nobody asked for is dropped.
func (x *Exchange) interim(h *codec.Head) {
	if x.RequestHead.Version == codec.HTTP10 || h.Status == 100 && !x.awaitsContinue {
		return
	}
	if h.Status == 100 {
		x.awaitsContinue = false
		x.RequestHead.Remove(codec.FieldExpect) // the client need not be asked again if there is another try
	}
	codec.RemoveHopByHop(h)
	x.response = ResponseInterim
	x.client.Head(h, false)
}

// Data passes response content on.
func (x *Exchange) Data(p []byte, end bool) {
	if x.Tunnel() {
		x.toClient(p, end)
		return
	}
	x.heard = x.local.Loop.Now()
	if end {
		x.spent()
	}
	x.give(p, end)
	if end {
		x.settle()
	} else if x.state == AttemptOpen && x.queuedFrom(0) > codec.HighMark && x.from == 0 {
		x.hold(holdsServer)
	}
}

// Trailers passes the response's trailer section on, which ends it.
func (x *Exchange) Trailers(t []codec.Field) {
	x.heard = x.local.Loop.Now()
	x.spent()
	x.giveTrailers(t)
	x.settle()
}

// spent notes that the attempt has delivered a whole response.
func (x *Exchange) spent() {
	x.state, x.stream = AttemptSpent, nil
	x.forgetHold()
}

// Drained resumes the client whose content filled the server's queue.
func (x *Exchange) Drained() { x.letGo(holdsClient) }

// Failed notes that the attempt ended without a whole response.
func (x *Exchange) Failed(e *codec.Error) {
	x.stream, x.state, x.lost = nil, AttemptLost, e
	x.forgetHold()
	x.settle()
}
