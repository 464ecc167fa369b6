package engine_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPoolMultiplex has clients ask until the server has two of their requests on one connection that it has answered
// neither of, which comes to pass with pool.multiplex: pipeline only.
func TestPoolMultiplex(t *testing.T) {
	b := listen(t)
	var shared atomic.Bool
	go func() {
		for c := range b.accepted {
			go func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					time.Sleep(2 * time.Millisecond) // what comes meanwhile is received with the next
					asked := strings.Count(string(buf[:n]), "\r\n\r\n")
					if asked > 1 {
						shared.Store(true)
					}
					_, _ = c.Write([]byte(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", asked)))
				}
			}()
		}
	}()
	p := site{servers: []string{b.address}, service: "pool: {multiplex: pipeline, pipeline_depth: 4}"}.start(t)
	var running sync.WaitGroup
	deadline := time.Now().Add(patience)
	for range 4 {
		running.Go(func() {
			c := p.dial(t)
			defer c.close()
			for !shared.Load() && time.Now().Before(deadline) {
				c.say(get)
				if _, content := c.response(); content != "hi" {
					t.Errorf("a client got %q", content)
					return
				}
			}
		})
	}
	running.Wait()
	if !shared.Load() {
		t.Error("no two requests followed one another on a connection")
	}
}
