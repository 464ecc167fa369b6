package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"traffic_management/perf/process"
)

// binaries is where TestMain builds the programs.
var binaries string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "drill-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	root, err := process.ModuleRoot(context.Background())
	if err == nil {
		err = process.Build(context.Background(), root, dir, programs...)
	}
	if err != nil {
		panic(err)
	}
	binaries = dir
	return m.Run()
}

// TestDrills does a little of each: no bar may be missed.
func TestDrills(t *testing.T) {
	for i := range drills {
		d := &drills[i]
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := &bed{binaries: binaries, dir: t.TempDir(), extent: glance, say: t.Logf}
			r, err := b.run(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if missed([]result{r}) > 0 {
				t.Error("a bar was missed")
			}
		})
	}
}

// TestVerdicts holds that a missed bar is counted and told.
func TestVerdicts(t *testing.T) {
	done := []result{{drill: &drill{name: "x", title: "y"}, findings: []finding{bar("a", true, "1"), bar("b", false, "%d", 2), figure("c", "3")}}}
	if n := missed(done); n != 1 {
		t.Errorf("%d are missed", n)
	}
	b := &strings.Builder{}
	if err := write(b, done, "r"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| a | 1 | PASS |\n", "| b | 2 | FAIL |\n", "| c | 3 |  |\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
}

// TestClientsTell gives clients servers that fail each in its way, and one that does not.
func TestClientsTell(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 128\r\n"
	for name, v := range map[string]struct {
		answer, failed string
		answered       int64
		ended          int64
	}{
		"right":       {answer: ok + "\r\n" + wanted, answered: 1},
		"last":        {answer: ok + "Connection: close\r\n\r\n" + wanted, answered: 1, ended: 1},
		"wrong":       {answer: ok + "\r\n" + strings.ToUpper(wanted), failed: "another content"},
		"short":       {answer: ok + "\r\nabc", failed: "answer cut short: unexpected EOF", ended: 1},
		"nothing":     {failed: "no answer: unexpected EOF", ended: 1},
		"bad gateway": {answer: "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\n502 a: b\n", failed: "502 a: b"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, v.answer)
				}
				c.Close()
			}()
			c := &client{load: load{address: l.Addr().String(), method: http.MethodGet}, tally: newTally()}
			c.exchange()
			c.hangUp()
			got := c.tally
			if got.answered != v.answered || got.ended != v.ended || got.failures(nil) != 1-v.answered || v.failed != "" && got.failed[v.failed] != 1 {
				t.Errorf("%v, %d answered, %d ended", got, got.answered, got.ended)
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := &client{load: load{address: l.Addr().String(), method: http.MethodGet}, tally: newTally()}
	if c.exchange(); c.tally.failed["not connected: connection refused"] != 1 {
		t.Error(c.tally)
	}
}
