package scenarios

import (
	"context"
	"errors"
	"math"
	"os/exec"
	"testing"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/report"
)

func TestLonger(t *testing.T) {
	for _, c := range []struct {
		turns          []peers.Bucket
		million, count float64
	}{
		{nil, 0, 0},
		{[]peers.Bucket{{Bound: 0.0005}, {Bound: 0.001}, {Bound: math.Inf(1)}}, 0, 0},
		{[]peers.Bucket{{Bound: 0.0005, Count: 900}, {Bound: 0.001, Count: 999}, {Bound: 0.002, Count: 1000}, {Bound: math.Inf(1), Count: 1000}},
			1000, 1000},
		{[]peers.Bucket{{Bound: 0.001, Count: 3}, {Bound: math.Inf(1), Count: 4}}, 250000, 4},
	} {
		if million, count := longer(c.turns); million != c.million || count != c.count {
			t.Errorf("%v: %v of a million of %v", c.turns, million, count)
		}
	}
}

func TestStallBars(t *testing.T) {
	for _, c := range []struct {
		longer, work, fetches float64
		want                  []report.Verdict
	}{
		{1000, 12, 2, []report.Verdict{report.Pass, report.Pass}},
		{1001, 12, 2, []report.Verdict{report.Fail, report.Pass}},
		{10, 5, 2, []report.Verdict{report.Pass, report.Fail}},
		{10, 12, 0.5, []report.Verdict{report.Pass, report.Fail}},
	} {
		m := stalled{sample: sample{answer: answer{Requests: 1}}, work: []answer{{Rate: c.work - 4}, {Rate: 4}}, fetches: c.fetches, seconds: 1,
			turns: []peers.Bucket{{Bound: stallBound, Count: 1e6 - c.longer}, {Bound: math.Inf(1), Count: 1e6}}}
		x := &report.Result{}
		stallTable(x, []string{"nginx plain", "ours beside all"}, map[string][]stalled{"nginx plain": {{}}, "ours beside all": {m}})
		// The first one is that every request was answered.
		if len(x.Bars) != 3 || x.Bars[1].Verdict != c.want[0] || x.Bars[2].Verdict != c.want[1] {
			t.Errorf("%+v: %+v", c, x.Bars)
		}
		if _, ok := x.Rows[0].Values["turns"]; ok {
			t.Error("nginx has turns")
		}
	}
}

// TestStalls runs the scenario with ours alone, and for a short time.
func TestStalls(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // building takes most of it
	defer cancel()
	dir := t.TempDir()
	root, err := process.ModuleRoot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Build(ctx, root, dir, "./perf/backend", "./perf/load", "./cmd/traffic_management"); err != nil {
		t.Fatal(err)
	}
	absent := errors.New("not asked for")
	b := &Bed{Peers: &peers.Bed{Binaries: dir, Dir: dir, LogDir: dir}, Rounds: 1, Window: 100 * time.Millisecond, Say: t.Logf,
		Absent: map[peers.Name]error{peers.Nginx: absent, peers.HAProxy: absent}}
	for _, s := range All() {
		if s.Name != "stalls" {
			continue
		}
		x, err := s.Run(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Rows) != len(stallSettings()) {
			t.Fatalf("rows %+v", x.Rows)
		}
		for i, r := range x.Rows {
			if r.Values["turns"].Median < 1 || r.Subject != "ours "+stallSettings()[i].suffix {
				t.Errorf("row %d: %+v", i, r)
			}
		}
		return
	}
	t.Error("there is no such scenario")
}
