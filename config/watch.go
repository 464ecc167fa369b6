package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quietTime is how long nothing must have happened to a file before it is looked at: writers do it in steps.
	quietTime = 200 * time.Millisecond
	// retryTime is when a file that could not be read or watched is looked at again, if nothing happens before.
	retryTime = time.Minute
)

// Watch calls changed each time the content of the file is another than it was last seen to be, and failed when it
// cannot be read or watched, on one goroutine of its own, until stop is called. It notices writes in place, files,
// directories and symbolic links on the way that are replaced, and files that are gone for a while, of which it says
// nothing. What was last seen is at first what Watch finds: call it before Load, so that no change falls between them.
// The error is that of the kernel, when it lets us watch nothing more. stop may be called by any goroutine, also from
// within changed and failed; a call that has begun goes on.
func Watch(file string, changed func(), failed func(error)) (stop func(), err error) {
	return watch(file, quietTime, func(f finding, err error) {
		switch f {
		case differs:
			changed()
		case faulty:
			failed(err)
		}
	})
}

// finding is what a look at a file gave.
type finding uint8

// Findings.
const (
	unchanged finding = iota // the content is what was last seen
	differs                  // the content is another
	absent                   // there is no file, it may come back
	faulty                   // the file cannot be read or watched; comes with an error
)

// String names the finding.
func (f finding) String() string { return [...]string{"unchanged", "differs", "absent", "faulty"}[f] }

// watcher watches one file. Its goroutine owns all of it.
type watcher struct {
	file  string // absolute
	quiet time.Duration
	tell  func(finding, error)

	notify  *fsnotify.Watcher
	lookups []string // that events are heard of, see lookups
	seen    [sha256.Size]byte
}

func watch(file string, quiet time.Duration, tell func(finding, error)) (stop func(), err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	w := &watcher{file: file, quiet: quiet, tell: tell}
	if err := w.listen(); err != nil {
		return nil, err
	}
	w.read()
	done := make(chan struct{})
	go w.run(done)
	return sync.OnceFunc(func() { close(done) }), nil
}

func (w *watcher) run(done <-chan struct{}) {
	defer func() { _ = w.notify.Close() }()
	timer := time.NewTimer(w.quiet)
	timer.Stop()
	for {
		select {
		case <-done:
			return
		case e := <-w.notify.Events:
			if slices.Contains(w.lookups, filepath.Clean(e.Name)) {
				timer.Reset(w.quiet)
			}
		case <-w.notify.Errors: // events were lost, such as of what we wait for
			timer.Reset(w.quiet)
		case <-timer.C:
			if !w.look() {
				timer.Reset(retryTime)
			}
		}
	}
}

// look listens anew, since what is on the way to the file may be other directories than before, and then reads the file:
// in this order, so that a later change is heard of. It reports whether both went well.
func (w *watcher) look() bool {
	listening := w.listen()
	if listening != nil {
		w.tell(faulty, listening)
	}
	f, err := w.read()
	w.tell(f, err)
	return listening == nil && f != faulty
}

// read compares the file with what was last seen.
func (w *watcher) read() (finding, error) {
	data, err := os.ReadFile(w.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent, nil
	case err != nil:
		return faulty, fmt.Errorf("reading the configuration: %w", err)
	}
	sum := sha256.Sum256(data)
	if sum == w.seen {
		return unchanged, nil
	}
	w.seen = sum
	return differs, nil
}

// listen hears of everything that finding the file depends on, in place of what was heard of before.
func (w *watcher) listen() error {
	const tries = 10
	for range tries {
		names := lookups(w.file)
		notify, err := fsnotify.NewWatcher()
		if err != nil {
			return fmt.Errorf("watching the configuration: %w", err)
		}
		if err = add(notify, names); err == nil && slices.Equal(names, lookups(w.file)) {
			if w.notify != nil {
				_ = w.notify.Close()
			}
			w.notify, w.lookups = notify, names
			return nil
		}
		_ = notify.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // else it changes at this moment
			return fmt.Errorf("watching the configuration: %w", err)
		}
	}
	return fmt.Errorf("watching the configuration: the directories of %s do not stay for as long as it takes", w.file)
}

// add listens to the directory of each name, from the first, so that one which is replaced meanwhile is heard of.
func add(notify *fsnotify.Watcher, names []string) error {
	for i, name := range names {
		dir := filepath.Dir(name)
		err := notify.Add(dir)
		if errors.Is(err, fs.ErrPermission) && i < len(names)-1 {
			continue // those above the file need to let us through only, not to be read
		}
		if err != nil {
			return &fs.PathError{Op: "watch", Path: dir, Err: err}
		}
	}
	if len(names) > 0 {
		// Where the file alone is mounted, writes to it are not heard of in its directory. It need not be there.
		_ = notify.Add(names[len(names)-1])
	}
	return nil
}

// maxLinks is how many symbolic links the kernel follows (path_resolution(7)).
const maxLinks = 40

// lookups is every name that is looked up to find the file, symbolic links followed, as absolute paths without links
// in their directories; up to the first that is not there.
func lookups(file string) []string {
	var names []string
	dir, links := "/", 0
	for rest := strings.Split(file, "/"); len(rest) > 0; {
		step := rest[0]
		rest = rest[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			dir = filepath.Dir(dir)
			continue
		}
		name := filepath.Join(dir, step)
		names = append(names, name)
		target, err := os.Readlink(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return names
		case err != nil: // no link
			dir = name
			continue
		}
		if links++; links > maxLinks {
			return names
		}
		if filepath.IsAbs(target) {
			dir = "/"
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return names
}
