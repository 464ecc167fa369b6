package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"traffic_management/engine/systemd"
)

// upgradePatience is how long a new process may take to serve.
const upgradePatience = 30 * time.Second

// firstPassed is the number that the first descriptor has in a process to which it is passed, after the three that
// every process has.
const firstPassed = 3

var (
	errUpgrading = errors.New("an upgrade is under way already")
	errSilent    = errors.New("it did not say in time that it serves")
)

// Program is how the process was started.
type Program struct {
	Path string   // absolute; what lies there is what Upgrade starts
	Args []string // as os.Args
}

// Upgrade starts the program anew, as it now is, and passes it every listening socket. It returns when the new process
// serves, and has new connections to itself: this one is to end by Shutdown. On an error this one goes on as before.
//
//	this process                       the new one
//	start, with sockets and a pipe ──▶ load the file, take the sockets, run the loops, accept
//	                               ◀── "ready"
//	stop accepting, Shutdown           serve
func (e *Engine) Upgrade() error {
	if !e.upgrading.TryLock() {
		return errUpgrading
	}
	defer e.upgrading.Unlock()
	e.changing.Lock() // what listens stays as it is
	defer e.changing.Unlock()
	if e.stage != stageServing {
		return errNotServing
	}
	pid, err := e.startSuccessor()
	e.registry.UpgradeEnded(err == nil)
	if err != nil {
		return fmt.Errorf("the new process does not serve, this one goes on: %w", err)
	}
	e.stage = stageReplaced
	e.options.Inherited.tell(e.logger, systemd.MainProcess(pid))
	e.giveUpListening()
	e.logger.Info("a new process serves", "pid", pid)
	return nil
}

// giveUpListening leaves new connections to the new process.
func (e *Engine) giveUpListening() {
	e.onLoops(func(w *worker) {
		for _, k := range w.doorkeepers {
			k.close()
		}
	})
	s := e.current()
	for _, d := range s.doors {
		d.listener.Keep()
	}
	for _, w := range []*web{s.metrics, s.admin} {
		w.keep()
		w.leave(&e.running)
	}
}

// startSuccessor starts the new process and waits until it serves.
func (e *Engine) startSuccessor() (pid int, err error) {
	from, to, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer from.Close()
	pid, err = e.fork(to)
	to.Close() // so that the pipe ends with the new process
	if err != nil {
		return 0, err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return 0, err
	}
	ended := make(chan string, 1)
	go func() { // not one to wait for: the new process is to live longer than this one
		state, err := process.Wait()
		switch {
		case errors.Is(err, syscall.ECHILD):
			ended <- "its own log says why"
		case err != nil:
			ended <- err.Error()
		default:
			ended <- state.String()
		}
	}()
	if err := e.awaitReady(from); err != nil {
		_ = process.Kill() // it may have ended
		return 0, fmt.Errorf("%w (%s)", err, <-ended)
	}
	return pid, nil
}

// awaitReady reads what the new process says, until Shutdown is called.
func (e *Engine) awaitReady(from *os.File) error {
	if err := from.SetReadDeadline(time.Now().Add(upgradePatience)); err != nil {
		return err
	}
	defer context.AfterFunc(e.ctx, func() { _ = from.SetReadDeadline(time.Now()) })()
	text, err := io.ReadAll(io.LimitReader(from, 64))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && e.ctx.Err() != nil:
		return errNotServing
	case err != nil:
		return errSilent
	case string(text) != handoverReady:
		return errors.New("it ended before it served")
	}
	return nil
}

// filled is the end of a pipe from which b can be read. It is no longer than a pipe has room for.
func filled(b []byte) (*os.File, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer to.Close()
	if _, err := to.Write(b); err != nil {
		from.Close()
		return nil, err
	}
	return from, nil
}

// fork starts the new process with everything that listens, and the end of a pipe to say that it serves.
func (e *Engine) fork(ready *os.File) (pid int, err error) {
	secrets, err := filled(e.keeper.Secrets())
	if err != nil {
		return 0, err
	}
	defer secrets.Close()
	h := handover{Ready: firstPassed, Secrets: firstPassed + 1}
	files := []uintptr{0, 1, 2, ready.Fd(), secrets.Fd()}
	add := func(key, address string, kept bool, fds ...int) {
		one := handed{Key: key, Address: address, Kept: kept}
		for _, fd := range fds {
			one.Descriptors = append(one.Descriptors, len(files))
			files = append(files, uintptr(fd))
		}
		h.Sockets = append(h.Sockets, one)
	}
	s := e.current()
	for _, d := range s.doors {
		add("entrypoints."+d.name, d.address.String(), d.listener.Kept(), d.listener.Descriptors()...)
	}
	for key, w := range map[string]*web{"metrics": s.metrics, "admin": s.admin} {
		if w == nil {
			continue
		}
		fd, err := w.descriptor()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", key, err)
		}
		defer unix.Close(fd)
		add(key, w.address.String(), w.kept, fd)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return 0, err
	}
	env := slices.DeleteFunc(systemd.Environment(os.Environ()), func(v string) bool {
		return strings.HasPrefix(v, handoverVariable+"=")
	})
	p := &e.options.Program
	// Not os/exec: it makes descriptors blocking, which these share with our loops.
	pid, err = syscall.ForkExec(p.Path, p.Args, &syscall.ProcAttr{Env: append(env, handoverVariable+"="+string(text)), Files: files,
		Sys: &syscall.SysProcAttr{Cloneflags: e.options.Inherited.parentage()}})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.Path, err)
	}
	return pid, nil
}
