package reactor

import (
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAsideYields holds that work runs on threads of less weight, that others keep theirs, and that no more work runs at
// once than there are threads.
func TestAsideYields(t *testing.T) {
	most := asideKinds * Share()
	entered, leave := make(chan int, 2*most), make(chan struct{})
	var all sync.WaitGroup
	for range 2 * most {
		all.Go(func() {
			Aside(func() {
				entered <- niceness(t)
				<-leave
			})
		})
	}
	for range most {
		if n := await(t, entered); n != asideNice {
			t.Errorf("work has niceness %d", n)
		}
	}
	runtime.Gosched()
	if n := len(entered); n != 0 {
		t.Errorf("%d more than the %d that there are threads for", n, most)
	}
	close(leave)
	all.Wait()
	if len(entered) != most {
		t.Errorf("%d of %d that waited were done", len(entered), most)
	}
	if n := niceness(t); n != 0 {
		t.Errorf("who waited has niceness %d", n)
	}
}

// niceness is the calling thread's.
func niceness(t *testing.T) int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return 20 - n // which is how the system call tells it
}

func TestAsidePanics(t *testing.T) {
	defer func() {
		if v := recover(); v != "work" {
			t.Errorf("panicked with %v", v)
		}
	}()
	Aside(func() { panic("work") })
	t.Error("no panic")
}

// TestAsideMakesRoom holds that loops need not wait for work aside, or for handshakes, to be scheduled.
func TestAsideMakesRoom(t *testing.T) {
	room = sync.Once{} // each run of the tests begins with a thread for each core
	Aside(func() {})
	if n, least := runtime.GOMAXPROCS(0), cores+asideKinds*Share()+computingHandshakes(); n < least {
		t.Errorf("room for %d, not for %d", n, least)
	}
}
