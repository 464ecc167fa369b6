package frontend

import (
	"time"

	"traffic_management/codec"
	"traffic_management/engine/exchange"
	"traffic_management/engine/reactor"
)

// contentClock measures how fast request content comes. Time during which we do not read does not count.
type contentClock struct {
	began reactor.Instant // moved on by the time that reading was paused
	last  reactor.Instant // of the last content
	bytes int64
}

func (k *contentClock) start(now reactor.Instant) { *k = contentClock{began: now, last: now} }

func (k *contentClock) progress(now reactor.Instant, n int) {
	k.last = now
	k.bytes += int64(n)
}

// resume forgives the time since the last content, in which the client could not send.
func (k *contentClock) resume(now reactor.Instant) {
	k.began = k.began.Add(now.Sub(k.last))
	k.last = now
}

// overdue is why the rest of an exchange's request content is awaited no more, nil while it is. A client that waits to
// be asked for it is silent too: it must not wait for ever (RFC 9110 section 10.1.1), but no pace is asked of it before.
func (k *contentClock) overdue(now reactor.Instant, s *Settings, x *exchange.Exchange) *codec.Error {
	if !x.AcceptsContent() {
		k.resume(now)
	}
	took := now.Sub(k.began)
	switch {
	case now.Sub(k.last) >= s.BodyIdle:
		return errBodyTimeout
	case s.BodyMinRate > 0 && took > s.BodyGrace && !x.AwaitsContinue() &&
		k.bytes < int64(took.Seconds()*float64(s.BodyMinRate)):
		return errBodySlow
	}
	return nil
}

// checkEvery is how often the pace of content is looked at.
func (s *Settings) checkEvery() time.Duration { return min(time.Second, s.BodyIdle) }

// readExpired runs when readTimer does. It may come in any phase, since a phase that has no deadline leaves the timer
// of the one before to itself.
func (c *H1) readExpired() {
	switch c.phase {
	case phaseFresh:
		left := c.entry.Settings.HeaderTimeout - c.entry.Local.Loop.Now().Sub(c.accepted)
		if left <= 0 || c.entry.ending() {
			c.close(false)
			return
		}
		c.phase = phaseIdle
		c.entry.Conns.enter(&c.connection, partIdle)
		c.entry.Local.Loop.Arm(&c.readTimer, left)
	case phaseIdle:
		if c.conn.Queued() > 0 && !c.entry.ending() { // not idle: it still reads the last response, or does not
			c.watchWriting()
			c.entry.Local.Loop.Arm(&c.readTimer, c.entry.Settings.IdleTimeout)
			return
		}
		c.close(false)
	case phaseHead:
		c.reject(c.entry.Local.Begin(c.entry.Env, c, &c.peer), errHeadTimeout)
	case phaseContent:
		c.checkContent()
	case phaseDiscard:
		c.close(true)
	case phaseTunnel, phaseTunnelEnded:
		c.checkTunnel()
	}
}

// checkContent looks whether content still comes, and fast enough on average.
func (c *H1) checkContent() {
	loop, s := c.entry.Local.Loop, c.entry.Settings
	if e := c.clock.overdue(loop.Now(), s, c.x); e != nil {
		c.spoilt(e)
		return
	}
	loop.Arm(&c.readTimer, s.checkEvery())
}
