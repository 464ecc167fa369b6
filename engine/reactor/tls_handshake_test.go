package reactor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

func TestTLSHandshakeFails(t *testing.T) {
	_, pool := testCertificate()
	for _, c := range []struct {
		name     string
		configs  func(server, client *tls.Config)
		accepted HandshakeReason // what the server of the two hears when it is ours
		dialled  HandshakeReason // what the client hears when that is ours
	}{
		{"version", func(s, c *tls.Config) { s.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS12 },
			HandshakeVersion, HandshakeRefused},
		{"cipher", func(s, c *tls.Config) {
			s.MaxVersion = tls.VersionTLS12
			s.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}, HandshakeCipher, HandshakeRefused},
		{"group", func(s, c *tls.Config) {
			s.CurvePreferences, c.CurvePreferences = []tls.CurveID{tls.X25519}, []tls.CurveID{tls.CurveP256}
		}, HandshakeCipher, HandshakeRefused},
		{"no certificate for the name", func(s, c *tls.Config) {
			s.Certificates = nil
			s.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
		}, HandshakeName, HandshakeRefused},
		{"alpn", func(s, c *tls.Config) { s.NextProtos, c.NextProtos = []string{"a"}, []string{"b"} },
			HandshakeALPN, HandshakeRefused},
		{"no client certificate", func(s, c *tls.Config) { s.ClientAuth = tls.RequireAndVerifyClientCert },
			HandshakeClientCertificate, HandshakeRefused},
		{"no client certificate, TLS 1.2", func(s, c *tls.Config) {
			s.ClientAuth, s.MaxVersion = tls.RequireAndVerifyClientCert, tls.VersionTLS12
		}, HandshakeClientCertificate, HandshakeRefused},
		{"another's client certificate", func(s, c *tls.Config) {
			s.ClientAuth, c.Certificates = tls.RequireAndVerifyClientCert, s.Certificates
		}, HandshakeClientCertificate, HandshakeRefused},
		{"another's server certificate", func(s, c *tls.Config) { c.RootCAs = nil },
			HandshakeRefused, HandshakeServerCertificate},
		{"another name", func(s, c *tls.Config) { c.ServerName = "other.test" },
			HandshakeRefused, HandshakeServerCertificate},
		{"error of the configuration", func(s, c *tls.Config) {
			s.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, io.ErrNoProgress }
		}, HandshakeOther, HandshakeRefused},
		{"panic of the configuration", func(s, c *tls.Config) {
			s.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("oops") }
		}, HandshakeOther, HandshakeClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, client := serverConfig(), clientConfig()
			c.configs(server, client)
			if server.ClientAuth != tls.NoClientCert && client.Certificates == nil {
				server.ClientCAs = pool
			}
			l := startLoop(t, Config{Handshakes: NewHandshakes(1, 1)})
			out, fd := tcpPair(t)
			_, outcomes := acceptTLS(t, l, fd, server, nil)
			// In TLS 1.3 a client may learn only by reading that its part was refused.
			peer := tls.Client(out, client)
			err := peer.Handshake()
			if err == nil {
				_, err = peer.Read(make([]byte, 1))
			}
			if err == nil {
				t.Error("the client was not refused")
			}
			o := await(t, outcomes)
			out.Close()
			if e, ok := errors.AsType[*HandshakeError](o.err); !ok || o.conn != nil || e.Reason != c.accepted {
				t.Errorf("accepting: %v, want %v", o, c.accepted)
			}
			waitOpen(t, l, 0)
			if c.name == "panic of the configuration" {
				return // the peer is the test's
			}
			addr := tlsServer(t, server, func(c *tls.Conn) { c.Handshake() })
			_, err = dialTLS(t, l, addr, client, nil)
			if err == nil && c.dialled == HandshakeRefused {
				return // told by OnClosed later, as that of any connection
			}
			if e, ok := errors.AsType[*HandshakeError](err); !ok || e.Reason != c.dialled {
				t.Errorf("dialling: %v, want %v", err, c.dialled)
			}
			waitOpen(t, l, 0)
		})
	}
}

