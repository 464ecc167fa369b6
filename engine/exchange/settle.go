package exchange

import (
	"traffic_management/codec"
	"traffic_management/engine/reactor"
	"traffic_management/upstream"
)

// settle applies the joint rules of request, response and attempt until nothing changes:
//
//	attempt lost, response unsent or interim, replayable   try another server, at once or after a wait
//	attempt lost, response unsent or interim, otherwise    answer ourselves, by the error
//	attempt lost, response streaming                       cut the response short, unless its content is discarded
//	request broken, response not over                      cut the response short
//	attempt spent, response not over                       release it; a filter has content yet to pass on
//	response over, attempt not                             release the attempt, which closes an unfinished one
//	response over, attempt over                            finish, after this event
func (x *Exchange) settle() {
	for {
		over := x.response >= ResponseWhole
		switch {
		case x.state == AttemptLost && !over:
			x.release()
			switch {
			case x.from > 0: // what it sent is of no use
			case x.withheld != nil:
				x.takeBack()
				x.answer(x.lost)
			case x.response == ResponseStreaming:
				x.cut(x.lost)
			case !x.repeat(x.lost):
				x.answer(x.lost)
			}
		case x.request == RequestBroken && !over && x.state != AttemptLocal:
			x.release()
			x.cut(x.Err)
		case x.state == AttemptSpent, over && x.state != AttemptNone:
			x.release()
			if !over {
				x.armLimit()
			}
		case over && !x.ending:
			x.ending = true
			x.local.Loop.Defer(x.finished)
			return
		default:
			return
		}
	}
}

// cut ends the response so that the client can tell it is not whole.
func (x *Exchange) cut(e *codec.Error) {
	x.response = ResponseBroken
	x.Err = e
	x.client.Reset(e)
}

// release lets go of the attempt, or of the wait for one, keeping what the observer asks for.
func (x *Exchange) release() {
	if x.tries > 0 {
		x.leavePlace()
	}
	if x.attempt == nil {
		x.state = AttemptNone
		return
	}
	if t := x.attempt.Target(); t != nil {
		x.target = t
	}
	x.sent, x.answered = x.attempt.Sent(), x.attempt.Answered()
	x.queued, x.connecting = x.attempt.Queued(), x.attempt.Connected()
	x.attempt.Release()
	x.attempt, x.stream, x.state = nil, nil, AttemptNone
	x.forgetHold()
}

// finish is the last of an exchange: it is observed, and its memory goes to the next one.
func (x *Exchange) finish() {
	x.Ended = x.local.Loop.Clock()
	if x.pass != upstream.Refused {
		x.leave(x.outcome())
	}
	if x.stage > 0 {
		x.endFilters()
	}
	x.local.observer.Done(x)
	x.letGo(holdsClient)
	c := x.client
	x.recycle()
	c.Finished()
}

// keepBytes bounds the buffers that an exchange in the free list keeps.
const keepBytes = 32 << 10

func (x *Exchange) recycle() {
	if g := x.env.Generation; g != nil {
		g.leave()
	}
	x.RequestHead.Reset()
	x.Peer, x.Route, x.env, x.client, x.target, x.Err, x.lost = nil, nil, nil, nil, nil, nil, nil
	x.Status, x.BytesIn, x.BytesOut, x.Retries, x.RetriesRefused, x.RequestID = 0, 0, 0, 0, 0, nil
	x.content, x.sent, x.answered, x.heard, x.moved = 0, 0, 0, 0, reactor.Instant(0)
	x.stick, x.queued, x.connecting = nil, 0, 0
	x.request, x.response, x.tunnel, x.state, x.flow = RequestFresh, ResponseUnsent, TunnelNone, AttemptNone, 0
	x.ending, x.awaitsContinue = false, false
	if x.replay == ReplayKept {
		x.forget()
	}
	x.replay, x.tries, x.waits = ReplayUnused, 0, 0
	clear(x.tried)
	x.tried = x.tried[:0]
	clear(x.ruled)
	x.ruled = x.ruled[:0]
	x.arena, x.path, x.asked = x.arena[:0], nil, asked{}
	if cap(x.buf) > keepBytes {
		x.buf = nil
	}
	if cap(x.arena) > keepBytes {
		x.arena = nil
	}
	x.local.free = append(x.local.free, x)
}
