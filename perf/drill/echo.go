package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// startEcho runs a server that sends every message of a WebSocket back. Its Addr is where it listens.
func startEcho() (*http.Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: l.Addr().String(), ReadHeaderTimeout: exchangeTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})}
	go func() { _ = s.Serve(l) }()
	return s, nil
}

// echoing sends messages over one WebSocket until ctx ends. A break is counted, and a new one opened.
func echoing(ctx context.Context, address string, every time.Duration, t *tally) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := echo(ctx, address, tick.C, t); err != nil {
			t.fail(cause(err))
			_ = wait(ctx, tick.C)
		}
	}
}

// echo is one WebSocket. It returns no error when ctx ended.
func echo(ctx context.Context, address string, tick <-chan time.Time, t *tally) error {
	c, _, err := websocket.Dial(ctx, "ws://"+address+"/echo", nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for n := 0; ; n++ {
		if wait(ctx, tick) != nil {
			return nil
		}
		began, want := time.Now(), fmt.Sprintf("message %d", n)
		if err := exchangeMessage(c, want); err != nil {
			return err
		}
		t.served(time.Since(began))
	}
}

// exchangeMessage sends a message and takes its echo. It does not end with the drill: a message under way counts.
func exchangeMessage(c *websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, got, err := c.Read(ctx)
	if err == nil && string(got) != text {
		err = fmt.Errorf("echo is %q", got)
	}
	return err
}
