package upstream

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"traffic_management/codec"
	"traffic_management/engine/reactor"
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

// undialled is what it means that a connection could not be opened: the server is not to blame for what is used up here.
func undialled(err error) *codec.Error {
	if err == reactor.ErrDescriptors {
		return errNoSocket
	}
	if e := (*reactor.HandshakeError)(nil); errors.As(err, &e) {
		return untrusted(e)
	}
	switch errno := syscall.Errno(0); {
	case !errors.As(err, &errno):
	case errno == unix.EMFILE, errno == unix.ENFILE, errno == unix.ENOBUFS, errno == unix.ENOMEM, errno == unix.EADDRNOTAVAIL:
		return errNoSocket
	}
	return errRefused
}

// untrusted is what it means that a TLS handshake failed.
func untrusted(e *reactor.HandshakeError) *codec.Error {
	if e.Reason == reactor.HandshakeShed {
		return errShakesShed
	}
	return &codec.Error{Side: codec.Upstream, Kind: codec.KindTLS, Retry: codec.RetrySafe, Status: 502,
		Cause: fmt.Errorf("TLS handshake with the server: %w", e.Err)}
}

// rejected is what it means that a new connection failed by err before anything came: with TLS 1.3 a server judges the
// client's certificate when the handshake is over for the client. nil when it was no alert that ended it.
func rejected(err error) *codec.Error {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return &codec.Error{Side: codec.Upstream, Kind: codec.KindTLS, Retry: codec.RetryUnanswered, Status: 502,
			Cause: fmt.Errorf("the server ended the TLS connection: %w", e.Err)}
	}
	return nil
}

// lost is what an end of the connection means for the request it carries: once any of a response came, the server has
// taken the request up; what was only gathered for the end of the turn it never saw.
func (c *h1conn) lost(a *Attempt) *codec.Error {
	switch {
	case c.recv == partTunnel || c.send == partTunnel:
		return errTunnelLost
	case a.answered != 0:
		return errTruncated
	case c.conn.Unsent() >= c.wrote && c.served == 0:
		return errHungUp
	case c.conn.Unsent() >= c.wrote:
		return errUnsent
	case c.served > 0:
		return errIdleRace
	}
	return errClosed
}
