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

// Watch calls changed each time the content of one of the files is another than it was last seen to be, and failed when
// one cannot be read or watched, on one goroutine of its own, until stop is called. It notices writes in place, files,
// directories and symbolic links on the way that are replaced, and files that are gone for a while, of which it says
// nothing. Changes that follow one another closely are one. What was last seen is at first what Watch finds: call it
// before the files are read, so that no change falls between them. The error is that of the kernel, when it lets us watch
// nothing more. stop may be called by any goroutine, also from within changed and failed; a call that has begun goes on.
func Watch(files []string, changed func(), failed func(error)) (stop func(), err error) {
	return watch(files, quietTime, func(f finding, err error) {
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

// Findings. Of several files, the last of these that is true of one is told.
const (
	unchanged finding = iota // the content is what was last seen
	absent                   // there is no file, it may come back
	differs                  // the content is another
	faulty                   // a file cannot be read or watched; comes with an error, and beside the others
)

// String names the finding.
func (f finding) String() string { return [...]string{"unchanged", "absent", "differs", "faulty"}[f] }

// watcher watches files. Its goroutine owns all of it.
type watcher struct {
	files []watched
	quiet time.Duration
	tell  func(finding, error)

	notify  *fsnotify.Watcher
	lookups []string // that events are heard of, see lookups
}

// watched is one of its files.
type watched struct {
	path string // absolute
	seen [sha256.Size]byte
}

func watch(files []string, quiet time.Duration, tell func(finding, error)) (stop func(), err error) {
	w := &watcher{files: make([]watched, len(files)), quiet: quiet, tell: tell}
	for i, file := range files {
		if w.files[i].path, err = filepath.Abs(file); err != nil {
			return nil, err
		}
	}
	if err := w.listen(); err != nil {
		return nil, err
	}
	for i := range w.files {
		_, _ = w.files[i].read()
	}
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

// look listens anew, since what is on the way to a file may be other directories than before, and then reads the files:
// in this order, so that a later change is heard of. It reports whether both went well.
func (w *watcher) look() bool {
	listening := w.listen()
	if listening != nil {
		w.tell(faulty, listening)
	}
	found, whole := unchanged, true
	for i := range w.files {
		f, err := w.files[i].read()
		if f == faulty {
			w.tell(faulty, err)
			whole = false
			continue
		}
		found = max(found, f)
	}
	if whole || found == differs {
		w.tell(found, nil)
	}
	return listening == nil && whole
}

// read compares the file with what was last seen.
func (w *watched) read() (finding, error) {
	data, err := os.ReadFile(w.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent, nil
	case err != nil:
		return faulty, err
	}
	sum := sha256.Sum256(data)
	if sum == w.seen {
		return unchanged, nil
	}
	w.seen = sum
	return differs, nil
}

// listen hears of everything that finding the files depends on, in place of what was heard of before.
func (w *watcher) listen() error {
	const tries = 10
	for range tries {
		notify, err := fsnotify.NewWatcher()
		if err != nil {
			return fmt.Errorf("watching: %w", err)
		}
		names, stays, err := w.add(notify)
		if err == nil && stays {
			if w.notify != nil {
				_ = w.notify.Close()
			}
			w.notify, w.lookups = notify, names
			return nil
		}
		_ = notify.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // else it changes at this moment
			return fmt.Errorf("watching: %w", err)
		}
	}
	return errors.New("watching: the directories do not stay for as long as it takes")
}

// add listens to what all files depend on. It reports whether that has stayed the same meanwhile.
func (w *watcher) add(notify *fsnotify.Watcher) (all []string, stays bool, err error) {
	stays = true
	for i := range w.files {
		names := lookups(w.files[i].path)
		if err := add(notify, names); err != nil {
			return nil, false, err
		}
		stays = stays && slices.Equal(names, lookups(w.files[i].path))
		all = append(all, names...)
	}
	return all, stays, nil
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
