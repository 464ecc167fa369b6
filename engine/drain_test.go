package engine_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// drain begins a Shutdown; its result comes later.
func (p *proxy) drain(t testing.TB, d time.Duration) <-chan error {
	result := make(chan error, 1)
	go func() { result <- p.shutdown(t, d) }()
	return result
}

func TestDrain(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}}.start(t)
	idle, fresh, waiting, uploading := p.dial(t), p.dial(t), p.dial(t), p.dial(t)
	idle.say(get)
	server := b.accept(t)
	server.answer()
	idle.hear(response("/ "))
	waiting.say(get)
	server.head()
	uploading.say("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
	upload := b.accept(t)
	upload.head()

	result := p.drain(t, 0)
	idle.hearEnd()
	fresh.hearEnd()
	server.say(response("late"))
	waiting.hear("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate")
	waiting.hearEnd()
	waiting.close()
	uploading.say("cd")
	upload.hear("abcd")
	upload.say(response("up"))
	uploading.hear("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nup")
	uploading.hearEnd()
	uploading.close()
	upload.hearEnd()
	server.hearEnd()
	if err := <-result; err != nil {
		t.Error(err)
	}
	b.expectNoMore(t)
}

// TestDrainInsideResponse has a response whose head was sent before the drain began: its connection ends all the same.
func TestDrainInsideResponse(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}}.start(t)
	client, idle := p.dial(t), p.dial(t)
	client.say(get)
	server := b.accept(t)
	server.head()
	server.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
	client.hear("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
	result := p.drain(t, 0)
	idle.hearEnd()
	server.say("cd")
	client.hear("cd")
	client.hearEnd()
	client.close()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestDrainTimeout(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}}.start(t)
	client := p.dial(t)
	client.say(get)
	server := b.accept(t)
	server.head()
	if err := <-p.drain(t, 50*time.Millisecond); err == nil {
		t.Error("Shutdown does not tell that it cut a request off")
	}
	client.hearLoss()
	server.hearLoss()
}

// TestDrainDeliversQueued shuts down while the proxy itself holds the end of a response that its client does not read:
// one that is just small enough for the proxy to take all of it from the server.
func TestDrainDeliversQueued(t *testing.T) {
	b := listen(t)
	p := site{servers: []string{b.address}}.start(t)
	var clients []*peer
	var want []string
	taken, refused := 0, 0
	for size := 128 << 10; refused == 0 || refused-taken > 32<<10; {
		client := p.dial(t)
		client.say(get)
		server := b.accept(t)
		server.head()
		content := strings.Repeat("0123456789abcdef", size/16)
		head := fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
		go server.conn.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + content))
		server.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := server.conn.Read(make([]byte, 1))
		switch {
		case errors.Is(err, io.EOF):
			taken = size
			clients, want = append(clients, client), append(want, "HTTP/1.1 200 OK\r\n"+head+content)
		case errors.Is(err, os.ErrDeadlineExceeded):
			refused = size
			client.reset()
		default:
			t.Fatal(err)
		}
		size = 2 * taken
		if refused > 0 {
			size = (taken + refused) / 2
		}
	}
	other := p.dial(t)
	result := p.drain(t, 0)
	other.hearEnd()
	for i, c := range clients {
		c.hear(want[i])
		c.hearEnd()
		c.close()
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestMaxConnections has more clients than an entry point takes: the others wait until there is room.
func TestMaxConnections(t *testing.T) {
	b := listen(t)
	b.serve("x")
	p := site{servers: []string{b.address}, entry: "max_connections: 2"}.start(t)
	one, two, three := p.dial(t), p.dial(t), p.dial(t)
	for _, c := range []*peer{one, two} {
		c.say(get)
		c.hear(response("x"))
	}
	three.say(get)
	one.say(get) // goes through the loop behind what the third sent
	one.hear(response("x"))
	three.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := three.conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a third connection was served: %d, %v", n, err)
	}
	one.close()
	three.hear(response("x"))
}

// TestMaxConnectionsOfAll has more clients than the process takes, at two addresses.
func TestMaxConnectionsOfAll(t *testing.T) {
	b := listen(t)
	b.serve("x")
	const text = "entrypoints: {web: {address: '127.0.0.1:0'}, other: {address: '127.0.0.1:0'}}\n" +
		"services: {main: {servers: [{url: 'http://%s'}]}}\nrouters: {main: {rule: 'Host(`*`)', service: main}}\n" +
		"shutdown: {idle_close_seconds: 0}\nlimits: {max_connections: %d}\n"
	p := startText(t, fmt.Sprintf(text, b.address, 2), 1) // loops that accept at once may each take one more
	one, two := p.dial(t), dialPeer(t, p.Addr("other").String())
	for _, c := range []*peer{one, two} {
		c.say(get)
		c.hear(response("x"))
	}
	waits := func(c *peer) {
		t.Helper()
		c.say(get)
		c.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := c.conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("one connection too many was served: %d, %v", n, err)
		}
	}
	three := dialPeer(t, p.Addr("other").String())
	waits(three)
	one.close() // at the other address there is room now
	three.hear(response("x"))
	four := p.dial(t)
	waits(four)
	if err := p.Reload(parse(t, fmt.Sprintf(text, b.address, 3))); err != nil {
		t.Fatal(err)
	}
	four.hear(response("x"))
}

// TestMaxConnectionsComeAndGo has clients come and go on two loops; none may be forgotten in the kernel's queue.
func TestMaxConnectionsComeAndGo(t *testing.T) {
	b := listen(t)
	b.serve("x")
	for _, limit := range []int{1, 3} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			p := site{servers: []string{b.address}, loops: 2, entry: fmt.Sprintf("max_connections: %d", limit)}.start(t)
			var running sync.WaitGroup
			for range 8 {
				running.Go(func() {
					for range 50 {
						if status, _ := p.ask(t, get); status != "200" {
							t.Errorf("got %s", status)
							return
						}
					}
				})
			}
			running.Wait()
		})
	}
}
