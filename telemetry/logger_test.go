package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestLoggerLevels(t *testing.T) {
	all := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for _, tt := range []struct {
		level string
		want  string
	}{
		{"debug", "DEBUG INFO WARN ERROR"},
		{"info", "INFO WARN ERROR"},
		{"warn", "WARN ERROR"},
		{"error", "ERROR"},
		{"loud", "INFO WARN ERROR"},
		{"", "INFO WARN ERROR"},
	} {
		var b bytes.Buffer
		log, settings := NewLogger(&b, tt.level, "json")
		for _, l := range all {
			log.Log(t.Context(), l, "x")
		}
		settings.Set("error", "json")
		log.Warn("not heard")
		var got []string
		for line := range bytes.Lines(b.Bytes()) {
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			got = append(got, m["level"].(string))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("level %q: %v, want %s", tt.level, got, tt.want)
		}
	}
}

func TestLoggerText(t *testing.T) {
	var b bytes.Buffer
	log, _ := NewLogger(&b, "info", "text")
	log.Info("configuration loaded", "file", "a b.yaml")
	if want := `level=INFO msg="configuration loaded" file="a b.yaml"` + "\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %s, want the end %s", b.String(), want)
	}
}

// TestLoggerChanges changes level and format of a log that others hold already.
func TestLoggerChanges(t *testing.T) {
	var b bytes.Buffer
	log, settings := NewLogger(&b, "warn", "text")
	with := log.With("a", 1).WithGroup("g")
	with.Info("not heard")
	settings.Set("debug", "json")
	with.Debug("heard", "k", "v")
	if !strings.HasPrefix(b.String(), "{") || !strings.Contains(b.String(), `"a":1,"g":{"k":"v"}}`) {
		t.Errorf("got %s", b.String())
	}
	b.Reset()
	settings.Set("info", "text")
	with.Info("heard", "k", "v")
	if want := "msg=heard a=1 g.k=v\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %s, want the end %s", b.String(), want)
	}
}
