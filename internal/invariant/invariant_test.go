package invariant

import (
	"bytes"
	"sync"
	"testing"
)

// try calls Check and returns what it panicked with, nil when it returned.
func try(cond bool, msg string) (panicked any) {
	defer func() { panicked = recover() }()
	Check(cond, msg)
	return nil
}

func TestCheck(t *testing.T) {
	before := Broken()
	if got := try(true, "holds"); got != nil {
		t.Errorf("a check that holds panicked: %v", got)
	}
	if got := Broken() - before; got != 0 {
		t.Errorf("a check that holds was counted %d times", got)
	}
	got := try(false, "sum of windows")
	switch {
	case Enabled && got != "invariant broken: sum of windows":
		t.Errorf("checked build panicked with %v", got)
	case !Enabled && got != nil:
		t.Errorf("release build panicked: %v", got)
	}
	if got := Broken() - before; got != 1 {
		t.Errorf("a broken check was counted %d times", got)
	}
}

func TestCheckFromManyGoroutines(t *testing.T) {
	before := Broken()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				try(false, "many")
			}
		})
	}
	all.Wait()
	if got := Broken() - before; got != 800 {
		t.Errorf("counted %d of 800", got)
	}
}

func TestPoison(t *testing.T) {
	b := []byte("lent bytes")
	Poison(b[:4])
	want := "lent bytes"
	if Enabled {
		want = string(bytes.Repeat([]byte{PoisonByte}, 4)) + " bytes"
	}
	if string(b) != want {
		t.Errorf("Poison left %q, want %q", b, want)
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	n := 0
	if got := testing.AllocsPerRun(1000, func() { n++; Check(n > 0, "counted") }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
