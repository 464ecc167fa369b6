package upstream

import "traffic_management/codec"

// part is how much of a message has passed.
type part uint8

const (
	partHead    part = iota // the head has not passed
	partAwaited             // a request's head has, its content waits for a 100 (Continue)
	partContent             // the head has, some content may have
	partTunnel              // the server switched protocols; this direction has not ended
	partWhole               // all has
)

func (p part) String() string { return [...]string{"head", "awaited", "content", "tunnel", "whole"}[p] }

// maxInterim bounds the interim responses to one request.
const maxInterim = 64

// progress is how far an attempt's request and response have come on the connection that carries it.
type progress struct {
	send, recv part
	interim    uint8
	holds      int // times the receiver holds the response
}

// headSent notes that a request's head was sent.
func (p *progress) headSent(h *codec.Head, end bool) {
	switch {
	case end:
		p.send = partWhole
	case h.Get(codec.FieldExpect) != nil:
		p.send = partAwaited
	default:
		p.send = partContent
	}
}

// contentSent notes that some of a request's content was sent.
func (p *progress) contentSent(end bool) {
	p.send = partContent
	if end {
		p.send = partWhole
	}
}

// notFinal notes an interim response, but 101 (Switching Protocols). It reports false when there are too many.
func (p *progress) notFinal(a *Attempt, status int) bool {
	if p.interim++; p.interim > maxInterim {
		return false
	}
	if status == 100 && p.send == partAwaited {
		p.send = partContent
	}
	a.awaitHead()
	return true
}

// overdue says what it means that a's time ran out while so many bytes of the request wait to be sent. The server is not
// to blame while the client is the one who is slow: then the time begins anew, and the error is nil.
func (p *progress) overdue(a *Attempt, queued int) *codec.Error {
	switch {
	case p.recv == partHead && p.send == partContent && queued == 0:
		a.awaitHead()
	case p.recv == partHead && a.answered == 0:
		return errHeadTimeout
	case p.recv == partHead:
		return errHeadStalled
	case p.holds > 0:
		a.arm(a.service.Options().ResponseIdle)
	default:
		return errIdleTimeout
	}
	return nil
}
