package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// installed is the program at a path of its own, where another can be put in its place.
type installed struct {
	t    *testing.T
	path string
}

func install(t *testing.T) *installed {
	i := &installed{t, filepath.Join(t.TempDir(), "program")}
	i.link()
	return i
}

// link puts the program there.
func (i *installed) link() {
	i.t.Helper()
	_ = os.Remove(i.path)
	if err := os.Symlink(program, i.path); err != nil {
		i.t.Fatal(err)
	}
}

// script puts a shell script there, in which $PROGRAM is the program.
func (i *installed) script(text string) {
	i.t.Helper()
	_ = os.Remove(i.path)
	if err := os.WriteFile(i.path, []byte("#!/bin/sh\nPROGRAM="+program+"\n"+text+"\n"), 0o700); err != nil {
		i.t.Fatal(err)
	}
}

// start runs the installed program. Processes that replace it are ended with the test.
func (i *installed) start(configuration fmt.Stringer, args ...string) *proxy {
	i.t.Helper()
	cmd := exec.Command(i.path, append([]string{"-c", writeFile(i.t, configuration.String())}, args...)...)
	cmd.Stdout = os.Stdout // no pipe: it would end when the last successor does
	return launch(i.t, cmd)
}

// successors are the processes that have replaced one another since p began.
func (p *proxy) successors() (pids []int) {
	for _, line := range p.lines() {
		if line["msg"] == "a new process serves" {
			pids = append(pids, int(line["pid"].(float64)))
		}
	}
	return pids
}

// upgrade has the process of this ID replace itself and returns the new one, which ends with the test.
func (p *proxy) upgrade(pid int) int {
	p.t.Helper()
	n := len(p.successors())
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "a new process serves", func() bool { return len(p.successors()) > n })
	next := p.successors()[n]
	p.t.Cleanup(func() { endProcess(p.t, next) })
	return next
}

func endProcess(t *testing.T, pid int) {
	_ = syscall.Kill(pid, syscall.SIGTERM)
	eventually(t, "process "+strconv.Itoa(pid)+" ends", func() bool { return !runs(pid) })
}

// runs reports whether a process, which need not be a child, has not ended.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(state, []byte("Z"))
}

// get asks over a connection of its own.
func get(address string) error {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && (!bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer, []byte("\r\n\r\nhello\n"))) {
		err = fmt.Errorf("got %q", answer)
	}
	return err
}

// Three processes replace one another while clients ask, each time over a new connection: none of them notices. What
// runs when a process is replaced ends there, and an open connection is answered once more.
func TestUpgradeLosesNothing(t *testing.T) {
	s, open := gated(t)
	p := install(t).start(site{server: s, sections: "shutdown: {drain_timeout_seconds: 60}\n"}, "--loops", "2")
	var asking sync.WaitGroup
	var asked atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := get(p.web); err != nil {
					t.Errorf("after %d requests: %v", asked.Load(), err)
					return
				}
				asked.Add(1)
			}
		})
	}
	idle := p.connect(t)
	if !idle.isServed() {
		t.Fatal("a client was not served")
	}
	busy := p.busy(t, s)
	pid := p.cmd.Process.Pid
	for range 3 {
		before := asked.Load()
		pid = p.upgrade(pid)
		eventually(t, "the new process serves clients", func() bool { return asked.Load() > before+20 })
	}
	if p.hasEnded() {
		t.Error("the first process did not wait for its request")
	}
	idle.send(field("A: b"))
	if a := idle.receive("GET"); a.StatusCode != 200 || !a.Close {
		t.Errorf("status %d, Connection: close %v, to a client of the first process", a.StatusCode, a.Close)
	}
	open()
	if a := busy.receive("GET"); a.StatusCode != 200 {
		t.Errorf("status %d to the request that ran", a.StatusCode)
	}
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	close(stop)
	asking.Wait()
	if !runs(pid) {
		t.Error("the last process does not run")
	}
	t.Logf("%d requests", asked.Load())
}

