package engine

import (
	"os"
	"reflect"

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
