package frontend_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
	"traffic_management/internal/testcert"
)

// secure runs a real loop with TLS in front of an HTTP server that answers with what it is sent, and returns where.
func secure(t *testing.T, ca *testcert.CA) (address string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Proto", r.Header.Get("X-Forwarded-Proto"))
		content, _ := io.ReadAll(r.Body) // what is missing shows
		w.Write(content)
	}))
	t.Cleanup(server.Close)
	loop, err := reactor.New(reactor.Config{Handshakes: reactor.NewHandshakes(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	entry := newEntry(t, loop, reactor.Addr{TCP: netip.MustParseAddrPort(server.Listener.Addr().String())})
	entry.Settings = newH2Stall(t).entry.Settings
	entry.TLS = &frontend.TLS{HandshakeTimeout: 10 * time.Second, Config: &tls.Config{
		Certificates: []tls.Certificate{ca.Certificate("example.org")},
		NextProtos:   []string{"h2", "http/1.1"}, DynamicRecordSizingDisabled: true}}
	listener, err := reactor.Listen("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	loop.AddListener(listener.Sockets(0)[0], entry.Accept)
	ended := make(chan error, 1)
	go func() { ended <- loop.Run() }()
	t.Cleanup(func() {
		loop.Shutdown()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		listener.Close()
	})
	return listener.Addr().String()
}

// Another implementation of TLS, HTTP/1.1 and HTTP/2 is served, with content of all sizes at the same time.
func TestOverTLS(t *testing.T) {
	ca := testcert.New(t)
	address := secure(t, ca)
	for major, protocol := range map[int]string{1: "http/1.1", 2: "h2"} {
		t.Run(protocol, func(t *testing.T) {
			config := ca.Client("example.org")
			config.NextProtos = []string{protocol}
			transport := &http.Transport{ForceAttemptHTTP2: major == 2, TLSClientConfig: config}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					content := bytes.Repeat([]byte{byte(i)}, 1<<i)
					resp, err := client.Post("https://"+address, "", bytes.NewReader(content))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if said := fmt.Sprint(resp.StatusCode, resp.ProtoMajor, resp.Header.Get("Proto"), err); said != fmt.Sprint(200, major, "https", nil) ||
						!bytes.Equal(got, content) {
						t.Errorf("content %d: %s, %d bytes", i, said, len(got))
					}
				})
			}
			all.Wait()
		})
	}
}
