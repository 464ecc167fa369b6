package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestDrainOfHTTP2 ends the proxy under clients that ask all the time. Whatever they could send on a connection is
// answered; what fails is opening another one.
func TestDrainOfHTTP2(t *testing.T) {
	p := startText(t, withMetrics(site{servers: []string{named(t, "main").address}}).String(), 2)
	const connections, each, enough = 3, 8, 300
	answered, many := atomic.Int64{}, make(chan struct{})
	var clients sync.WaitGroup
	for range connections {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		defer transport.CloseIdleConnections()
		for range each {
			clients.Go(func() {
				for {
					resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + p.address + "/")
					if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					content, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if said := fmt.Sprint(resp.StatusCode, resp.ProtoMajor, string(content), err); said != fmt.Sprint(200, 2, "main", nil) {
						t.Error(said)
						return
					}
					if answered.Add(1) == enough {
						close(many)
					}
				}
			})
		}
	}
	<-many
	want := fmt.Sprintf("\ntraffic_http2_open_connections{entrypoint=\"web\"} %d\n", connections)
	if text := p.scrape(t); !strings.Contains(text, want) {
		t.Errorf("the metrics lack %q", want)
	}
	if err := <-p.drain(t, patience); err != nil {
		t.Error(err)
	}
	clients.Wait()
}
