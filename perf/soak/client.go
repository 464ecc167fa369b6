package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// exchangeTimeout bounds everything one client does on one connection.
const exchangeTimeout = 60 * time.Second

// client is one connection with a mood. One goroutine uses it.
type client struct {
	net.Conn
	in   *bufio.Reader
	rng  *rand.Rand
	host string
}

func dial(address string, rng *rand.Rand) (*client, error) {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		c.Close()
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 64<<10), rng, address}, nil
}

// pieces are how a message is moved: how many bytes at a time, and how long to rest between.
type pieces struct {
	most int
	rest time.Duration
}

var (
	fast = pieces{64 << 10, 0}
	slow = pieces{2 << 10, 2 * time.Millisecond}
	drip = pieces{7, 3 * time.Millisecond}
)

func (c *client) pace(p pieces) func() int {
	return func() int {
		if p.rest > 0 {
			time.Sleep(time.Duration(c.rng.Int64N(int64(p.rest))))
		}
		return 1 + c.rng.IntN(p.most)
	}
}

// send writes r in pieces.
func (c *client) send(r io.Reader, p pieces) error {
	piece := c.pace(p)
	buf := make([]byte, p.most)
	for {
		n, err := r.Read(buf[:piece()])
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// want is one request for content and what must come back.
type want struct {
	seed    uint64
	size    int64
	chunked bool
}

func (c *client) anyWant(most int64) want {
	return want{c.rng.Uint64(), c.rng.Int64N(most + 1), c.rng.IntN(3) == 0}
}

func (c *client) get(w want) string {
	query := ""
	if w.chunked {
		query = "?chunked=1"
	}
	return fmt.Sprintf("GET /content/%d/%d%s HTTP/1.1\r\nHost: %s\r\n\r\n", w.seed, w.size, query, c.host)
}

// receive reads one response and compares its content with what was wanted.
func (c *client) receive(w want, p pieces) error {
	a, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s for content of %d bytes", a.Status, w.size)
	}
	return checkContent(a.Body, w.seed, w.size, c.pace(p))
}

// postHead is the head of a request whose content has the size of w.
func (c *client) postHead(w want) string {
	framing := fmt.Sprintf("Content-Length: %d", w.size)
	if w.chunked {
		framing = "Transfer-Encoding: chunked"
	}
	return fmt.Sprintf("POST /digest HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", c.host, framing)
}

// postBody is the framed content, and the digest that must come back once all of it was read.
func (c *client) postBody(w want) (body io.Reader, digest func() string) {
	h := sha256.New()
	body = io.TeeReader(content(w.seed, w.size), h)
	if w.chunked {
		body = &chunks{from: body, rng: c.rng}
	}
	return body, func() string { return hex.EncodeToString(h.Sum(nil)) }
}

// post sends content and checks that its digest comes back.
func (c *client) post(w want, head, body pieces) error {
	if err := c.send(strings.NewReader(c.postHead(w)), head); err != nil {
		return err
	}
	b, digest := c.postBody(w)
	if err := c.send(b, body); err != nil {
		return err
	}
	a, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	got, err := io.ReadAll(io.LimitReader(a.Body, 1<<10))
	switch {
	case err != nil:
		return err
	case a.StatusCode != http.StatusOK:
		return fmt.Errorf("status %s for a request with %d bytes", a.Status, w.size)
	case string(got) != digest():
		return fmt.Errorf("%w: the backend digested something else than %d bytes of seed %d", errContent, w.size, w.seed)
	}
	return nil
}

// chunks frames what it reads in the chunked transfer coding, in chunks of random size.
type chunks struct {
	from io.Reader
	rng  *rand.Rand
	out  []byte
	last bool
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.last {
			return 0, io.EOF
		}
		buf := make([]byte, 1+c.rng.IntN(32<<10))
		n, err := io.ReadFull(c.from, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
		if n > 0 {
			c.out = fmt.Appendf(c.out, "%x\r\n%s\r\n", n, buf[:n])
		}
		if err != nil {
			c.out, c.last = append(c.out, "0\r\n\r\n"...), true
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}
