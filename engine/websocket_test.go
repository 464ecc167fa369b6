package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// chat is a proxy in front of a WebSocket server, both of a library that knows nothing of each other's side.
type chat struct {
	t     *testing.T
	proxy *proxy
	ctx   context.Context

	extensions string // agreed on for the last connection dialled
}

// startChat serves WebSocket connections with talk, through a proxy of this site.
func startChat(t *testing.T, s site, o *websocket.AcceptOptions, talk func(context.Context, *websocket.Conn) error) *chat {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, o)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(4 << 20)
		if err := talk(ctx, c); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	s.servers = []string{server.Listener.Addr().String()}
	p := s.start(t)
	t.Cleanup(cancel)
	return &chat{t: t, proxy: p, ctx: ctx}
}

// dial opens a WebSocket connection. raw is the socket below it.
func (c *chat) dial(o websocket.DialOptions) (conn *websocket.Conn, raw *net.TCPConn) {
	c.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		d, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			raw = d.(*net.TCPConn)
		}
		return d, err
	}}
	o.HTTPClient = &http.Client{Transport: transport}
	conn, response, err := websocket.Dial(c.ctx, "ws://"+c.proxy.address+"/chat", &o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.extensions = response.Header.Get("Sec-WebSocket-Extensions")
	c.t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(4 << 20)
	return conn, raw
}

