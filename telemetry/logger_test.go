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
		log, level := NewLogger(&b, tt.level, "json")
		for _, l := range all {
			log.Log(t.Context(), l, "x")
		}
		level.Set(slog.LevelError + 1)
		log.Error("not heard")
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
