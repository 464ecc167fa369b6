package frontend_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// A server ends connections as soon as they are open, and a busy loop learns of both at once. Each costs a try.
func TestServerThatHangsUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := atomic.Int64{}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			c.Close()
		}
	}()
	busy := func(time.Duration) { time.Sleep(5 * time.Millisecond) }
	_, address := proxyOn(t, reactor.Config{OnTurn: busy}, listener.Addr())
	client, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(client, get); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("HTTP/1.1 502 "))
	_, err = io.ReadFull(client, head)
	if n := accepted.Load(); err != nil || !strings.HasSuffix(string(head), " 502 ") || n > 2 {
		t.Errorf("after %d connections the client got %q, %v", n, head, err)
	}
}
