package exchange

import (
	"traffic_management/codec"
	"traffic_management/codec/h1"
)

// The Exchange is the codec.Receiver of its attempts.

// Ready sends the request head and lets content follow.
func (x *Exchange) Ready(s codec.Stream) {
	x.stream, x.state = s, AttemptOpen
	s.Head(&x.RequestHead, x.request == RequestWhole)
	x.letGo(holdsClient)
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
	h1.RemoveHopByHop(h)
	x.Status = h.Status
	x.response = ResponseStreaming
	if end {
		x.spent()
	}
	x.client.Head(h, end)
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
	}
	h1.RemoveHopByHop(h)
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
	x.client.Data(p, end)
	if end {
		x.settle()
	} else if x.state == AttemptOpen && x.client.Queued() > codec.HighMark {
		x.hold(holdsServer)
	}
}

// Trailers passes the response's trailer section on, which ends it.
func (x *Exchange) Trailers(t []codec.Field) {
	x.heard = x.local.Loop.Now()
	x.spent()
	x.client.Trailers(t)
	x.settle()
}

// spent notes that the attempt has delivered a whole response.
func (x *Exchange) spent() {
	x.response, x.state, x.stream = ResponseWhole, AttemptSpent, nil
	x.flow &^= holdsServer
}

// Drained resumes the client whose content filled the server's queue.
func (x *Exchange) Drained() { x.letGo(holdsClient) }

// Failed notes that the attempt ended without a whole response.
func (x *Exchange) Failed(e *codec.Error) {
	x.stream, x.state, x.lost = nil, AttemptLost, e
	x.flow &^= holdsServer
	x.settle()
}
