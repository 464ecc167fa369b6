package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// NewLogger makes the log for operators, which writes to w; see LogSettings.Set. Loops do not log: every line is a write.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, *LogSettings) {
	s := new(LogSettings)
	o := &slog.HandlerOptions{Level: &s.level}
	s.text, s.json = slog.NewTextHandler(w, o), slog.NewJSONHandler(w, o)
	s.Set(level, format)
	return slog.New(&formatHandler{s, s.text, s.json}), s
}

// LogSettings are what of a log may be changed while it is written, from any goroutine.
type LogSettings struct {
	text, json slog.Handler // immutable
	level      slog.LevelVar
	asJSON     atomic.Bool
}

// Set changes the format to "json", or else text, and the level to "debug", "info", "warn" or "error"; any other is
// taken for "info", since the configuration was checked before.
func (s *LogSettings) Set(level, format string) {
	var l slog.Level
	if l.UnmarshalText([]byte(level)) != nil {
		l = slog.LevelInfo
	}
	s.level.Set(l)
	s.asJSON.Store(format == "json")
}

// formatHandler writes in the format that is set.
type formatHandler struct {
	settings   *LogSettings
	text, json slog.Handler
}

func (h *formatHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.settings.level.Level()
}

func (h *formatHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.settings.asJSON.Load() {
		return h.json.Handle(ctx, r)
	}
	return h.text.Handle(ctx, r)
}

func (h *formatHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return &formatHandler{h.settings, h.text.WithAttrs(a), h.json.WithAttrs(a)}
}

func (h *formatHandler) WithGroup(name string) slog.Handler {
	return &formatHandler{h.settings, h.text.WithGroup(name), h.json.WithGroup(name)}
}
