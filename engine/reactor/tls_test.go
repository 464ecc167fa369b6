package reactor

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
)

func TestTLSServerEchoes(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		server.NextProtos, client.NextProtos = []string{"a", "b"}, []string{"b"}
		l := startLoop(t, Config{Handshakes: NewHandshakes(0, 0)})
		c, conn := tlsPair(t, l, server, client, (*sink).echo)
		on(t, l, func() {
			if s := conn.TLS(); s == nil || s.NegotiatedProtocol != "b" || s.ServerName != serverName ||
				s.Version != client.MaxVersion {
				t.Errorf("state %+v", s)
			}
		})
		sent := pattern(10 << 20)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes back, %v", len(got), len(sent), err)
		}
	})
}

func TestTLSClientEchoes(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		addr := tlsServer(t, server, func(c *tls.Conn) { io.Copy(c, c); c.CloseWrite() })
		l := startLoop(t, Config{Handshakes: NewHandshakes(0, 0)})
		sent := pattern(3 << 20)
		var got []byte
		end := make(chan struct{})
		s, err := dialTLS(t, l, addr, client, func(s *sink) {
			s.conn.Write(sent[:100])
			s.conn.Write(sent[100:20_000])
			if q := s.conn.Queued(); q != 20_000 {
				t.Errorf("%d bytes queued before the handshake", q)
			}
			s.data = func() {
				s.take(&got)
				if s.conn.EOF() {
					close(end)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		on(t, l, func() {
			s.conn.Write(sent[20_000:])
			s.conn.CloseWrite()
		})
		await(t, end)
		if !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes back", len(got), len(sent))
		}
		on(t, l, func() { s.conn.Close(false) })
	})
}
