package engine_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"traffic_management/engine"
)

// A unix socket that a process left which was killed does not keep the next one from serving metrics there; one that
// somebody listens on does.
func TestMetricsAtAnAbandonedSocket(t *testing.T) {
	path := t.TempDir() + "/m"
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	configuration := site{servers: []string{deadAddress(t)}}.String() + "metrics: {address: 'unix:" + path + "'}\n"
	if _, err := engine.New(parse(t, configuration), engine.Options{Loops: 1, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("the socket of another process was taken")
	}
	l.Close()
	p := startText(t, configuration, 1)
	if at := p.MetricsAddr().String(); at != path {
		t.Errorf("metrics are at %s", at)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// A tunnel is counted where its client came in, whatever the entry point is called when it ends.
func TestTunnelOutlivesItsEntryPointsName(t *testing.T) {
	chat := startChat(t, site{}, nil, echo)
	conn, _ := chat.dial(websocket.DialOptions{})
	configuration := site{servers: []string{deadAddress(t)}}.String() + "metrics: {address: '127.0.0.1:0'}\n"
	chat.proxy.reload(t, text(strings.Replace(configuration, "{web:", "{renamed:", 1)))
	open := func(what string) int {
		response, err := http.Get("http://" + chat.proxy.MetricsAddr().String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		n := -1
		if _, after, ok := strings.Cut(string(content), "\ntraffic_entrypoint_open_"+what+`{entrypoint="web"} `); ok {
			_, _ = fmt.Sscan(after, &n)
		}
		return n
	}
	if n := open("tunnels"); n != 1 {
		t.Errorf("%d tunnels are open, want 1", n)
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	checkLeft(t, "connections", 0, func() int { return open("connections") })
	if n := open("tunnels"); n != 0 {
		t.Errorf("%d tunnels are open, want 0", n)
	}
	http.DefaultClient.CloseIdleConnections()
}
