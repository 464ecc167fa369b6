package frontend

import (
	"testing"
	"time"

	"traffic_management/engine/reactor"
)

func TestContentClock(t *testing.T) {
	at := func(d time.Duration) reactor.Instant { return reactor.Instant(time.Hour + d) }
	var k contentClock
	k.start(at(0))
	k.progress(at(2*time.Second), 100)
	k.progress(at(3*time.Second), 50)
	if want := (contentClock{began: at(0), last: at(3 * time.Second), bytes: 150}); k != want {
		t.Errorf("after two pieces %+v, want %+v", k, want)
	}
	k.resume(at(10 * time.Second)) // 7 s in which nobody read
	if want := (contentClock{began: at(7 * time.Second), last: at(10 * time.Second), bytes: 150}); k != want {
		t.Errorf("after a pause %+v, want %+v", k, want)
	}
	k.start(at(20 * time.Second))
	if want := (contentClock{began: at(20 * time.Second), last: at(20 * time.Second)}); k != want {
		t.Errorf("started again %+v, want %+v", k, want)
	}
}

func TestPhasesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for p := phaseFresh; p <= phaseClosed; p++ {
		if name := p.String(); name == "" || seen[name] {
			t.Errorf("phase %d is %q", p, name)
		} else {
			seen[name] = true
		}
	}
}
