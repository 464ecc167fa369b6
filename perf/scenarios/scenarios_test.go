package scenarios

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/report"
)

func TestPerRequest(t *testing.T) {
	s := sample{answer{Requests: 1000}, process.Usage{CPU: 12 * time.Millisecond, User: 10 * time.Millisecond, System: 30 * time.Millisecond}}
	if all, user, system := s.perRequest(); all != 12 || user != 3 || system != 9 {
		t.Errorf("%v, %v and %v us", all, user, system)
	}
}

// rows makes a result with one figure for each row.
func rows(key string, figures map[string]float64) *report.Result {
	x := &report.Result{}
	for subject, v := range figures {
		x.Rows = append(x.Rows, report.Row{Subject: subject, Values: map[string]report.Summary{key: {Median: v, Min: v, Max: v}}})
	}
	return x
}

func TestFaster(t *testing.T) {
	for _, c := range []struct {
		name    string
		figures map[string]float64
		want    report.Verdict
		found   string
	}{
		{"better than both", map[string]float64{"relay": 1, "nginx": 16, "haproxy": 15, "ours": 13}, report.Pass, "1.154 (haproxy)"},
		{"better than one", map[string]float64{"nginx": 16, "haproxy": 14, "ours": 13}, report.Fail, "1.077 (haproxy)"},
		{"without ours", map[string]float64{"nginx": 16, "haproxy": 14}, report.Unmeasured, ""},
		{"without peers", map[string]float64{"relay": 12, "ours": 13}, report.Unmeasured, ""},
	} {
		x := rows("cpu", c.figures)
		faster(x, "ours", 1.10)
		if len(x.Bars) != 1 || x.Bars[0].Verdict != c.want || x.Bars[0].Found != c.found {
			t.Errorf("%s: %+v", c.name, x.Bars)
		}
	}
}

func TestWhole(t *testing.T) {
	x := &report.Result{}
	whole(x, map[string][]sample{
		"ours":   {{answer: answer{Requests: 9}}, {answer: answer{Failed: 1, BadStatus: 2}}},
		"nginx":  {{answer: answer{BadStatus: 4}}},
		"relay":  {{answer: answer{Requests: 9}}},
		"absent": nil,
	})
	if len(x.Bars) != 1 || x.Bars[0].Verdict != report.Fail || x.Bars[0].Found != "1 failed, 2 with another status than 200" {
		t.Errorf("bars %+v", x.Bars)
	}
	if len(x.Notes) != 1 || !strings.HasPrefix(x.Notes[0], "nginx: 0 failed, 4 ") {
		t.Errorf("notes %q", x.Notes)
	}
}

func TestBesideBars(t *testing.T) {
	for _, c := range []struct {
		p99, shaken float64
		want        []report.Verdict
	}{
		{399, 480, []report.Verdict{report.Pass, report.Pass}},
		{401, 480, []report.Verdict{report.Fail, report.Pass}},
		{200, 100, []report.Verdict{report.Pass, report.Fail}},
	} {
		x := &report.Result{}
		besideTable(x, []subject{{label: "ours", name: peers.Ours}}, map[string][]sample{
			"ours quiet": {{answer: answer{P99: 200}}}, "ours beside": {{answer: answer{P99: c.p99}}},
		}, map[string][]float64{"ours beside": {c.shaken}})
		// The first two are that every request was answered.
		if len(x.Bars) != 4 || x.Bars[2].Verdict != c.want[0] || x.Bars[3].Verdict != c.want[1] {
			t.Errorf("p99 %.0f us beside %.0f handshakes/s: %+v", c.p99, c.shaken, x.Bars)
		}
	}
}

// TestArgs holds that a demand reaches the load generator.
func TestArgs(t *testing.T) {
	d := demand{address: "127.0.0.1:1", paths: "/1", conns: 2, tls: true, streams: 3, handshakes: "full", attack: "ping"}
	if got := strings.Join(d.args(), " "); !strings.Contains(got, "-url https://127.0.0.1:1/1 -conns 2 ") ||
		!strings.HasSuffix(got, " -streams 3 -handshakes full -attack ping") {
		t.Errorf("arguments %q", got)
	}
	d.field = "a: b"
	if got := strings.Join(d.args(), " "); !strings.HasSuffix(got, " -attack ping -field a: b") {
		t.Errorf("arguments %q", got)
	}
}

func TestLatencyBars(t *testing.T) {
	x := &report.Result{}
	slow := sample{answer: answer{Requests: 1, P50: 200, P99: 6000, P999: 9000}}
	latencyTable(x, []subject{{label: "ours", name: peers.Ours}}, map[string][]sample{
		"ours at its half": {slow}, "ours at the common rate": {slow}})
	var verdicts []report.Verdict
	for _, b := range x.Bars {
		verdicts = append(verdicts, b.Verdict)
	}
	// The first is that every request was answered.
	if want := []report.Verdict{report.Pass, report.Pass, report.Fail, report.Pass}; len(verdicts) != 4 || verdicts[0] != want[0] ||
		verdicts[1] != want[1] || verdicts[2] != want[2] || verdicts[3] != want[3] {
		t.Errorf("verdicts %v, want %v", verdicts, want)
	}
}

// TestBed builds our own programs and runs one short scenario through the relay, without the peers.
func TestBed(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+"/", "./relay", "./backend", "./load")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	absent := errors.New("not asked for")
	b := &Bed{Peers: &peers.Bed{Binaries: dir, Dir: dir, LogDir: dir}, Rounds: 2, Window: 200 * time.Millisecond, Say: t.Logf,
		Absent: map[peers.Name]error{peers.Nginx: absent, peers.HAProxy: absent, peers.Ours: absent}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := All()[0]
	x, err := s.Run(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Rows) != 1 || x.Rows[0].Subject != "relay" {
		t.Fatalf("rows %+v", x.Rows)
	}
	cpu, rate := x.Rows[0].Values["cpu"], x.Rows[0].Values["rate"]
	if cpu.Median < 1 || cpu.Median > 10000 || rate.Median < 100 {
		t.Errorf("%v us per request, %v requests/s", cpu, rate)
	}
	for _, bar := range x.Bars {
		if bar.Verdict != report.Unmeasured {
			t.Errorf("without ours: %+v", bar)
		}
	}
	if len(x.Notes) != 3 {
		t.Errorf("notes %q, want one for each absent proxy", x.Notes)
	}
	held := false
	err = b.withBackends(ctx, process.AnyCPU, 1, func(b *Bed) error {
		return b.hold(ctx, "http://"+b.backends[0], 50, func() error { held = true; return nil })
	})
	if err != nil || !held {
		t.Errorf("hold: %v", err)
	}
}

func TestCompressedBar(t *testing.T) {
	for _, c := range []struct {
		nginx, ours float64
		want        report.Verdict
	}{{5, 5, report.Pass}, {4.9, 5, report.Fail}} {
		// HAProxy's is none of the bar.
		x := rows("byte", map[string]float64{"nginx gzip": c.nginx, "haproxy gzip": 1, "ours gzip": c.ours})
		compressedBar(x, "ours gzip")
		if len(x.Bars) != 1 || x.Bars[0].Verdict != c.want {
			t.Errorf("%v and %v ns: %+v", c.nginx, c.ours, x.Bars)
		}
	}
}