// A new process that does not come to serve changes nothing, whatever is wrong with it; the next one may do better.
func TestUpgradeThatFails(t *testing.T) {
	s := newServer(t, greet)
	program := install(t)
	p := program.start(site{server: s, sections: unwatched})
	for i, script := range []string{"exit 3", "", "exec $PROGRAM -c /no/such/file"} {
		program.script(script)
		if script == "" {
			if err := os.Chmod(program.path, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p.signal(syscall.SIGUSR2)
		eventually(t, "the failure is counted", func() bool {
			return p.metric("traffic_upgrades_total", `result="failure"`) == float64(i+1)
		})
		if err := get(p.web); err != nil {
			t.Errorf("%q: %v", script, err)
		}
	}
	for _, want := range []string{"exit status 3", "permission denied", "exit status 1"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("%q is not in the log", want)
		}
	}
	program.link()
	p.upgrade(p.cmd.Process.Pid)
	if err := get(p.web); err != nil {
		t.Error(err)
	}
}

// A new process that ends when it has the sockets already leaves the paths of unix sockets to the old one.
func TestUpgradeThatFailsKeepsUnixSockets(t *testing.T) {
	s := newServer(t, greet)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	text := "entrypoints: {web: {address: '127.0.0.1:0'}, unix: {address: 'unix:" + dir + "/s'}}\nservices: {main: {servers: [{url: 'http://" + s.address +
		"'}]}}\nrouters: {main: {rule: 'PathPrefix(`/`)', service: main}}\nmetrics: {address: 'unix:" + dir + "/m'}\nlog: {format: json}\n" + unwatched
	p := install(t).start(raw(text))
	if err := os.WriteFile(p.cmd.Args[2], fmt.Appendf(nil, "%sadmin: {address: '%s'}\n", text, taken.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR2)
	eventually(t, "the upgrade fails", func() bool { return strings.Contains(p.log.String(), "no upgrade") })
	if err := get("unix:" + dir + "/s"); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("unix", dir+"/m"); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
}

// While a new process starts, another upgrade is refused; to end the old one ends the attempt.
func TestUpgradeIsOneAtATime(t *testing.T) {
	s := newServer(t, greet)
	program := install(t)
	p := program.start(site{server: s})
	started := filepath.Join(t.TempDir(), "started")
	program.script("echo $$ >" + started + ".part; mv " + started + ".part " + started + "; exec sleep 100")
	p.signal(syscall.SIGUSR2)
	eventually(t, "the new process starts", func() bool { _, err := os.Stat(started); return err == nil })
	p.signal(syscall.SIGUSR2)
	eventually(t, "the second upgrade is refused", func() bool { return strings.Contains(p.log.String(), "under way already") })
	if err := get(p.web); err != nil {
		t.Error(err)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if runs(pid) {
		t.Error("the new process is left over")
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// The new process may have fewer loops than there are sockets, or more: every connection is served all the same.
func TestUpgradeToOtherLoops(t *testing.T) {
	s := newServer(t, greet)
	program := install(t)
	p := program.start(site{server: s}, "--loops", "3")
	pid := p.cmd.Process.Pid
	for _, loops := range []string{"1", "4", "2"} {
		program.script(`exec $PROGRAM "$@" --loops ` + loops)
		pid = p.upgrade(pid)
		for range 50 {
			if err := get(p.web); err != nil {
				t.Fatalf("with %s loops: %v", loops, err)
			}
		}
	}
}

// The new process goes by the file as it is then: entry points that are new are opened, those that are gone closed, and
// those that were renamed keep their address. The path of a unix socket stays through it all.
func TestUpgradeWithAnotherFile(t *testing.T) {
	s := newServer(t, greet)
	dir := t.TempDir()
	format := "entrypoints: {%s, unix: {address: 'unix:" + dir + "/s'}}\nservices: {main: {servers: [{url: 'http://" + s.address +
		"'}]}}\nrouters: {main: {rule: 'PathPrefix(`/`)', service: main}}\nmetrics: {address: 'unix:" + dir + "/m'}\nlog: {format: json}\n" + unwatched
	first := fmt.Sprintf(format, "web: {address: '127.0.0.1:0'}, gone: {address: '[::1]:0'}")
	p := install(t).start(raw(first))
	gone, web := p.listensAt("gone"), p.listensAt("web")
	if err := get("unix:" + dir + "/s"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.cmd.Args[2], fmt.Appendf(nil, format, "renamed: {address: '127.0.0.1:0'}"), 0o600); err != nil {
		t.Fatal(err)
	}
	pid := p.upgrade(p.cmd.Process.Pid)
	if code := p.exitCode(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	if at := p.listensAt("renamed"); at != web {
		t.Errorf("the entry point that was renamed is at %s, before at %s", at, web)
	}
	for _, address := range []string{web, "unix:" + dir + "/s"} {
		if err := get(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if conn, err := net.Dial("tcp", gone); err == nil {
		conn.Close()
		t.Error("an address that is not in the file is still listened on")
	}
	scrape := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", dir+"/m") }}}
	if response, err := scrape.Get("http://metrics/metrics"); err != nil || response.StatusCode != 200 {
		t.Errorf("metrics: %v", err)
	}
	endProcess(t, pid)
	for _, name := range []string{"/s", "/m"} {
		if _, err := os.Stat(dir + name); err == nil {
			t.Errorf("the last process leaves %s behind", name)
		}
	}
}

// raw is a configuration as it is written.
type raw string

func (r raw) String() string { return string(r) }

// listensAt is where the last process says that an entry point listens.
func (p *proxy) listensAt(entryPoint string) (address string) {
	p.t.Helper()
	for _, line := range p.lines() {
		if line["msg"] == "listening" && line["entrypoint"] == entryPoint {
			address, _ = line["address"].(string)
		}
	}
	if address == "" {
		p.t.Fatalf("no entry point %s", entryPoint)
	}
	return address
}
