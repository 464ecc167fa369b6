package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// text is a configuration as it is.
type text string

func (s text) String() string { return string(s) }

// result is what a run of the program that ends by itself left.
type result struct {
	code     int
	out, log string
}

// runOnce runs the program to its end.
func runOnce(t *testing.T, args ...string) result {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.WaitDelay = patience
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), log.String()}
}

const validText = "entrypoints: {web: {address: '127.0.0.1:0'}}\n" +
	"services: {main: {servers: [{url: 'http://127.0.0.1:1'}]}}\n" +
	"routers: {main: {rule: 'PathPrefix(`/`)', service: main}}\n"

func TestCommandLine(t *testing.T) {
	valid := writeFile(t, validText)
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	for _, test := range []struct {
		name     string
		args     []string
		code     int
		out, log string // what is in them; empty: nothing
	}{
		{"valid file", []string{"-c", valid, "--validate"}, exitOK, "configuration OK\n", ""},
		{"one dash", []string{"-validate", "-c", valid}, exitOK, "configuration OK\n", ""},
		{"version", []string{"--version"}, exitOK, "traffic_management ", ""},
		{"help", []string{"--help"}, exitOK, "", "Usage:"},
		{"nothing", nil, exitUsage, "", "-c FILE"},
		{"validate nothing", []string{"--validate"}, exitUsage, "", "-c FILE"},
		{"no value", []string{"-c"}, exitUsage, "", "flag needs an argument"},
		{"unknown flag", []string{"--no-such-flag"}, exitUsage, "", "no-such-flag"},
		{"bad number", []string{"-c", valid, "--loops", "many"}, exitUsage, "", "loops"},
		{"negative number", []string{"-c", valid, "--loops", "-1"}, exitUsage, "", "--loops: expected"},
		{"too many loops", []string{"-c", valid, "--loops", "100000"}, exitUsage, "", "--loops: expected"},
		{"argument", []string{"-c", valid, "more"}, exitUsage, "", `unexpected argument "more"`},
		{"unknown file", []string{"-c", missing}, exitFailed, "", missing},
		{"unknown file, validate", []string{"-c", missing, "--validate"}, exitFailed, "", missing},
		{"directory", []string{"-c", filepath.Dir(valid)}, exitFailed, "", filepath.Dir(valid)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := runOnce(t, test.args...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d", got.code, test.code)
			}
			if !strings.Contains(got.out, test.out) || test.out == "" && got.out != "" {
				t.Errorf("standard output %q, want %q", got.out, test.out)
			}
			if !strings.Contains(got.log, test.log) || test.log == "" && got.log != "" {
				t.Errorf("standard error %q, want %q", got.log, test.log)
			}
		})
	}
}

// Every fault is told at once, each with its place.
func TestValidateTellsAllFaults(t *testing.T) {
	file := writeFile(t, `entrypoints:
  web:
    address: "127.0.0.1:99999"
    http: {header_timeout_ms: soon}
    colour: red
services:
  main:
    load_balancer: {strategy: roundrobin}
    servers: []
routers:
  main: {rule: "PathPrefix(`+"`/`"+`)", service: man}
`)
	got := runOnce(t, "-c", file, "--validate")
	if got.code != exitFailed || got.out != "" {
		t.Errorf("exit code %d, standard output %q", got.code, got.out)
	}
	lines := strings.Split(strings.TrimSpace(got.log), "\n")
	for i, want := range []string{":3:14: entrypoints.web.address: ", ":4:31: entrypoints.web.http.header_timeout_ms: ",
		":5:5: entrypoints.web.colour: ", ":8:31: services.main.load_balancer.strategy: ", ":9:5: services.main.servers: ",
		":11:44: routers.main.service: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], file+want) {
			t.Errorf("no line %d with %q in:\n%s", i+1, want, got.log)
		}
	}
	if len(lines) != 6 {
		t.Errorf("%d lines, want 6", len(lines))
	}
}

func TestValidateTellsFaultsOfRules(t *testing.T) {
	text := strings.Replace(validText, "routers: {main: {rule: 'PathPrefix(`/`)', service: main}}", `routers:
  bad:
    rule: Host("a.test") && Pfad("/")
    service: main
  worse:
    rule: Host(
    service: main`, 1)
	file := writeFile(t, text)
	for _, args := range [][]string{{"-c", file, "--validate"}, {"-c", file}} {
		got := runOnce(t, args...)
		if got.code != exitFailed || !strings.Contains(got.log, file+":5:29: routers.bad.rule: ") ||
			!strings.Contains(got.log, file+":8:16: routers.worse.rule: ") {
			t.Errorf("exit code %d:\n%s", got.code, got.log)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for name, test := range map[string]struct{ text, place string }{
		"entry point": {strings.Replace(validText, "127.0.0.1:0", taken, 1), ":1:30: entrypoints.web.address: "},
		"metrics":     {validText + "metrics: {address: '" + taken + "'}\n", ":4:20: metrics.address: "},
		"log file": {validText + "access_log: {file: " + filepath.Join(t.TempDir(), "none", "log") + "}\n",
			":4:20: access_log.file: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, test.text)
			got := runOnce(t, "-c", file)
			if got.code != exitFailed || !strings.HasPrefix(got.log, file+test.place) {
				t.Errorf("exit code %d: %q, want %q", got.code, got.log, test.place)
			}
			if name != "log file" && !strings.Contains(got.log, "address already in use") {
				t.Errorf("the cause is not told: %q", got.log)
			}
		})
	}
}

func TestLoopsAndPin(t *testing.T) {
	s := newServer(t, greet)
	for _, args := range [][]string{{"--loops", "3"}, {"--loops", "3", "--pin"}} {
		p := start(t, site{server: s}, args...)
		for range 8 {
			if c := p.connect(t); !c.isServed() {
				t.Fatal("a client was not served")
			}
		}
		for _, line := range p.lines() {
			if line["msg"] == "listening" && line["loops"] != 3.0 {
				t.Errorf("%v loops", line["loops"])
			}
		}
	}
}

// --debug shows what the configuration would hide.
func TestDebug(t *testing.T) {
	s := newServer(t, greet)
	quiet := text(strings.Replace(site{server: s}.String(), "log: {format: json}", "log: {format: json, level: error}", 1))
	p := start(t, quiet, "--debug") // waits for lines at info level
	if c := p.connect(t); !c.isServed() {
		t.Error("a client was not served")
	}
}

// profiled is start with profiles, served at the address that it returns.
func profiled(t *testing.T, configuration fmt.Stringer) (p *proxy, address string) {
	t.Helper()
	client := http.Client{Timeout: patience}
	for try := 0; ; try++ { // a port that is free now may be taken by someone else before the program has it
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		p := start(t, configuration, "--pprof", address)
		var status string
		for deadline := time.Now().Add(patience); status == "" && !p.logged("profiles are not served") && time.Now().Before(deadline); {
			response, err := client.Get("http://" + address + "/debug/pprof/goroutine?debug=1")
			if err != nil {
				time.Sleep(2 * time.Millisecond)
				continue
			}
			response.Body.Close()
			status = response.Status
		}
		if status == "200 OK" {
			return p, address
		}
		if status != "" || try == 5 {
			t.Fatalf("profiles: %q\n%s", status, p.log)
		}
	}
}

// goroutines is how many the program has, by its profile.
func goroutines(t *testing.T, profiles string) (n int) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + profiles + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := fmt.Fscanf(response.Body, "goroutine profile: total %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestProfiles(t *testing.T) {
	if _, address := profiled(t, site{server: newServer(t, greet)}); goroutines(t, address) == 0 {
		t.Error("no goroutines")
	}
}