// TestTLSGarbage: what is no TLS is refused as soon as five bytes tell.
func TestTLSGarbage(t *testing.T) {
	l := startLoop(t, Config{})
	for _, c := range []struct {
		bytes string
		want  HandshakeReason
	}{
		{"GET / HTTP/1.1\r\n\r\n", HandshakeNotTLS},
		{"GET /", HandshakeNotTLS},
		{"\x16\x03\x01\xff\xff", HandshakeOther},                 // too large
		{"\x17\x03\x01\x00\x01x", HandshakeNotTLS},               // data
		{"\x16\x03\x01\x00\x04\x01\xff\xff\xff", HandshakeOther}, // a message that is too large
		{"\x80\x2e\x01\x00\x02", HandshakeVersion},               // SSL 2
	} {
		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, serverConfig(), nil)
		out.Write([]byte(c.bytes))
		if e, ok := errors.AsType[*HandshakeError](await(t, outcomes).err); !ok || e.Reason != c.want {
			t.Errorf("%q: %v, want %v", c.bytes, e, c.want)
		}
		out.CloseWrite()
		if _, err := io.ReadAll(out); err != nil {
			t.Errorf("%q: the peer saw %v", c.bytes, err)
		}
	}
	waitOpen(t, l, 0)
}

// TestTLSPeerLeaves: a peer that goes away at any time of the handshake ends it.
func TestTLSPeerLeaves(t *testing.T) {
	l := startLoop(t, Config{Handshakes: NewHandshakes(1, 1)})
	for name, leave := range map[string]func(*net.TCPConn){
		"at once":      func(c *net.TCPConn) { c.Close() },
		"in a record":  func(c *net.TCPConn) { c.Write([]byte("\x16\x03\x01\x00\x20half")); c.Close() },
		"with a reset": func(c *net.TCPConn) { c.Write([]byte("\x16\x03")); c.SetLinger(0); c.Close() },
		"half-way": func(c *net.TCPConn) {
			tls.Client(&corked{Conn: c}, clientConfig()).Handshake()
			c.Close()
		},
	} {
		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, serverConfig(), nil)
		leave(out)
		if e, ok := errors.AsType[*HandshakeError](await(t, outcomes).err); !ok || e.Reason != HandshakeClosed {
			t.Errorf("%s: %v", name, e)
		}
	}
	waitOpen(t, l, 0)
}

func TestTLSDialFails(t *testing.T) {
	l := startLoop(t, Config{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := Addr{TCP: listener.Addr().(*net.TCPAddr).AddrPort()}
	listener.Close()
	_, err = dialTLS(t, l, addr, clientConfig(), nil)
	if _, ok := errors.AsType[*HandshakeError](err); ok || err == nil {
		t.Errorf("nobody listens: %v", err)
	}
	server := tlsServer(t, serverConfig(), func(c *tls.Conn) { c.NetConn().Read(make([]byte, 10)) })
	_, err = dialTLS(t, l, server, clientConfig(), nil)
	if e, ok := errors.AsType[*HandshakeError](err); !ok || e.Reason != HandshakeClosed {
		t.Errorf("the server leaves: %v", err)
	}
}

// TestYield: the loop makes a turn in the middle of a handshake, which goes on behind it; one that was given up does not
// wait. Elsewhere there is nobody to yield to.
func TestYield(t *testing.T) {
	Yield(t.Context())
	l := startLoop(t, Config{Handshakes: NewHandshakes(1, 1)})
	config := serverConfig()
	var turned, seen atomic.Bool
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		l.Post(func() { turned.Store(true) })
		Yield(h.Context())
		seen.Store(turned.Load())
		return nil, nil
	}
	tlsPair(t, l, config, clientConfig(), (*sink).echo)
	if !seen.Load() {
		t.Error("the handshake went on before the loop did what it was told")
	}

	entered, standing, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		close(entered)
		<-standing
		Yield(h.Context())
		close(left)
		return nil, nil
	}
	out, fd := tcpPair(t)
	raw, _ := acceptTLS(t, l, fd, config, nil)
	go tls.Client(out, clientConfig()).Handshake()
	await(t, entered)
	on(t, l, raw.Abort)
	close(standing)
	await(t, left)
}

// TestYieldToOneWhoWaits: a handshake that yields goes on when nobody waits any more, or after yieldTime.
func TestYieldToOneWhoWaits(t *testing.T) {
	for _, served := range []bool{true, false} {
		var waits atomic.Bool
		waits.Store(true)
		l := startLoop(t, Config{Handshakes: NewHandshakes(1, 1), Busy: waits.Load})
		config := serverConfig()
		config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if served {
				l.Post(func() { // the first turn, in which the handshake yields, ends with somebody waiting
					l.Post(func() { waits.Store(false) })
				})
			}
			began := Clock()
			Yield(h.Context())
			if took := Clock().Sub(began); waits.Load() && took < yieldTime {
				t.Errorf("a handshake went on after %v while somebody waited", took)
			}
			return nil, nil
		}
		tlsPair(t, l, config, clientConfig(), (*sink).echo)
	}
}

