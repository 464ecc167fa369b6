package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a configuration with one entry point, "web", the services "main" and, for requests to bystander.test,
// "bystander". Its texts are YAML in flow style: keys without the braces around them.
type site struct {
	http      string // keys of entrypoints.web.http
	entry     string // further keys of entrypoints.web
	main      string // further keys of services.main
	router    string // further keys of routers.main
	sections  string // further sections, in block style
	server    *server
	bystander *server
}

func (s site) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "entrypoints: {web: {address: '127.0.0.1:0', http: {%s}, %s}}\n", s.http, s.entry)
	fmt.Fprintf(b, "services:\n  main: {servers: [{url: 'http://%s'}], %s}\n", s.server.address, s.main)
	if s.bystander != nil {
		fmt.Fprintf(b, "  bystander: {servers: [{url: 'http://%s'}]}\n", s.bystander.address)
	}
	fmt.Fprintf(b, "routers:\n  main: {rule: 'PathPrefix(`/`)', service: main, %s}\n", s.router)
	if s.bystander != nil {
		b.WriteString("  bystander: {rule: 'Host(`bystander.test`)', service: bystander, priority: 1000}\n")
	}
	fmt.Fprintf(b, "metrics: {address: '127.0.0.1:0'}\nlog: {format: json}\n")
	if !strings.Contains(s.sections, "shutdown:") {
		b.WriteString("shutdown: {drain_timeout_seconds: 1, idle_close_seconds: 0}\n")
	}
	return b.String() + s.sections
}

// transcript collects what the child writes.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// logFile is a file that children write to. A process that replaces its parent goes on with it.
type logFile string

func (f logFile) String() string {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// proxy is the program running as a child process.
type proxy struct {
	t       *testing.T
	cmd     *exec.Cmd
	out     transcript // its standard output
	log     logFile    // its standard error
	ended   chan struct{}
	web     string // where its entry point listens
	metrics string // where its metrics are served
}

// start runs the program with this configuration. When the test ends, the program is made to drain, and must not have
// panicked.
func start(t *testing.T, configuration fmt.Stringer, args ...string) *proxy {
	t.Helper()
	return launch(t, exec.Command(program, append([]string{"-c", writeFile(t, configuration.String())}, args...)...))
}

// startWithin is start with a limit on open descriptors.
func startWithin(t *testing.T, descriptors int, configuration fmt.Stringer, args ...string) *proxy {
	t.Helper()
	script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, descriptors)
	file := writeFile(t, configuration.String())
	return launch(t, exec.Command("sh", append([]string{"-c", script, program, "-c", file}, args...)...))
}

func launch(t *testing.T, cmd *exec.Cmd) *proxy {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, cmd: cmd, log: logFile(log.Name()), ended: make(chan struct{})}
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = &p.out
	}
	err = cmd.Start()
	log.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // the state of the process tells
		close(p.ended)
	}()
	t.Cleanup(p.end)
	eventually(t, "the proxy listens", func() bool {
		if p.hasEnded() {
			t.Fatalf("the proxy ended at once:\n%s", p.log)
		}
		for _, line := range p.lines() {
			switch line["msg"] {
			case "listening":
				p.web, _ = line["address"].(string)
			case "serving metrics":
				p.metrics, _ = line["address"].(string)
			}
		}
		return p.web != "" && p.metrics != ""
	})
	return p
}

// lines is the log so far.
func (p *proxy) lines() []map[string]any {
	var lines []map[string]any
	for text := range strings.Lines(p.log.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// logged reports whether a line with this message was written.
func (p *proxy) logged(msg string) bool {
	for _, line := range p.lines() {
		if line["msg"] == msg {
			return true
		}
	}
	return false
}

func (p *proxy) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *proxy) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// exitCode waits for the end of the process.
func (p *proxy) exitCode() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("the proxy does not end:\n%s", p.log)
		return -1
	}
}

// end stops the proxy and looks for what must never happen, whatever was done to it.
func (p *proxy) end() {
	if p.hasEnded() && p.cmd.ProcessState.ExitCode() != exitOK {
		p.t.Errorf("the proxy exited with %d", p.cmd.ProcessState.ExitCode())
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Error("the proxy does not end after SIGTERM")
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
	log := p.log.String()
	for _, bad := range []string{"panic", "DATA RACE", "fatal error", "invariant broken"} {
		if strings.Contains(log, bad) {
			p.t.Errorf("the log has %q:\n%s", bad, log)
			return
		}
	}
	if p.t.Failed() {
		p.t.Logf("log of the proxy:\n%s", log)
	}
}

// peak is the most memory that the process has held, in bytes.
func (p *proxy) peak() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(size), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return kB << 10
		}
	}
	p.t.Fatal("no VmHWM")
	return 0
}

// heldAtMost checks the memory of the process since it began. The race detector's own is not the proxy's.
func (p *proxy) heldAtMost(bytes int) {
	p.t.Helper()
	got := p.peak()
	p.t.Logf("most memory held: %.1f MB", float64(got)/(1<<20))
	if !raceDetector && got > bytes {
		p.t.Errorf("the proxy held %d bytes, more than %d", got, bytes)
	}
}

// metric is the sum of a family's series that have all of these labels, each as `name="value"`.
func (p *proxy) metric(name string, labels ...string) float64 {
	p.t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return sumSeries(p.t, string(text), name, labels)
}

func sumSeries(t *testing.T, text, name string, labels []string) (sum float64) {
	t.Helper()
next:
	for line := range strings.Lines(text) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(series, name+"{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// writeFile writes a configuration to a file of the test's own.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "proxy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
