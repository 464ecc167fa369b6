package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// exchangeTimeout bounds one request; one that reaches it has failed.
const exchangeTimeout = 10 * time.Second

// manner is how a client uses connections.
type manner uint8

const (
	keeping  manner = iota // one for all its requests
	renewing               // a new one for each
)

func (m manner) String() string { return [...]string{"keeping", "renewing"}[m] }

// load is a number of clients that ask again and again. Unlike the generator of perf/load they do not care for speed,
// but tell exactly what they met.
type load struct {
	address string
	method  string
	manner  manner
	clients int
	every   time.Duration // of one client, from one request to the next
}

// run lets the clients ask until ctx ends; it returns when the last of them has its answer.
func (l load) run(ctx context.Context, t *tally) {
	var all sync.WaitGroup
	for range l.clients {
		all.Go(func() {
			c := &client{load: l, tally: t}
			defer c.hangUp()
			tick := time.NewTicker(l.every)
			defer tick.Stop()
			for {
				c.exchange()
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
}

// client is one of them. One goroutine uses it.
type client struct {
	load
	tally *tally
	conn  net.Conn // nil when there is none
	in    *bufio.Reader
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// size and sent are the contents of a response and of a POST, in bytes.
const (
	size = 128
	sent = 512
)

// exchange does one request and counts what came of it.
func (c *client) exchange() {
	began := time.Now()
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, exchangeTimeout)
		if err != nil {
			c.tally.fail("not connected: " + cause(err))
			return
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	last, err := c.ask(began.Add(exchangeTimeout))
	if err != nil {
		c.tally.fail(err.Error())
	} else {
		c.tally.served(time.Since(began))
	}
	switch {
	case c.manner == renewing:
		c.hangUp()
	case last:
		c.tally.end()
		c.hangUp()
	}
}

// ask sends the request and reads its answer. last says that the connection is over.
func (c *client) ask(deadline time.Time) (last bool, err error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return true, err
	}
	content := ""
	head := fmt.Sprintf("%s /%d HTTP/1.1\r\nHost: %s\r\n", c.method, size, c.address)
	if c.method == http.MethodPost {
		content = strings.Repeat("x", sent)
		head += fmt.Sprintf("Content-Length: %d\r\n", sent)
	}
	if c.manner == renewing {
		head += "Connection: close\r\n"
	}
	if _, err := io.WriteString(c.conn, head+"\r\n"+content); err != nil {
		return true, errors.New("not sent: " + cause(err))
	}
	a, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return true, errors.New("no answer: " + cause(err))
	}
	body, err := io.ReadAll(a.Body)
	switch {
	case err != nil:
		return true, errors.New("answer cut short: " + cause(err))
	case a.StatusCode != http.StatusOK:
		return a.Close, errors.New(strings.TrimSpace(string(body))) // the proxy's own begin with the status
	case string(body) != wanted:
		return a.Close, errors.New("another content")
	}
	return a.Close, nil
}

// wanted is the content that perf/backend answers.
var wanted = func() string {
	b := make([]byte, size)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}()

// cause is an error without the addresses, which differ from one to the next.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
