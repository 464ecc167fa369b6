package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// resumption is how the connections of churn begin.
type resumption string

const (
	full    resumption = "full"    // no session is known
	resumed resumption = "resumed" // by a ticket of an earlier connection
)

// errResumption is a handshake of the other kind than asked for.
var errResumption = errors.New("not the handshake that was asked for")

// churn opens connections all the time, each for a handshake, one request and the end, or for an attack.
type churn struct {
	plan // conns is how many there are at the same time
	resumption
	attack []byte // what each connection sends instead; nil: none

	mu        sync.Mutex
	measuring bool
	hist      histogram
	result    outcome
	done      chan struct{} // closed when time is up
	dues      chan time.Time
}

// run carries the plan out and returns the seconds that were measured.
func (c *churn) run(out io.Writer) (float64, error) {
	c.done = make(chan struct{})
	if c.rate > 0 {
		c.dues = make(chan time.Time, int(c.rate)+1)
	}
	var workers sync.WaitGroup
	failures := make(chan error, c.conns)
	for range c.conns {
		workers.Go(func() { failures <- c.work() })
	}
	seconds := c.schedule(out)
	workers.Wait()
	close(failures)
	var failed error
	for err := range failures {
		failed = errors.Join(failed, err)
	}
	return seconds, failed
}

// schedule opens and closes the measured window and says when connections are due.
func (c *churn) schedule(out io.Writer) float64 {
	begun := time.Now()
	c.pass(begun, begun.Add(c.warm))
	c.mu.Lock()
	c.measuring, c.result, c.hist = true, outcome{}, histogram{}
	c.mu.Unlock()
	from := time.Now()
	fmt.Fprintln(out, "begin")
	c.pass(from, from.Add(c.measure))
	c.mu.Lock()
	c.measuring = false
	c.mu.Unlock()
	fmt.Fprintln(out, "end")
	close(c.done)
	return time.Since(from).Seconds()
}

// pass lets time pass until the given moment; at a rate it says meanwhile when connections are due.
func (c *churn) pass(from, until time.Time) {
	if c.rate == 0 {
		time.Sleep(time.Until(until))
		return
	}
	gap := float64(time.Second) / c.rate
	for i := 0; ; i++ {
		due := from.Add(time.Duration(float64(i) * gap))
		if due.After(until) {
			return
		}
		time.Sleep(time.Until(due))
		select {
		case c.dues <- due:
		default:
			c.late()
		}
	}
}

// late counts a connection that is never begun, since a second's worth of them wait already. Whether that is the server's
// doing or that of this program's own core is not known here.
func (c *churn) late() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.measuring {
		c.result.late++
	}
}

// work opens one connection after the other. Its sessions are its own, so that each is offered by one connection only.
func (c *churn) work() error {
	config := c.tls.Clone()
	if c.resumption == resumed {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	buf := make([]byte, 64<<10)
	for first := true; ; first = false {
		due, ok := c.next()
		if !ok {
			return nil
		}
		if c.attack != nil {
			c.tally(time.Since(due), c.assail(buf))
			continue
		}
		err := c.connect(config, buf, c.resumption == resumed && !first)
		if errors.Is(err, errTerms) || errors.Is(err, errResumption) {
			return err
		}
		c.tally(time.Since(due), err)
	}
}

// next waits until a connection is due; ok is false when no more are.
func (c *churn) next() (due time.Time, ok bool) {
	if c.rate == 0 {
		select {
		case <-c.done:
			return due, false
		default:
			return time.Now(), true
		}
	}
	select {
	case <-c.done:
		return due, false
	case due = <-c.dues:
		return due, true
	}
}

// connect is the life of one connection.
func (c *churn) connect(config *tls.Config, buf []byte, resume bool) error {
	raw, err := net.DialTimeout("tcp", c.server.String(), holdTimeout)
	if err != nil {
		return err
	}
	t := tls.Client(raw, config)
	defer t.Close()
	if err := exchange(t, c.requests[0].text, buf); err != nil {
		return err
	}
	s := t.ConnectionState()
	if s.DidResume != resume {
		return fmt.Errorf("%w: %s", errResumption, c.resumption)
	}
	return agreed(s, config)
}

// tally counts one connection.
func (c *churn) tally(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measuring {
		return
	}
	if err != nil {
		c.result.failed++
		return
	}
	c.result.requests++
	c.hist.add(int64(took))
}
