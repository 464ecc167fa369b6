package upstream

import (
	"traffic_management/codec"
)

// heard notes the status of the final response. A probe of a breaker is over with it: the content may take hours.
func (a *Attempt) heard(status int) {
	a.status = status
	if l := a.pool.latency; l != nil {
		l.observe(a.answered, a.answered.Sub(a.sent))
	}
	if a.breaker != nil && a.pass.probes() {
		a.leave(nil)
	}
}

// judge tells what the end of the attempt, by e if it failed, says of its server.
func (a *Attempt) judge(e *codec.Error) {
	if e != nil && !blames(e) {
		e, a.status = nil, 0
	}
	if a.breaker != nil {
		a.leave(e)
	}
	if e != nil {
		a.failed(e)
	}
	t, p := a.pool.target, a.service.Options().Outlier
	switch {
	case e != nil || a.status >= 500:
		a.pool.counts.Failed.Add(1)
		if p != nil {
			a.service.failed(t, p, a.pools.loop.Now(), e, a.status)
		}
	case a.status != 0:
		a.pool.counts.Succeeded.Add(1)
		if p != nil {
			t.succeeded()
		}
	}
}

// failed keeps what the server is known by: its last error, and that it is not the fast one it may seem to be.
func (a *Attempt) failed(e *codec.Error) {
	if f := &a.pool.target.lastFailure; f.Load() != e {
		f.Store(e)
	}
	if l := a.pool.latency; l != nil && a.status == 0 {
		now := a.pools.loop.Now()
		l.observe(now, max(now.Sub(a.opened), failureLatency))
	}
}

// leave tells the breaker how the attempt ended: by e, or with its status, or before anything could be said.
func (a *Attempt) leave(e *codec.Error) {
	o := Neutral
	switch {
	case e != nil || a.breaker.policy.Failures.Has(a.status):
		o = Failure
	case a.status != 0:
		o = Success
	}
	a.breaker.leave(a.pools.loop.Now(), a.pass, o)
	a.breaker = nil
}
