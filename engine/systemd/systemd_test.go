package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func environment(vars ...string) Getenv {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

var pid = strconv.Itoa(os.Getpid())

func TestSocketsOfOthers(t *testing.T) {
	for _, vars := range [][]string{
		nil,
		{"LISTEN_FDS=1"},
		{"LISTEN_PID=1", "LISTEN_FDS=1"},
		{"LISTEN_PID=" + pid},
		{"LISTEN_PID=" + pid, "LISTEN_FDS=x"},
	} {
		if fds := Sockets(environment(vars...)); fds != nil {
			t.Errorf("%v: %v", vars, fds)
		}
	}
}

func TestWatchdog(t *testing.T) {
	for _, c := range []struct {
		vars []string
		want time.Duration
	}{
		{nil, 0},
		{[]string{"WATCHDOG_USEC=1500000"}, 1500 * time.Millisecond},
		{[]string{"WATCHDOG_USEC=1500000", "WATCHDOG_PID=" + pid}, 1500 * time.Millisecond},
		{[]string{"WATCHDOG_USEC=1500000", "WATCHDOG_PID=1"}, 0},
		{[]string{"WATCHDOG_USEC=soon"}, 0},
		{[]string{"WATCHDOG_USEC=-1"}, 0},
	} {
		if got := Watchdog(environment(c.vars...)); got != c.want {
			t.Errorf("%v: %v, want %v", c.vars, got, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := Environment([]string{"A=1", "LISTEN_FDS=1", "LISTEN_FDS_MORE=2", "WATCHDOG_PID=3", "WATCHDOG_USEC=4", "NOTIFY_SOCKET=/n"})
	if want := []string{"A=1", "LISTEN_FDS_MORE=2", "WATCHDOG_USEC=4", "NOTIFY_SOCKET=/n"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTell sends to a path and to an abstract name.
func TestTell(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@traffic_management-%d", os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		n := NewNotifier(environment("NOTIFY_SOCKET=" + path))
		if err := n.Tell(Ready, Status("serving %d\nlines", 2)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		size, err := l.Read(b)
		if want := "READY=1\nSTATUS=serving 2 lines"; err != nil || string(b[:size]) != want {
			t.Errorf("got %q (%v), want %q", b[:size], err, want)
		}
	}
}

func TestTellNobody(t *testing.T) {
	for _, path := range []string{"", "relative"} {
		if err := NewNotifier(environment("NOTIFY_SOCKET=" + path)).Tell(Ready); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	if err := NewNotifier(environment("NOTIFY_SOCKET=/no/such/socket")).Tell(Ready); err == nil {
		t.Error("no error for a manager that is not there")
	}
}

func TestReloading(t *testing.T) {
	before := Reloading()
	after := Reloading()
	var first, second int64
	if _, err := fmt.Sscanf(before+after, "RELOADING=1\nMONOTONIC_USEC=%dRELOADING=1\nMONOTONIC_USEC=%d", &first, &second); err != nil {
		t.Fatal(err)
	}
	if first <= 0 || second < first {
		t.Errorf("the clock goes from %d to %d", first, second)
	}
}
