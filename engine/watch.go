package engine

import (
	"os"
	"reflect"
	"slices"

	"traffic_management/config"
)

// watchFile begins or ends to watch the configuration file, as the configuration in force says. e.changing is held.
func (e *Engine) watchFile() {
	watch := e.options.File != "" && e.Config().Reload.Watch
	switch {
	case !watch && e.unwatch != nil:
		e.unwatch()
		e.unwatch = nil
	case watch && e.unwatch == nil:
		stop, err := config.Watch([]string{e.options.File}, func() { _ = e.ReloadFile() }, e.watchFailed)
		if err != nil {
			e.watchFailed(err)
			return
		}
		e.unwatch = stop
		e.running.Go(e.reloadIfChanged)
	}
}

func (e *Engine) watchFailed(err error) {
	e.logger.Error("the configuration file cannot be watched; SIGHUP still loads it", "error", err)
}

// reloadIfChanged loads a file that was changed after it was read, and before it was watched.
func (e *Engine) reloadIfChanged() {
	c, err := config.Load(e.options.File, os.LookupEnv, e.options.Middlewares.Kinds()...)
	if err != nil || !reflect.DeepEqual(c, e.Config()) {
		_ = e.ReloadFile() // which logs what is wrong
	}
}

// fileWatch is the watching of files that a configuration names. Engine.changing guards it.
type fileWatch struct {
	files []string // sorted; empty while none are watched
	stop  func()
}

func (w *fileWatch) end() {
	if w.stop != nil {
		w.stop()
	}
	*w = fileWatch{}
}

// follow watches these files, sorted, in place of those before: refresh is called when one changes. what names them in the
// log. e.changing is held.
func (e *Engine) follow(w *fileWatch, files []string, what string, refresh func()) {
	if slices.Equal(files, w.files) {
		return
	}
	w.end()
	if len(files) == 0 {
		return
	}
	failed := func(err error) {
		e.logger.Error("files of "+what+" cannot be watched; SIGHUP still loads them", "error", err)
	}
	stop, err := config.Watch(files, refresh, failed)
	if err != nil {
		failed(err)
		return
	}
	*w = fileWatch{files, stop}
	e.running.Go(refresh) // what was changed after it was read, and before it was watched
}
