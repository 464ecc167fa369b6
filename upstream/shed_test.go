package upstream

import (
	"testing"
	"time"
)

// The connection that has been idle for longest is given up first, whatever its server; one that carries a request is not.
func TestShedIdle(t *testing.T) {
	b := newBed(t, 2, nil)
	x, y, z := b.open("x"), b.open("y"), b.open("z") // servers 0, 1, 0
	for _, c := range []*caller{x, y, z} {
		c.hears("ready")
	}
	for _, i := range []int{1, 0} {
		b.loop.Advance(time.Second)
		b.origins[i].conn.Write([]byte(ok))
		b.loop.Run()
	}
	for i, want := range []string{"", "end"} {
		if !b.pools.ShedIdle() {
			t.Fatal("nothing was shed")
		}
		b.loop.Run()
		if b.origins[1].closed != "end" || b.origins[0].closed != want || b.origins[2].closed != "" {
			t.Fatalf("after %d: %q, %q, %q", i+1, b.origins[0].closed, b.origins[1].closed, b.origins[2].closed)
		}
	}
	b.counts(0, 1, 0, 0, 1)
	b.counts(1, 0, 0, 0, 0)
	if b.pools.ShedIdle() {
		t.Error("no connection was idle")
	}
	b.origins[2].conn.Write([]byte(ok))
	for _, c := range []*caller{x, y, z} {
		c.hears("head 200", "data hi end")
		c.release()
	}
	b.clean()
}
