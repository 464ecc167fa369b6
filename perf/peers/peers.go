// Package peers starts the proxies that are compared, each with the settings an expert would give it.
package peers

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/template"

	"golang.org/x/crypto/bcrypt"

	"traffic_management/perf/process"
)

//go:embed nginx.conf haproxy.cfg ours.yaml
var files embed.FS

// Name tells the programs apart that can stand between the load and the backend.
type Name string

// The programs.
const (
	Relay   Name = "relay"   // perf/relay: the physical limit
	Nginx   Name = "nginx"   // one worker process
	HAProxy Name = "haproxy" // one thread
	Ours    Name = "ours"    // one loop unless Options.Loops says otherwise
)

// Log is how a proxy writes its access log.
type Log string

// The ways.
const (
	LogNone     Log = "none"
	LogOn       Log = "on"       // as each does by default
	LogBuffered Log = "buffered" // nginx only: written every 64 kB or second
)

// Middleware is the one that each request passes, in the proxy's own way.
type Middleware string

// The middlewares; empty is none.
const (
	Headers     Middleware = "headers"      // one field of the request and two of the response are set
	RateLimit   Middleware = "rate-limit"   // of each client; never reached
	IPList      Middleware = "ip-list"      // three ranges, the last one has the client
	Gzip        Middleware = "gzip"         // of JSON, level 5
	BasicAuth   Middleware = "basic-auth"   // the user bench with the password secret
	ForwardAuth Middleware = "forward-auth" // asks the backend; HAProxy has none
)

// Options are how a proxy is set up.
type Options struct {
	Backends    []string // addresses, at least one; the relay takes the first
	CPU         int      // core, or process.AnyCPU
	Log         Log
	Guarded     bool // with all that keeps a service up: checks and ejection of servers, retries, circuit breakers
	Loops       int  // of ours; 0 is 1
	Connections int  // clients that must fit; 0 is 1000
	PoolIdle    int  // seconds that ours keeps an idle connection to the backend; 0 is 600
	TLS         bool // listen with TLS, too, for HTTP/1.1 and HTTP/2
	Pipeline    bool // ours: requests of many clients share few connections to the backend
	H2C         bool // HTTP/2 to the backend; nginx knows none
	Middleware  Middleware
	Keys        string // ours: address of a server with sets of keys. Paths have middlewares that take long: see KeySets
}

// user is the only one of BasicAuth. SHA-1 without salt is the cheapest hash that both nginx and ours take.
const user = "bench:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="

// What Options.Keys is about: /json is compressed with Brotli, /bytes wants the password of the user bench, hashed with
// bcrypt, and /tokens/N, for each N below KeySets, a token of a set of keys of its own, so that many are fetched in the
// least time that there may be between two fetches of one.
const (
	KeySets  = 40
	slowCost = 10
)

// Bed is where proxies are started.
type Bed struct {
	Binaries string // directory of our own programs
	Dir      string // scratch, emptied by its owner
	LogDir   string // access logs: in memory, so that no disk is measured
}

// Peer is a running proxy.
type Peer struct {
	*process.Process
	Name    Name
	Address string
	Secure  string // address with TLS; Options.TLS only
	Metrics string // address of /metrics; ours only
	logFile string
	out     *os.File
}

// settings is what the templates see.
type settings struct {
	Options
	Dir, Address, Secure, Metrics, LogFile string
	Certificate                            string // file of certificate and key
	Descriptors                            int
	Root                                   bool
	UserFile                               string // of BasicAuth
	SlowUser                               string // of Keys
	KeySets                                []int
}