// stuck is a server's configuration whose handshakes stand still in the middle of computing, until they are cancelled.
func stuck() (config *tls.Config, standing chan context.Context) {
	config, standing = serverConfig(), make(chan context.Context, 100)
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		standing <- h.Context()
		<-h.Context().Done()
		return nil, h.Context().Err()
	}
	return config, standing
}

// TestTLSOwnerGivesUp: an owner may close its connection at any time of the handshake, and hears nothing of it then.
func TestTLSOwnerGivesUp(t *testing.T) {
	for name, give := range map[string]func(Conn){
		"abort": Conn.Abort, "close": func(c Conn) { c.Close(false) }, "linger": func(c Conn) { c.Close(true) },
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHandshakes(1, 1)
			l := startLoop(t, Config{Handshakes: h})
			config, standing := stuck()

			// Before anything came.
			out, fd := tcpPair(t)
			raw, silent := acceptTLS(t, l, fd, config, nil)
			on(t, l, func() { give(raw) })
			out.Close()

			// While it computes, and another waits for that.
			out, fd = tcpPair(t)
			raw, computing := acceptTLS(t, l, fd, config, nil)
			go tls.Client(out, clientConfig()).Handshake()
			ctx := await(t, standing)
			other, fd := tcpPair(t)
			waiting, queued := acceptTLS(t, l, fd, config, nil)
			go tls.Client(other, clientConfig()).Handshake()
			waitQueued(t, l, &h.accepts, 1)
			on(t, l, func() { give(waiting) })
			waitQueued(t, l, &h.accepts, 0)
			on(t, l, func() { give(raw) })
			await(t, ctx.Done())
			other.Close()
			out.Close()

			// While it awaits the client's second flight; the place to compute is free by then.
			out, fd = tcpPair(t)
			raw, awaiting := acceptTLS(t, l, fd, serverConfig(), nil)
			go tls.Client(&corked{Conn: out}, clientConfig()).Handshake()
			waitState(t, l, raw, shakeAwaiting)
			on(t, l, func() { give(raw) })
			out.Close()

			waitOpen(t, l, 0)
			on(t, l, func() {})
			if n := len(silent) + len(computing) + len(queued) + len(awaiting); n > 0 {
				t.Errorf("%d outcomes were told", n)
			}
			waitFree(t, l, &h.accepts, 1)
		})
	}
}

// TestTLSDialGivenUp is the same of dials.
func TestTLSDialGivenUp(t *testing.T) {
	h := NewHandshakes(1, 1)
	l := startLoop(t, Config{Handshakes: h})
	heard := make(chan struct{}, 10)
	addr := tlsServer(t, serverConfig(), func(c *tls.Conn) {
		if n, _ := c.NetConn().Read(make([]byte, 10)); n > 0 {
			heard <- struct{}{}
		}
		io.Copy(io.Discard, c.NetConn())
	})
	for _, give := range []func(Conn){Conn.Abort, func(c Conn) { c.Close(true) }} {
		for _, when := range []string{"at once", "half-way"} {
			s := &sink{drained: func() { t.Error("OnDrained") }, closed: func(err error) { t.Error(err) }}
			on(t, l, func() {
				s.conn = l.DialTLS(addr, clientConfig(), s)
				s.conn.Write([]byte("early"))
				if when == "at once" {
					give(s.conn)
				}
			})
			if when == "half-way" {
				await(t, heard)
				on(t, l, func() { give(s.conn) })
			}
			waitOpen(t, l, 0)
			on(t, l, func() {
				if s.conn.Unsent() != 5 {
					t.Errorf("%d bytes unsent", s.conn.Unsent())
				}
			})
		}
	}
	waitFree(t, l, &h.dials, 1)
}

// TestTLSLoopStops: handshakes end with their loop, and give their places back.
func TestTLSLoopStops(t *testing.T) {
	h := NewHandshakes(1, 5)
	config, standing := stuck()
	l := newLoop(t, Config{Handshakes: h})
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	var all []chan outcome
	for range 3 {
		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, config, nil)
		go tls.Client(out, clientConfig()).Handshake()
		all = append(all, outcomes)
	}
	await(t, standing)
	waitQueued(t, l, &h.accepts, 2)
	l.Shutdown()
	for _, outcomes := range all {
		if e, ok := errors.AsType[*HandshakeError](await(t, outcomes).err); !ok || !errors.Is(e, ErrStopped) {
			t.Error(e)
		}
	}
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	waitFree(t, startLoop(t, Config{}), &h.accepts, 1)
}
