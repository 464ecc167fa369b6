package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// onFile is a proxy whose configuration is in a file that its test changes.
func onFile(t *testing.T, s site) (p *proxy, file string) {
	t.Helper()
	p = start(t, s)
	return p, p.cmd.Args[2]
}

func rewrite(t *testing.T, file string, s site) {
	t.Helper()
	if err := os.WriteFile(file, []byte(s.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// loads is how many configurations came into force, the first included.
func (p *proxy) loads() int {
	n := 1
	for _, line := range p.lines() {
		if line["msg"] == "configuration loaded" {
			n++
		}
	}
	return n
}

const unwatched = "reload: {watch: false}\nshutdown: {drain_timeout_seconds: 1}\n"

// SIGHUP brings the file into force; a connection that is open sees it with its next request.
func TestHangupReloads(t *testing.T) {
	one, two := newServer(t, greet), newServer(t, greet)
	p, file := onFile(t, site{server: one, sections: unwatched})
	c := p.connect(t)
	if !c.isServed() {
		t.Fatal("a client was not served")
	}
	rewrite(t, file, site{server: two, sections: unwatched})
	p.signal(syscall.SIGHUP)
	eventually(t, "the file is loaded", func() bool { return p.loads() == 2 })
	one.forget()
	if !c.isServed() || one.received() != "" || two.received() == "" {
		t.Error("the next request does not go to the new server")
	}
}

// A changed file is loaded by itself, whether it is written in place or replaced.
func TestChangedFileReloads(t *testing.T) {
	servers := []*server{newServer(t, greet), newServer(t, greet), newServer(t, greet)}
	p, file := onFile(t, site{server: servers[0]})
	rewrite(t, file, site{server: servers[1]})
	eventually(t, "the file is loaded", func() bool { return p.loads() == 2 })
	next := filepath.Join(filepath.Dir(file), "next")
	rewrite(t, next, site{server: servers[2]})
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is loaded", func() bool { return p.loads() == 3 })
	if c := p.connect(t); !c.isServed() || servers[2].received() == "" {
		t.Error("a request does not go to the new server")
	}
}

// A wrong file is refused with all that is wrong with it, each with its line, and counted; what was in force stays.
func TestWrongFileIsRefused(t *testing.T) {
	s := newServer(t, greet)
	p, file := onFile(t, site{server: s, sections: unwatched})
	c := p.connect(t)
	text := strings.Replace(site{server: s, sections: unwatched}.String(), "drain_timeout_seconds: 1", "drain_timeout_seconds: no, often: 3", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	eventually(t, "both errors are in the log", func() bool {
		log := p.log.String()
		return strings.Contains(log, file+":9:") && strings.Contains(log, "drain_timeout_seconds") && strings.Contains(log, "often")
	})
	if !c.isServed() {
		t.Error("a client was not served")
	}
	if n := p.metric("traffic_config_loads_total", `result="failure"`); n != 1 {
		t.Errorf("%v failures were counted", n)
	}
}

// Level and format of the log follow the file.
func TestLogFollowsTheFile(t *testing.T) {
	s := newServer(t, greet)
	p, file := onFile(t, site{server: s, sections: unwatched})
	text := strings.Replace(site{server: s, sections: unwatched}.String(), "format: json", "format: text", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	eventually(t, "a line is in text", func() bool {
		return strings.Contains(p.log.String(), `msg="configuration loaded"`)
	})
}
