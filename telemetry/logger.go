package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger makes the log for operators, which writes to w in the format "json", or as text. level is "debug", "info",
// "warn" or "error"; any other is taken for "info", since the configuration was checked before. The level may be
// changed while running, from any goroutine. Loops do not log: every line is a write.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, *slog.LevelVar) {
	v := new(slog.LevelVar) // info
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err == nil {
		v.Set(l)
	}
	o := &slog.HandlerOptions{Level: v}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), v
	}
	return slog.New(slog.NewTextHandler(w, o)), v
}
