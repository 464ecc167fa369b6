package reactor

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// copies are descriptors of the sockets of a listener, as another process would have them.
func copies(t *testing.T, l *Listener) (fds []int) {
	t.Helper()
	for _, fd := range l.Descriptors() {
		c, err := unix.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, c)
	}
	return fds
}

// perLoop is how many sockets each loop watches, and whether it shares them.
func perLoop(l *Listener, loops int) (counts []int, shared bool) {
	for i := range loops {
		sockets := l.Sockets(i)
		counts = append(counts, len(sockets))
		for _, s := range sockets {
			shared = shared || s.Shared
		}
	}
	return counts, shared
}

// TestInherit hands two sockets to processes of one, two and three loops: all are watched, and each loop has one.
func TestInherit(t *testing.T) {
	first, err := Listen("127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for loops, want := range map[int][]int{1: {2}, 2: {1, 1}, 3: {1, 1, 1}} {
		l, err := Inherit(copies(t, first), loops)
		if err != nil {
			t.Fatal(err)
		}
		got, shared := perLoop(l, loops)
		for i, n := range got {
			if n != want[i] || shared {
				t.Errorf("%d loops: %v sockets, shared %v, want %v", loops, got, shared, want)
				break
			}
		}
		if l.Addr() != first.Addr() {
			t.Errorf("it listens at %v, not at %v", l.Addr(), first.Addr())
		}
		l.Close()
	}
}

// TestInheritShared hands over what cannot be multiplied: a socket that does not share its address, and a unix socket.
func TestInheritShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		other, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		f, err := other.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		l, err := Inherit([]int{fd}, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got, shared := perLoop(l, 3); !shared || got[0] != 1 || got[2] != 1 {
			t.Errorf("%s: %v sockets, shared %v", network, got, shared)
		}
		l.Keep()
		l.Close()
		if u, ok := other.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		other.Close()
		if _, err := os.Stat(path); network == "unix" && err != nil {
			t.Error("the path of a socket that was to be kept is gone")
		}
	}
}

func TestInheritRefuses(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := Inherit([]int{fd}, 1); err == nil {
		l.Close()
		t.Error("a socket that does not listen is taken for one that does")
	}
	if err := unix.Close(fd); err == nil {
		t.Error("a socket that was refused is still open")
	}
}

func TestMatches(t *testing.T) {
	at := func(s string) Addr {
		a, err := resolve(s)
		if err != nil {
			t.Fatal(err)
		}
		return Addr{TCP: a}
	}
	for _, c := range []struct {
		addr  string
		bound Addr
		want  bool
	}{
		{"127.0.0.1:80", at("127.0.0.1:80"), true},
		{"127.0.0.1:80", at("127.0.0.1:81"), false},
		{"127.0.0.1:80", at("127.0.0.2:80"), false},
		{"127.0.0.1:80", at(":80"), false},
		{":80", at(":80"), true},
		{":80", at("0.0.0.0:80"), true},
		{":80", at("[::1]:80"), false},
		{"unix:/s", Addr{Path: "/s"}, true},
		{"unix:/s", Addr{Path: "/t"}, false},
		{":80", Addr{Path: "/s"}, false},
		{"unix:/s", at(":80"), false},
	} {
		if got := Matches(c.addr, c.bound); got != c.want {
			t.Errorf("%s, %v: %v", c.addr, c.bound, got)
		}
	}
}
