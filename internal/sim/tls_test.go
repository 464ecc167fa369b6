package sim

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

// acceptTLS listens with TLS; the connections that come through are server's.
func acceptTLS(l *Loop, at reactor.Addr, config *tls.Config, server *peer, failed *error) {
	l.Listen(at, func(raw reactor.Conn) reactor.Sink {
		return l.AcceptTLS(raw, config, func(c reactor.Conn, err error) reactor.Sink {
			if err != nil {
				*failed = err
				return nil
			}
			server.conn = c
			return server
		})
	})
}

func TestTLS(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		client, server := newPeer(t, "client"), newPeer(t, "server")
		acceptTLS(l, tcpAddress, &tls.Config{NextProtos: []string{"h2"}}, server, nil)
		client.conn = l.DialTLS(tcpAddress, &tls.Config{ServerName: "name"}, client)
		client.conn.Write([]byte("early"))
		if client.conn.TLS() != nil || client.conn.Queued() != 5 {
			t.Fatal("before the handshake")
		}
		l.Run()
		if s := client.conn.TLS(); s == nil || s.ServerName != "name" || s.NegotiatedProtocol != "" {
			t.Fatalf("client: %+v", s)
		}
		if s := server.conn.TLS(); s == nil || s.NegotiatedProtocol != "h2" || string(server.got) != "early" {
			t.Fatalf("server: %+v, got %q", s, server.got)
		}
		if client.drains != 1 || server.drains != 0 {
			t.Fatalf("client heard %v, server %v", client.heard, server.heard)
		}
		server.conn.Write([]byte("back"))
		l.Run()
		if _, ok := client.conn.Detach(); ok || string(client.got) != "back" {
			t.Fatalf("client got %q, detached: %v", client.got, ok)
		}
	})
}

func TestTLSHandshakeFails(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		why := errors.New("why")
		l.Handshake = func(c *tls.Config) (tls.ConnectionState, error) { return tls.ConnectionState{}, why }
		client := newPeer(t, "client")
		var failed error
		acceptTLS(l, tcpAddress, &tls.Config{}, nil, &failed)
		client.conn = l.DialTLS(tcpAddress, &tls.Config{}, client)
		l.Run()
		l.Advance(time.Minute)
		for _, err := range []error{failed, client.err} {
			if e, ok := errors.AsType[*reactor.HandshakeError](err); !ok ||
				e.Reason != reactor.HandshakeClosed && !errors.Is(e, why) {
				t.Fatal(err)
			}
		}
		if l.Open() != 0 {
			t.Fatalf("%d ends open", l.Open())
		}
	})
}

// A handshake that its owner gives up is not heard of any more; the other side sees it closed.
func TestTLSGivenUp(t *testing.T) {
	eachSeed(t, func(t *testing.T, l *Loop) {
		l.Net.Delay = time.Millisecond
		client := newPeer(t, "client")
		l.Listen(tcpAddress, func(raw reactor.Conn) reactor.Sink {
			l.Defer(raw.Abort)
			return l.AcceptTLS(raw, &tls.Config{}, func(reactor.Conn, error) reactor.Sink {
				t.Error("done was called")
				return nil
			})
		})
		client.conn = l.DialTLS(tcpAddress, &tls.Config{}, client)
		l.Run()
		if client.err == nil {
			t.Fatal("the client heard nothing")
		}
		refused := newPeer(t, "refused")
		refused.conn = l.DialTLS(unixAddress, &tls.Config{}, refused)
		l.Run()
		if _, ok := errors.AsType[*reactor.HandshakeError](refused.err); ok || refused.err == nil {
			t.Fatalf("nobody listens: %v", refused.err)
		}
		late := newPeer(t, "late")
		late.conn = l.DialTLS(tcpAddress, &tls.Config{}, late)
		late.conn.Write([]byte("lost"))
		late.conn.Close(true)
		l.Run()
		if len(late.heard) != 0 || late.conn.Unsent() != 4 || l.Open() != 0 {
			t.Fatalf("heard %v, %d bytes unsent, %d ends open", late.heard, late.conn.Unsent(), l.Open())
		}
	})
}
