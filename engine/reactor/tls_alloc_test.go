//go:build !race

// The race detector takes memory of its own, and lets pools forget.

package reactor

import (
	"crypto/tls"
	"fmt"
	"io"
	"runtime"
	"testing"
)

// TestTLSRecordsAllocate: what is sealed takes pooled memory alone. What is opened takes 24 bytes of crypto/tls's for
// each time that reads from the transport: once for a record, once more for one that is larger than any before.
func TestTLSRecordsAllocate(t *testing.T) {
	const runs = 100
	buf := make([]byte, ReadSize)
	for _, version := range versions {
		for _, c := range []struct {
			size int
			most float64
		}{{100, 1}, {5000, 1}, {16_000, 1}, {60_000, 4}} {
			l := stepper(t)
			peer, records := steppedTLS(t, l, version, pattern(c.size), runs+3)
			next := 0
			once := func() {
				swap(t, l, peer, records[next], buf)
				next++
			}
			once()
			once()
			if n := testing.AllocsPerRun(runs, once); n > c.most {
				t.Errorf("%s, %d bytes: %v allocations", tls.VersionName(version), c.size, n)
			}
		}
	}
}

// TestIdleTLSMemory bounds what a connection holds that is idle behind a record of this size.
func TestIdleTLSMemory(t *testing.T) {
	for _, version := range versions {
		for size, most := range map[int]int{100: 16 << 10, 16_000: 36 << 10} {
			t.Run(fmt.Sprint(tls.VersionName(version), " ", size), func(t *testing.T) {
				if each := memoryOf(t, version, 100, size); each > most {
					t.Errorf("%d bytes, bound %d", each, most)
				} else {
					t.Logf("%d bytes", each)
				}
			})
		}
	}
}

// memoryOf is what each of n connections holds, with what the test has of it: an open socket, no TLS.
func memoryOf(t *testing.T, version uint16, n, size int) int {
	l := startLoop(t, Config{})
	server := serverConfig()
	server.MaxVersion = version
	heap := func() int {
		on(t, l, l.LetGo)
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for range n {
		out, fd := tcpPair(t)
		_, outcomes := acceptTLS(t, l, fd, server, (*sink).echo)
		c := tls.Client(out, clientConfig())
		message := make([]byte, size)
		c.Write(message)
		if _, err := io.ReadFull(c, message); err != nil {
			t.Fatal(err)
		}
		await(t, outcomes)
	}
	each := (heap() - before) / n
	on(t, l, func() {}) // the connections are the loop's until here
	return each
}
