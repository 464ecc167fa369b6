package reactor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// memoryConn is a net.Conn over memory that gives one byte at a time while it drips, and an error that is Temporary
// before each of them; otherwise it blocks.
type memoryConn struct {
	transport // its deadlines and addresses
	in        chan []byte
	rest      []byte
	out       chan []byte
	drips     bool
	given     bool // the last Read gave a byte
}

// Read belongs to one goroutine.
func (m *memoryConn) Read(p []byte) (int, error) {
	if m.drips && m.given {
		m.given = false
		return 0, errNoRecord
	}
	for len(m.rest) == 0 {
		select {
		case m.rest = <-m.in:
		default:
			if m.drips {
				return 0, errNoRecord
			}
			m.rest = <-m.in
		}
	}
	n := len(m.rest)
	if m.drips {
		m.given, n = true, 1
	}
	n = copy(p, m.rest[:n])
	m.rest = m.rest[n:]
	return n, nil
}

func (m *memoryConn) Write(p []byte) (int, error) {
	m.out <- bytes.Clone(p)
	return len(p), nil
}

func (m *memoryConn) Close() error         { return nil }
func (m *memoryConn) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (m *memoryConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// memoryPair is a client and a server over memory, their handshakes done.
func memoryPair(t *testing.T, server, client *tls.Config) (s, c *tls.Conn, ofServer, ofClient *memoryConn) {
	t.Helper()
	there, back := make(chan []byte, 1000), make(chan []byte, 1000)
	ofServer, ofClient = &memoryConn{in: there, out: back}, &memoryConn{in: back, out: there}
	s, c = tls.Server(ofServer, server), tls.Client(ofClient, client)
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done); err != nil {
		t.Fatal(err)
	}
	return s, c, ofServer, ofClient
}

// keyLog collects the secrets of a handshake.
type keyLog struct{ strings.Builder }

// secret is the one with this label.
func (k *keyLog) secret(t *testing.T, label string) []byte {
	t.Helper()
	for line := range strings.Lines(k.String()) {
		if f := strings.Fields(line); f[0] == label {
			b, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("no %s", label)
	return nil
}

// sealedBy13 is a record of TLS_AES_128_GCM_SHA256 under a traffic secret, the seq-th (RFC 8446 sections 5.2, 7.3).
func sealedBy13(t *testing.T, secret []byte, seq uint64, kind byte, content []byte) []byte {
	t.Helper()
	expand := func(label string, n int) []byte {
		info := fmt.Appendf([]byte{0, byte(n), byte(6 + len(label))}, "tls13 %s\x00", label)
		b, err := hkdf.Expand(sha256.New, secret, string(info), n)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nonce := expand("iv", 12)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^seq)
	header := []byte{23, 3, 3, 0, byte(len(content) + 1 + 16)}
	return append(header, gcm(t, expand("key", 16)).Seal(nil, nonce, append(bytes.Clone(content), kind), header)...)
}

// sealedBy12 is a client's record of a suite with AES-128-GCM and SHA-256, the seq-th (RFC 5246 section 6.3, RFC 5288).
func sealedBy12(t *testing.T, master, clientRandom, serverRandom []byte, seq uint64, kind byte, content []byte) []byte {
	t.Helper()
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, master)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	seed := bytes.Join([][]byte{[]byte("key expansion"), serverRandom, clientRandom}, nil)
	a1 := mac(seed)
	a2 := mac(a1)
	keys := append(mac(a1, seed), mac(a2, seed)...)
	explicit := binary.BigEndian.AppendUint64(nil, seq)
	nonce := append(bytes.Clone(keys[32:36]), explicit...)
	extra := append(bytes.Clone(explicit), kind, 3, 3, 0, byte(len(content)))
	record := append([]byte{kind, 3, 3, 0, byte(8 + len(content) + 16)}, explicit...)
	return append(record, gcm(t, keys[:16]).Seal(nil, nonce, content, extra)...)
}

func gcm(t *testing.T, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// keyUpdate asks the peer to update its keys, too (RFC 8446 section 4.6.3).
var keyUpdate = []byte{24, 0, 0, 1, 1}

// readAll reads n bytes from c, which drips, and counts how often it was told to come again.
func readAll(t *testing.T, c *tls.Conn, n int) (got []byte, pauses int) {
	t.Helper()
	buf := make([]byte, 20_000)
	for len(got) < n {
		k, err := c.Read(buf)
		got = append(got, buf[:k]...)
		if err != nil {
			if err != errNoRecord {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			pauses++
		}
	}
	return got, pauses
}

// TestTemporaryReadErrors pins what transport relies on and crypto/tls does not promise: its Read goes on after an
// error that is Temporary, at whatever byte it came, of data, alerts and handshake messages alike; and its Write takes
// everything and does not block when the transport's does not.
func TestTemporaryReadErrors(t *testing.T) {
	eachVersion(t, func(t *testing.T, server, client *tls.Config) {
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // so that it reads the server's tickets
		var log keyLog
		client.KeyLogWriter = &log
		if client.MaxVersion == tls.VersionTLS12 {
			client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}
		s, c, ofServer, ofClient := memoryPair(t, server, client)
		ofServer.drips, ofClient.drips = true, true
		message := pattern(20_000)
		both := func() {
			for _, d := range []struct{ from, to *tls.Conn }{{c, s}, {s, c}} {
				if n, err := d.from.Write(message); n != len(message) || err != nil {
					t.Fatalf("Write: %d, %v", n, err)
				}
				if got, pauses := readAll(t, d.to, len(message)); !bytes.Equal(got, message) || pauses < len(message) {
					t.Fatalf("%d of %d bytes, or others; %d pauses", len(got), len(message), pauses)
				}
			}
		}
		both()
		if client.MaxVersion == tls.VersionTLS13 && c.ConnectionState().CipherSuite == tls.TLS_AES_128_GCM_SHA256 {
			// The client has sent two records; the server answers with an update of its own, under which it goes on.
			ofClient.out <- sealedBy13(t, log.secret(t, "CLIENT_TRAFFIC_SECRET_0"), 2, 22, keyUpdate)
			if n, err := s.Write(message[:1]); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			for pauses := 0; pauses < 60; pauses++ {
				if n, err := s.Read(make([]byte, 1)); n != 0 || err != errNoRecord {
					t.Fatalf("key update: %d, %v", n, err)
				}
			}
			s.Write(message[1:3])
			if got, _ := readAll(t, c, 3); !bytes.Equal(got, message[:3]) {
				t.Fatalf("after the key update: %x", got)
			}
		}
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := c.Read(make([]byte, 1))
			if err == io.EOF {
				break
			}
			if n != 0 || err != errNoRecord {
				t.Fatalf("close_notify: %d, %v", n, err)
			}
		}
	})
}

// TestPermanentReadErrors: what is no Temporary error ends the connection for crypto/tls.
func TestPermanentReadErrors(t *testing.T) {
	s, c, ofServer, ofClient := memoryPair(t, serverConfig(), clientConfig())
	ofServer.drips = true
	c.Write([]byte("x"))
	record := <-ofServer.in
	record[len(record)-1] ^= 1
	ofClient.out <- record
	var err error
	for err = errNoRecord; err == errNoRecord; {
		_, err = s.Read(make([]byte, 1))
	}
	if e, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err); ok && e.Temporary() || err == io.EOF {
		t.Errorf("a record that was tampered with: %v", err)
	}
	if _, again := s.Read(make([]byte, 1)); again != err {
		t.Errorf("then %v", again)
	}
}
