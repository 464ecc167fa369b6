// Command traffic_management is a reverse proxy and load balancer for Linux servers.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"traffic_management/config"
	"traffic_management/engine"
	"traffic_management/internal/demo"
	"traffic_management/telemetry"
)

// version is set by the build (see the Makefile).
var version = "dev"

// What the process exits with.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// flags are the command line.
type flags struct {
	file     string
	validate bool
	debug    bool
	loops    int
	pin      bool
	plain    bool
	pprof    string
	version  bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "demo" {
		os.Exit(runDemo(os.Args[2:]))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func parse(args []string, stderr io.Writer) (*flags, error) {
	f := new(flags)
	set := flag.NewFlagSet("traffic_management", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&f.file, "c", "", "configuration `file`")
	set.BoolVar(&f.validate, "validate", false, "check the configuration and exit")
	set.BoolVar(&f.debug, "debug", false, "log at debug level, whatever the configuration says")
	set.IntVar(&f.loops, "loops", 0, "event loops; 0 is one for each core the process may use")
	set.BoolVar(&f.pin, "pin", false, "tie each loop to a core")
	set.BoolVar(&f.plain, "no-io-uring", false, "make every socket call by itself, as where the kernel has no io_uring")
	set.StringVar(&f.pprof, "pprof", "", "serve profiles at this `address`, under /debug/pprof/")
	set.BoolVar(&f.version, "version", false, "print the version and exit")
	set.Usage = func() {
		fmt.Fprint(stderr, "Usage:\n"+
			"  traffic_management -c FILE [--validate] [--debug] [--loops N] [--pin] [--pprof ADDRESS] [--no-io-uring]\n"+
			"  traffic_management demo     sample backends for the example configuration\n"+
			"  traffic_management --version\n\nOptions:\n")
		set.PrintDefaults()
	}
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case set.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; see --help", set.Arg(0))
	case f.loops < 0 || f.loops > 1024:
		return nil, fmt.Errorf("--loops: expected 0 to 1024, got %d", f.loops)
	case f.file == "" && !f.version:
		return nil, errors.New("no configuration file: give one with -c FILE; see --help")
	}
	return f, nil
}

func run(args []string, stdout, stderr io.Writer) int {
	f, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	case f.version:
		fmt.Fprintln(stdout, "traffic_management", version)
		return exitOK
	}
	c, err := config.Load(f.file, os.LookupEnv)
	if err == nil && f.validate {
		var warnings []string
		warnings, err = engine.Check(c, nil)
		for _, w := range warnings {
			fmt.Fprintln(stderr, "warning:", w)
		}
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitFailed
	case f.validate:
		fmt.Fprintln(stdout, "configuration OK")
		return exitOK
	}
	return serve(f, c, stderr)
}

// serve runs the proxy until a signal ends it, or a new process took its place.
func serve(f *flags, c *config.Config, stderr io.Writer) int {
	logger, log := telemetry.NewLogger(stderr, string(c.Log.Level), string(c.Log.Format))
	signals := make(chan os.Signal, 4) // from here on: none of them is to end a process that is starting
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1,
		syscall.SIGHUP, syscall.SIGUSR2)
	dumps := make(chan os.Signal, 1) // apart, since the others are not heard while the proxy drains
	signal.Notify(dumps, syscall.SIGTTIN)
	inherited, err := engine.Inherit()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	e, err := engine.New(c, engine.Options{Loops: f.loops, Pin: f.pin, Plain: f.plain, Version: version, Logger: logger,
		File: f.file, Inherited: inherited, Program: itself(), SetLog: func(c config.Log) {
			if f.debug {
				c.Level = config.LogDebug
			}
			log.Set(string(c.Level), string(c.Format))
		}})
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	if f.pprof != "" {
		go serveProfiles(f.pprof, logger)
	}
	e.Start(context.Background())
	go dumpWhenTold(e, dumps, stderr, logger)
	return obey(e, signals, logger)
}

// obey does what signals say, until one says to end.
func obey(e *engine.Engine, signals <-chan os.Signal, logger *slog.Logger) int {
	replaced := make(chan struct{})
	for {
		var s os.Signal
		select {
		case s = <-signals:
		case <-replaced:
			drain(e, signals, logger)
			return exitOK
		}
		switch s {
		case syscall.SIGUSR1:
			go func() {
				if err := e.ReopenLogs(); err != nil {
					logger.Error("log files were not reopened", "error", err)
				}
			}()
		case syscall.SIGHUP:
			go func() { _ = e.ReloadFile() }() // which logs what came of it
		case syscall.SIGUSR2:
			go func() {
				if err := e.Upgrade(); err != nil {
					logger.Error("no upgrade", "error", err)
					return
				}
				close(replaced)
			}()
		case syscall.SIGQUIT:
			logger.Info("stopping now")
			stopNow(e)
			return exitOK
		default:
			drain(e, signals, logger)
			return exitOK
		}
	}
}

// stopPatience is how long SIGQUIT waits for loops: one that is stuck is a reason to send it.
const stopPatience = 2 * time.Second

// stopNow ends what runs.
func stopNow(e *engine.Engine) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	stopped := make(chan struct{})
	go func() {
		_ = e.Shutdown(now)
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopPatience):
	}
}

// itself is the program as it was started. The path stays what it is now, wherever the process goes, so that a file that
// was replaced is the new program.
func itself() engine.Program {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		path, _ = os.Executable() // started in an unusual way; without a path an upgrade fails and says so
	}
	return engine.Program{Path: path, Args: os.Args}
}

// dumpWhenTold writes the state of the proxy at every signal, also while it drains.
func dumpWhenTold(e *engine.Engine, told <-chan os.Signal, w io.Writer, logger *slog.Logger) {
	for range told {
		var b bytes.Buffer // so that lines of the log do not come between
		err := e.Dump(&b)
		if err == nil {
			_, err = b.WriteTo(w)
		}
		if err != nil {
			logger.Error("the state was not written", "error", err)
		}
	}
}

// drain lets running requests end. A second signal ends the wait.
func drain(e *engine.Engine, signals <-chan os.Signal, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), e.Config().Shutdown.DrainTimeout)
	defer cancel()
	go func() {
		for s := range signals {
			switch s {
			case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
				cancel()
				return
			}
		}
	}()
	if err := e.Shutdown(ctx); err != nil {
		logger.Warn("drained", "error", err)
		return
	}
	logger.Info("drained")
}

// Shares of what the profiles of locks and of waiting see: one contended lock in so many, and waits of so many
// nanoseconds or more.
const (
	mutexShare = 10
	blockShare = 10_000
)

func serveProfiles(address string, logger *slog.Logger) {
	runtime.SetMutexProfileFraction(mutexShare)
	runtime.SetBlockProfileRate(blockShare)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	err := server.ListenAndServe()
	for logged := false; errors.Is(err, syscall.EADDRINUSE); err = server.ListenAndServe() {
		if !logged {
			logger.Warn("profiles are served when the address is free", "error", err)
			logged = true
		}
		time.Sleep(time.Second) // the process that this one takes over from may have it until it ends
	}
	logger.Error("profiles are not served", "error", err)
}

// runDemo serves the sample backends until a signal ends it.
func runDemo(args []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if len(args) > 0 {
		fmt.Fprintln(os.Stderr, "demo takes no arguments")
		return exitUsage
	}
	if err := demo.Serve(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	return exitOK
}
