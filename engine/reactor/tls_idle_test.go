package reactor

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// updates is n times a key update that asks for one in return, each followed by this content in a record of its own when
// there is any, sealed under a traffic secret and those that follow from it.
func updates(t *testing.T, secret []byte, n int, content string) (records []byte) {
	t.Helper()
	for i := range n {
		seq := uint64(1)
		if i == 0 || content == "" {
			seq = 0
		}
		records = append(records, sealedBy13(t, secret, seq, 22, keyUpdate)...)
		var err error
		if secret, err = hkdf.Expand(sha256.New, secret, "\x00\x20\x11tls13 traffic upd\x00", 32); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			records = append(records, sealedBy13(t, secret, 0, 23, []byte(content))...)
		}
	}
	return records
}

// TestKeyUpdates: a client may change its keys and ask us to, and one that does nothing else is cut off before it costs
// much: it does not read, so what it asks for is what waits for it.
func TestKeyUpdates(t *testing.T) {
	for _, c := range []struct {
		name    string
		n       int
		content string
		want    string // of the error; "": none
	}{
		{"now and then", 10, "some", ""},
		{"with nothing between", 5000, "", "tls: "},
		{"with a byte between", 5000, "x", ErrIdleRecords.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := startLoop(t, Config{})
			var log keyLog
			client := clientConfig()
			client.MinVersion, client.KeyLogWriter = tls.VersionTLS13, &log
			var got []byte
			outcome := make(chan error, 1)
			peer, conn := tlsPair(t, l, serverConfig(), client, func(s *sink) {
				s.data = func() {
					if s.take(&got); c.want == "" && len(got) == c.n*len(c.content) {
						outcome <- nil
					}
				}
				s.closed = func(err error) { outcome <- err }
			})
			if peer.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
				t.Skip("this machine prefers another cipher")
			}
			raw := peer.NetConn()
			flood := updates(t, log.secret(t, "CLIENT_TRAFFIC_SECRET_0"), c.n, c.content)
			go raw.Write(flood)
			err := await(t, outcome)
			if c.want == "" {
				if want := strings.Repeat(c.content, c.n); err != nil || string(got) != want {
					t.Errorf("got %q, then %v", got, err)
				}
				// The answers are right, too: the library reads on behind them.
				on(t, l, func() { conn.Write([]byte("bye")); conn.Close(false) })
				if b, err := io.ReadAll(peer); string(b) != "bye" || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("ended with %v", err)
			}
			if len(got) > idleBurst+1 {
				t.Errorf("%d records of content came through", len(got))
			}
			answers, err := io.ReadAll(raw) // a ticket, and an update for each
			if n := bytes.Count(answers, []byte{23, 3, 3}); n > idleBurst+5 || len(answers) > 8<<10 {
				t.Errorf("%d records were answered, %d bytes: %v", n, len(answers), err)
			}
		})
	}
}

// TestIdleAllowance: what is spent comes back with time.
func TestIdleAllowance(t *testing.T) {
	l := stepper(t)
	c := &tlsConn{loop: l}
	if !c.allowsIdle(idleBurst) || c.allowsIdle(1) {
		t.Fatal("the burst is not what it is said to be")
	}
	c.idleSince -= Instant(3 * idleEvery)
	if !c.allowsIdle(2) || c.allowsIdle(1) {
		t.Errorf("%d are spent three times the interval later", c.idleRecords)
	}
}