// Start starts one proxy and waits until it accepts connections.
func (b *Bed) Start(ctx context.Context, name Name, o Options) (*Peer, error) {
	s, err := b.settings(name, o)
	if err != nil {
		return nil, err
	}
	path, args, err := b.command(name, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &Peer{Name: name, Address: s.Address, Secure: s.Secure, Metrics: s.Metrics, logFile: s.LogFile}
	spec := process.Spec{Path: path, Args: args, CPU: o.CPU, Log: filepath.Join(s.Dir, "stderr")}
	if name == HAProxy && o.Log != LogNone {
		// It cannot open a file itself; with its standard output it writes lines the same way.
		if p.out, err = os.Create(s.LogFile); err != nil {
			return nil, err
		}
		spec.Stdout = p.out
	}
	if p.Process, err = process.Start(ctx, spec); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := p.Ready(ctx, p.Address); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Stop ends the proxy and removes its access log.
func (p *Peer) Stop() {
	p.Process.Stop()
	if p.out != nil {
		p.out.Close()
	}
	os.Remove(p.logFile)
}

// LogSize is how many bytes the access log has.
func (p *Peer) LogSize() int64 {
	info, err := os.Stat(p.logFile)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Missing tells why a proxy cannot be started, or nil.
func (b *Bed) Missing(name Name) error {
	path, _, err := b.program(name)
	if err == nil {
		_, err = exec.LookPath(path)
	}
	return err
}

func (b *Bed) settings(name Name, o Options) (s settings, err error) {
	s = settings{Options: o, Root: os.Geteuid() == 0}
	if s.Loops == 0 {
		s.Loops = 1
	}
	if s.Connections == 0 {
		s.Connections = 1000
	}
	if s.PoolIdle == 0 {
		s.PoolIdle = 600
	}
	if s.Descriptors, err = process.Capped(2*s.Connections + 200); err != nil {
		return s, err
	}
	if s.Dir, err = os.MkdirTemp(b.Dir, string(name)+"-"); err != nil {
		return s, err
	}
	if s.Address, err = process.FreeAddress(); err != nil {
		return s, err
	}
	if s.Metrics, err = process.FreeAddress(); err != nil {
		return s, err
	}
	if o.Middleware == BasicAuth {
		s.UserFile = filepath.Join(s.Dir, "users")
		if err := os.WriteFile(s.UserFile, []byte(user+"\n"), 0o644); err != nil {
			return s, err
		}
	}
	if o.Keys != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret"), slowCost)
		if err != nil {
			return s, err
		}
		s.SlowUser = "bench:" + string(hash)
		for i := range KeySets {
			s.KeySets = append(s.KeySets, i)
		}
	}
	s.LogFile = filepath.Join(b.LogDir, filepath.Base(s.Dir)+".log")
	if !o.TLS {
		return s, nil
	}
	if s.Secure, err = process.FreeAddress(); err != nil {
		return s, err
	}
	s.Certificate = filepath.Join(s.Dir, "server.pem")
	return s, writeCertificate(s.Certificate)
}

// program is the path of a proxy and the template of its configuration, if it has one.
func (b *Bed) program(name Name) (path, config string, err error) {
	switch name {
	case Relay:
		return filepath.Join(b.Binaries, "relay"), "", nil
	case Nginx:
		return "nginx", "nginx.conf", nil
	case HAProxy:
		return "haproxy", "haproxy.cfg", nil
	case Ours:
		return filepath.Join(b.Binaries, "traffic_management"), "ours.yaml", nil
	}
	return "", "", fmt.Errorf("unknown proxy %q", name)
}

func (b *Bed) command(name Name, s settings) (path string, args []string, err error) {
	path, config, err := b.program(name)
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(s.Dir, config)
	if config != "" {
		if err := render(config, file, s); err != nil {
			return "", nil, err
		}
	}
	switch name {
	case Relay:
		args = []string{"-listen", s.Address, "-backend", s.Backends[0]}
	case Nginx:
		args = []string{"-p", s.Dir, "-c", file, "-e", filepath.Join(s.Dir, "nginx-error.log")}
	case HAProxy:
		args = []string{"-db", "-f", file}
	case Ours:
		args = []string{"-c", file, "--loops", strconv.Itoa(s.Loops)}
	}
	return path, args, nil
}

// render writes the configuration of one proxy.
func render(config, file string, s settings) error {
	t, err := template.New(config).Option("missingkey=error").ParseFS(files, config)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.Execute(f, s)
}
