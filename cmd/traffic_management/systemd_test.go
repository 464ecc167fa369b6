package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is a service manager as far as the program sees one.
type manager struct {
	t        *testing.T
	notified *net.UnixConn
}

func newManager(t *testing.T) *manager {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn}
}

// hears waits for a message that has all of these lines; an end of "=" stands for any value. It returns the message.
func (m *manager) hears(lines ...string) map[string]string {
	m.t.Helper()
	if err := m.notified.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 4096)
next:
	for {
		n, err := m.notified.Read(b)
		if err != nil {
			m.t.Fatalf("no message with %v: %v", lines, err)
		}
		got := map[string]string{}
		for line := range strings.SplitSeq(string(b[:n]), "\n") {
			key, value, _ := strings.Cut(line, "=")
			got[key] = value
		}
		for _, line := range lines {
			key, value, _ := strings.Cut(line, "=")
			if v, ok := got[key]; !ok || value != "" && v != value {
				continue next
			}
		}
		return got
	}
}

// activate runs the program with sockets that were opened for it.
func activate(t *testing.T, configuration fmt.Stringer, sockets []*os.File, env []string, args ...string) *proxy {
	t.Helper()
	set := fmt.Sprintf("LISTEN_FDS=%d LISTEN_PID=$$ ", len(sockets))
	if len(sockets) == 0 {
		set = ""
	}
	cmd := exec.Command("sh", append([]string{"-c", set + `exec "$0" "$@"`, install(t).path, "-c",
		writeFile(t, configuration.String())}, args...)...)
	cmd.ExtraFiles = sockets
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = os.Stdout
	return launch(t, cmd)
}

// Sockets that were opened for the process are found by their address, shared by its loops, and passed on to the next
// process; their paths are not removed.
func TestSocketActivation(t *testing.T) {
	s := newServer(t, greet)
	dir := t.TempDir()
	path := dir + "/s"
	var files []*os.File
	var addresses []string
	for _, of := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", path}, {"tcp", "[::1]:0"}} {
		l, err := net.Listen(of[0], of[1])
		if err != nil {
			t.Fatal(err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		files = append(files, f)
		addresses = append(addresses, l.Addr().String())
	}
	text := fmt.Sprintf("entrypoints: {web: {address: '%s'}, unix: {address: 'unix:%s'}}\n"+
		"services: {main: {servers: [{url: 'http://%s'}]}}\nrouters: {main: {rule: 'PathPrefix(`/`)', service: main}}\n"+
		"metrics: {address: '127.0.0.1:0'}\nlog: {format: json}\n"+unwatched, addresses[0], path, s.address)
	p := activate(t, raw(text), files, nil, "--loops", "2")
	for _, f := range files {
		f.Close()
	}
	eventually(t, "the log tells of a socket that no entry point has", func() bool {
		return p.logged("a listening socket that was passed to this process is not used")
	})
	eventually(t, "that socket takes no connections", func() bool {
		conn, err := net.Dial("tcp", addresses[2])
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	pid := p.cmd.Process.Pid
	for range 2 {
		for range 20 {
			for _, address := range []string{addresses[0], "unix:" + path} {
				if err := get(address); err != nil {
					t.Fatalf("%s: %v", address, err)
				}
			}
		}
		pid = p.upgrade(pid)
	}
	endProcess(t, pid)
	if _, err := os.Stat(path); err != nil {
		t.Error("the path of a socket of the service manager's was removed")
	}
}

// What the service manager is told: of the start, of reloads that succeed and fail, of the process that replaces this
// one, that the loops make turns, and of the end. The new process is the manager's child, as the first one was.
func TestNotifications(t *testing.T) {
	s := newServer(t, greet)
	m := newManager(t)
	p := activate(t, site{server: s, sections: unwatched}, nil,
		[]string{"NOTIFY_SOCKET=" + m.notified.LocalAddr().String(), "WATCHDOG_USEC=300000"})
	if got := m.hears("READY=1", "STATUS="); !strings.HasPrefix(got["STATUS"], "serving, configuration 1 ") {
		t.Errorf("the state is %q", got["STATUS"])
	}
	m.hears("WATCHDOG=1")
	p.signal(syscall.SIGHUP)
	m.hears("RELOADING=1", "MONOTONIC_USEC=")
	if got := m.hears("READY=1", "STATUS="); !strings.HasPrefix(got["STATUS"], "serving, configuration 2 ") {
		t.Errorf("the state is %q", got["STATUS"])
	}
	file := p.cmd.Args[5]
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	m.hears("RELOADING=1")
	if got := m.hears("READY=1", "STATUS="); !strings.Contains(got["STATUS"], "configuration 2 stays in force") {
		t.Errorf("the state is %q", got["STATUS"])
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	next := p.upgrade(p.cmd.Process.Pid)
	m.hears("READY=1")
	m.hears("MAINPID=" + strconv.Itoa(next))
	if got := parent(t, next); got != os.Getpid() {
		t.Errorf("process %d is a child of %d, want one of the manager, %d", next, got, os.Getpid())
	}
	m.hears("WATCHDOG=1")
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if err := syscall.Kill(next, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
}

// parent is the ID of the process that is told how another ends.
func parent(t *testing.T, pid int) (id int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "\nPPid:")
	if _, err := fmt.Sscan(after, &id); err != nil {
		t.Fatal(err)
	}
	return id
}