// echo returns every message until the client closes, which must say how.
func echo(ctx context.Context, c *websocket.Conn) error {
	for {
		kind, message, err := c.Read(ctx)
		if status := websocket.CloseStatus(err); status == websocket.StatusNormalClosure {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.Write(ctx, kind, message); err != nil {
			return err
		}
	}
}

// TestWebSocketMessages sends messages of every kind through the proxy and gets each of them back.
func TestWebSocketMessages(t *testing.T) {
	large := bytes.Repeat([]byte("All work and no play makes Jack a dull boy. "), 1<<20/44)
	for _, c := range []struct {
		name        string
		site        site
		compression websocket.CompressionMode
	}{
		{"plain frames", site{}, websocket.CompressionDisabled},
		{"every call by itself", site{plain: true}, websocket.CompressionDisabled},
		{"permessage-deflate", site{}, websocket.CompressionContextTakeover},
		{"permessage-deflate, each by itself", site{loops: 2}, websocket.CompressionNoContextTakeover},
	} {
		t.Run(c.name, func(t *testing.T) {
			chat := startChat(t, c.site, &websocket.AcceptOptions{Subprotocols: []string{"b", "c"}, CompressionMode: c.compression}, echo)
			conn, _ := chat.dial(websocket.DialOptions{Subprotocols: []string{"a", "b"}, CompressionMode: c.compression})
			if p := conn.Subprotocol(); p != "b" {
				t.Errorf("subprotocol %q", p)
			}
			if deflates := strings.Contains(chat.extensions, "permessage-deflate"); deflates != (c.compression != websocket.CompressionDisabled) {
				t.Errorf("extensions %q", chat.extensions)
			}
			for _, m := range []struct {
				kind    websocket.MessageType
				message []byte
			}{
				{websocket.MessageText, []byte("hello")},
				{websocket.MessageBinary, []byte{0, 1, 2, 0xff}},
				{websocket.MessageText, nil},
				{websocket.MessageBinary, large},
				{websocket.MessageText, []byte("bye")},
			} {
				if err := conn.Write(chat.ctx, m.kind, m.message); err != nil {
					t.Fatal(err)
				}
				kind, got, err := conn.Read(chat.ctx)
				if err != nil || kind != m.kind || !bytes.Equal(got, m.message) {
					t.Fatalf("%v of %d bytes came back as %v of %d, %v", m.kind, len(m.message), kind, len(got), err)
				}
			}
			if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A message in many fragments, with a ping between two of them, arrives as one.
func TestWebSocketFragments(t *testing.T) {
	chat := startChat(t, site{}, nil, echo)
	conn, _ := chat.dial(websocket.DialOptions{})
	received := make(chan []byte, 1)
	go func() {
		_, got, err := conn.Read(chat.ctx)
		if err != nil {
			t.Error(err)
		}
		received <- got
		conn.CloseRead(chat.ctx)
	}()
	w, err := conn.Writer(chat.ctx, websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	piece := strings.Repeat("abcdefgh", 1000) // more than the library keeps together
	for i := range 20 {
		if _, err := io.WriteString(w, piece); err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			if err := conn.Ping(chat.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-received; string(got) != strings.Repeat(piece, 20) {
		t.Errorf("%d bytes came back", len(got))
	}
	if err := conn.Ping(chat.ctx); err != nil {
		t.Error(err)
	}
	conn.Close(websocket.StatusNormalClosure, "")
}

// Either side closes with a status and a reason, which the other one hears.
func TestWebSocketCloses(t *testing.T) {
	heard := make(chan error, 1)
	ends := make(chan struct{}, 1)
	chat := startChat(t, site{}, nil, func(ctx context.Context, c *websocket.Conn) error {
		kind, _, err := c.Read(ctx)
		if err == nil && kind == websocket.MessageText {
			return c.Close(websocket.StatusTryAgainLater, "server says so")
		}
		heard <- err
		ends <- struct{}{}
		return nil
	})
	isClose := func(who string, err error, code websocket.StatusCode, reason string) {
		t.Helper()
		var e websocket.CloseError
		if !errors.As(err, &e) || e.Code != code || e.Reason != reason {
			t.Errorf("the %s heard %v, want %d %q", who, err, code, reason)
		}
	}
	first, _ := chat.dial(websocket.DialOptions{})
	if err := first.Close(4000, "client says so"); err != nil {
		t.Error(err)
	}
	isClose("server", <-heard, 4000, "client says so")
	<-ends

	second, _ := chat.dial(websocket.DialOptions{})
	if err := second.Write(chat.ctx, websocket.MessageText, []byte("close")); err != nil {
		t.Fatal(err)
	}
	_, _, err := second.Read(chat.ctx)
	isClose("client", err, websocket.StatusTryAgainLater, "server says so")
}

// A side that vanishes without a word is missed by the other one.
func TestWebSocketVanishes(t *testing.T) {
	heard := make(chan error, 1)
	chat := startChat(t, site{}, nil, func(ctx context.Context, c *websocket.Conn) error {
		kind, _, err := c.Read(ctx)
		if err == nil && kind == websocket.MessageText {
			return c.CloseNow()
		}
		heard <- err
		return nil
	})
	for _, linger := range []int{0, -1} { // a reset, and a connection that just ends
		first, raw := chat.dial(websocket.DialOptions{})
		raw.SetLinger(linger)
		raw.Close()
		if err := <-heard; err == nil || websocket.CloseStatus(err) != -1 {
			t.Errorf("the server heard %v of a client that vanished", err)
		}
		first.CloseNow()
	}
	second, _ := chat.dial(websocket.DialOptions{})
	if err := second.Write(chat.ctx, websocket.MessageText, []byte("vanish")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := second.Read(chat.ctx); err == nil || websocket.CloseStatus(err) != -1 || chat.ctx.Err() != nil {
		t.Errorf("the client heard %v of a server that vanished", err)
	}
}

// Many connections talk at once, beside ordinary requests, and each gets its own messages.
func TestManyWebSockets(t *testing.T) {
	chat := startChat(t, site{loops: 2}, nil, echo)
	var talking sync.WaitGroup
	for i := range 50 {
		conn, _ := chat.dial(websocket.DialOptions{})
		talking.Go(func() {
			for n := range 20 {
				message := fmt.Appendf(nil, "%d/%d %s", i, n, strings.Repeat("x", i*n))
				if err := conn.Write(chat.ctx, websocket.MessageText, message); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := conn.Read(chat.ctx); err != nil || !bytes.Equal(got, message) {
					t.Errorf("%q came back as %q, %v", message, got, err)
					return
				}
			}
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Wait()
}

// A server that speaks WebSocket answers a client that does not as if the proxy were not there.
func TestWebSocketServerRefuses(t *testing.T) {
	backend := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(backend.Close)
	p := site{servers: []string{backend.Listener.Addr().String()}}.start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, response, err := websocket.Dial(ctx, "ws://"+p.address, &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{}}})
	if err == nil || response == nil || response.StatusCode != 404 || !response.Close {
		t.Errorf("%v, %v", response, err)
	}
}
