package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// caller is the client of a cell.
type caller struct {
	*cell
	proxy string // address
	conn  net.Conn
	r     *bufio.Reader
}

// run lets the exchange meet its failure and reports what came of it. An error says what must never be: a hang, bytes
// of another exchange, a connection that serves wrong answers afterwards.
func (x *cell) run(proxy string) (o ending, err error) {
	c := &caller{cell: x, proxy: proxy}
	if err := c.dial(); err != nil {
		return none, err
	}
	defer func() { c.conn.Close() }()
	began := time.Now()
	o, keeps, err := c.meet()
	took := time.Since(began)
	close(x.over)
	if err == nil && took > failureTime+lateness && !raceDetector {
		err = fmt.Errorf("took %v", took)
	}
	if err == nil && x.act == babbleLater {
		err = c.await(x.through)
	}
	if err == nil {
		err = c.after(keeps)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.attempts == 0 {
		err = errors.Join(err, errors.New("no server met it"))
	}
	if len(x.leaks) > 0 {
		err = errors.Join(err, errors.New(strings.Join(x.leaks, "; ")))
	}
	return o, err
}

// await waits for what a server does.
func (c *caller) await(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-time.After(patience):
		return errors.New("the server waits in vain")
	}
}

func (c *caller) dial() (err error) {
	if c.conn, err = net.DialTimeout("tcp", c.proxy, patience); err != nil {
		return err
	}
	c.r = bufio.NewReader(c.conn)
	return c.conn.SetDeadline(time.Now().Add(patience))
}

// meet does the exchanges that precede and then the one that fails. keeps says that the connection should go on.
func (c *caller) meet() (o ending, keeps bool, err error) {
	n := c.kind.served()
	if c.kind == pipelined {
		for i := range n + 1 {
			c.say(c.request("GET", i))
		}
	}
	for i := range n {
		if c.kind != pipelined {
			c.say(c.request("GET", i))
		}
		if o, _, err := c.hear(i); o&(whole|elsewhere) == 0 {
			return o, false, fmt.Errorf("exchange %d before it: %v, %w", i, o, err)
		}
	}
	var sending sync.WaitGroup
	switch c.kind {
	case plainGet, download:
		c.say(c.request("GET", n))
	case plainPost, keptPost:
		c.say(c.request("POST", n, "Content-Length: "+strconv.Itoa(c.sends(n))) + contentOf("to "+c.tag(n), c.sends(n)))
	case tunnelled:
		c.say(c.request("GET", n, "Connection: Upgrade", "Upgrade: websocket"))
	case uploading:
		sending.Go(func() { c.upload(n) })
	}
	o, keeps, err = c.hear(n)
	if c.kind == uploading && (!keeps || err != nil) {
		c.conn.Close() // nobody may read the rest of the upload
	}
	sending.Wait()
	return o, keeps, err
}

// upload sends content in two chunks, the second when the first has reached a server.
func (c *caller) upload(n int) {
	content := contentOf("to "+c.tag(n), c.sends(n))
	c.say(fmt.Sprintf("%s%x\r\n%s\r\n", c.request("POST", n, "Transfer-Encoding: chunked"), firstPart, content[:firstPart]))
	if c.await(c.underway) == nil {
		c.say(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(content)-firstPart, content[firstPart:]))
	}
}

func (c *caller) request(method string, n int, fields ...string) string {
	fields = append(fields, "X-Tag: "+c.tag(n))
	return fmt.Sprintf("%s /%d HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", method, n, c.host, strings.Join(fields, "\r\n"))
}

// say sends text. The proxy may have closed the connection: its answer tells.
func (c *caller) say(text string) { _, _ = io.WriteString(c.conn, text) }

// hear reads the answer to the nth exchange.
func (c *caller) hear(n int) (o ending, keeps bool, err error) {
	failing := n == c.kind.served()
	head := sync.OnceFunc(func() {
		if failing {
			close(c.heard)
		}
	})
	response, err := http.ReadResponse(c.r, nil)
	for err == nil && response.StatusCode < 200 && response.StatusCode != 101 {
		response, err = http.ReadResponse(c.r, nil)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return none, false, err
	case err != nil:
		return hungUp, false, nil
	}
	if response.StatusCode == 101 {
		o, err = c.useTunnel(n, response)
		return o, false, err
	}
	if c.stage != afterAll {
		head()
	}
	body, err := io.ReadAll(response.Body)
	head()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return none, false, fmt.Errorf("after %d bytes of content: %w", len(body), err)
	}
	broken := err != nil
	switch response.StatusCode {
	case 200:
		o, err = c.judge(n, response, string(body), broken)
	case 500:
		if o, err = c.judge(n, response, string(body), broken); o == whole {
			o = declined
		}
	case 502:
		o, err = badGateway, ours(response, body)
	case 503:
		o, err = unavailable, ours(response, body)
	case 504:
		o, err = timedOut, ours(response, body)
	default:
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return o, err == nil && !broken && !response.Close, err
}

// judge tells what an answer of a server is to the nth exchange; every byte must belong to it.
func (c *caller) judge(n int, r *http.Response, body string, broken bool) (ending, error) {
	size := c.size(n)
	attempt := r.Header.Get("X-Attempt")
	if c.stage == inStream && n == c.kind.served() && attempt == "1" {
		size /= 2 // the server sends no more
	}
	want := contentOf("from "+c.tag(n), size)
	// A failure may leave no more of the head than the status line.
	if tag := r.Header.Get("X-Tag"); tag != c.tag(n) && (tag != "" || !broken) {
		return none, fmt.Errorf("the answer to %s has X-Tag %q", c.tag(n), tag)
	}
	switch {
	case !strings.HasPrefix(want, body) && !(broken && c.act == babble && strings.HasPrefix("poison", body)):
		return none, fmt.Errorf("content of %s differs: %q", c.tag(n), body)
	case broken:
		return cutShort, nil
	case len(body) < len(want):
		return none, fmt.Errorf("%d bytes of content pass for all of %d", len(body), len(want))
	case n == c.kind.served() && attempt != "1":
		return elsewhere, nil
	}
	return whole, nil
}

// ours checks that an answer is one of the proxy's own, with nothing of a server in it.
func ours(r *http.Response, body []byte) error {
	if want := fmt.Sprintf("%d %s: ", r.StatusCode, http.StatusText(r.StatusCode)); !strings.HasPrefix(string(body), want) ||
		strings.Contains(string(body), "poison") {
		return fmt.Errorf("the reply of status %d says %q", r.StatusCode, body)
	}
	return nil
}

// after does two more exchanges, over the same connection when it goes on: nothing of what failed may be in them.
func (c *caller) after(keeps bool) error {
	for n := c.kind.served() + 1; n < c.kind.served()+3; n++ {
		if !keeps {
			c.conn.Close()
			if err := c.dial(); err != nil {
				return err
			}
		}
		c.say(c.request("GET", n))
		o, keep, err := c.hear(n)
		if err != nil || o != whole && o != elsewhere {
			return fmt.Errorf("an exchange afterwards: %v, %w", o, err)
		}
		keeps = keep
	}
	return nil
}
