package reactor

import (
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// steppedTLS is an echoing server with TLS on a stepped loop, and the other end of its socket, with the records that
// n messages of a client make.
func steppedTLS(t testing.TB, l *EventLoop, version uint16, message []byte, n int) (peer int, records [][]byte) {
	us, peer := unixPair(t)
	t.Cleanup(func() { unix.Close(peer) })
	outside, err := unix.Dup(peer)
	if err != nil {
		t.Fatal(err)
	}
	tap := &tap{Conn: outsideOf(t, outside)}
	server := serverConfig()
	server.MaxVersion = version
	s := new(sink)
	s.echo()
	raw := l.Attach(us, nil)
	raw.SetSink(l.AcceptTLS(raw, server, func(c Conn, err error) Sink {
		if err != nil {
			t.Error(err)
		}
		s.conn = c
		return s
	}))
	client := tls.Client(tap, clientConfig())
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	for end := time.Now().Add(patience); s.conn == nil || len(done) == 0; runtime.Gosched() {
		l.turn()
		if time.Now().After(end) {
			t.Fatal("no handshake")
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	tap.Conn = swallower{}
	for range n {
		tap.sent = nil
		client.Write(message)
		records = append(records, tap.sent)
	}
	settleTurns(l)
	for buf := make([]byte, ReadSize); ; { // a ticket
		if _, errno := recv(int32(peer), buf); errno != 0 {
			return peer, records
		}
	}
}

// swallower is a net.Conn that takes everything and gives nothing.
type swallower struct{ net.Conn }

func (swallower) Read([]byte) (int, error) { return 0, io.EOF }

func (swallower) Write(p []byte) (int, error) { return len(p), nil }

// swap sends records and takes as many bytes of records back.
func swap(t testing.TB, l *EventLoop, peer int, records, buf []byte) {
	if n, err := unix.Write(peer, records); n != len(records) {
		t.Fatal(n, err)
	}
	for got := 0; got < len(records); {
		if worked, _ := l.turn(); !worked {
			t.Fatalf("%d of %d bytes came back", got, len(records))
		}
		for {
			n, errno := recv(int32(peer), buf)
			if errno != 0 {
				break
			}
			got += n
		}
	}
}

// BenchmarkTLSRecords is a record of 128 bytes there and one back, opened and sealed on the loop; the client's were
// sealed before.
func BenchmarkTLSRecords(b *testing.B) {
	l := stepper(b)
	peer, records := steppedTLS(b, l, tls.VersionTLS13, pattern(128), 100_000)
	buf := make([]byte, ReadSize)
	b.ResetTimer()
	for i := range b.N {
		if i == len(records) {
			b.Fatal("run it for fewer iterations")
		}
		swap(b, l, peer, records[i], buf)
	}
}

// BenchmarkTLSHandshakes is whole handshakes, the client's half too: with a server on a loop, and with one on
// goroutines of its own.
func BenchmarkTLSHandshakes(b *testing.B) {
	l := startLoop(b, Config{Handshakes: NewHandshakes(0, 0)})
	config := serverConfig()
	listener, _ := serve(b, "127.0.0.1:0", func(l *EventLoop, raw Conn) Sink {
		return l.AcceptTLS(raw, config, func(c Conn, err error) Sink { return acceptEcho(l, c) })
	}, l)
	addrs := map[string]Addr{"loop": listener.Addr(),
		"goroutines": tlsServer(b, config, func(c *tls.Conn) { io.Copy(c, c) })}
	for _, where := range []string{"loop", "goroutines"} {
		for _, kind := range []string{"full", "resumed"} {
			b.Run(where+"/"+kind, func(b *testing.B) {
				client := clientConfig()
				if kind == "resumed" {
					client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				}
				one := make([]byte, 1)
				for b.Loop() {
					raw, err := net.Dial("tcp", addrs[where].String())
					if err != nil {
						b.Fatal(err)
					}
					c := tls.Client(raw, client)
					c.Write(one)
					if _, err := io.ReadFull(c, one); err != nil {
						b.Fatal(err)
					}
					c.Close()
				}
			})
		}
	}
}

// helloOf is the ClientHello of a client that goes no further.
func helloOf(config *tls.Config) []byte {
	tap := &tap{Conn: swallower{}}
	tls.Client(tap, config).Handshake()
	return tap.sent
}

// BenchmarkEchoDuringHandshakes is how long a clear-text connection of a loop waits for its echo while clients begin
// handshakes, 50 at a time and 500 a second, and leave them.
func BenchmarkEchoDuringHandshakes(b *testing.B) {
	for _, c := range []struct {
		name  string
		bound *Handshakes
		pause time.Duration // between bursts; 0: there are none
	}{{"none", nil, 0}, {"unbounded", nil, time.Second / 10}, {"bounded", NewHandshakes(0, 0), time.Second / 10}} {
		b.Run(c.name, func(b *testing.B) {
			l := startLoop(b, Config{Handshakes: c.bound})
			config, hello := serverConfig(), helloOf(clientConfig())
			secure, _ := serve(b, "127.0.0.1:0", func(l *EventLoop, raw Conn) Sink {
				return l.AcceptTLS(raw, config, func(c Conn, err error) Sink { return nil })
			}, l)
			clear, _ := serve(b, "127.0.0.1:0", acceptEcho, l)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for c.pause > 0 {
					select {
					case <-stop:
						return
					case <-time.After(c.pause):
					}
					for range 50 {
						if out, err := net.Dial("tcp", secure.Addr().String()); err == nil {
							out.Write(hello)
							defer out.Close()
						}
					}
				}
			}()
			out, one := dial(b, clear.Addr()), make([]byte, 1)
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				out.Write(one)
				io.ReadFull(out, one)
				took = append(took, time.Since(begin))
			}
			close(stop)
			if c.pause > 0 {
				<-stopped
			}
			slices.SortFunc(took, cmp.Compare[time.Duration])
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "us-p99")
			b.ReportMetric(float64(took[len(took)*999/1000].Microseconds()), "us-p99.9")
		})
	}
}
