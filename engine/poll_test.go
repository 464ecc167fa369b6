package engine

import (
	"testing"

	"traffic_management/engine/reactor"
)

// TestPollOfStalledLoop asks a loop that runs and one that does not.
func TestPollOfStalledLoop(t *testing.T) {
	var workers []*worker
	for i := range 2 {
		l, err := reactor.New(reactor.Config{Index: i})
		if err != nil {
			t.Fatal(err)
		}
		workers = append(workers, &worker{loop: l})
	}
	runs := make(chan error, 2)
	go func() { runs <- workers[0].loop.Run() }()
	answers := poll(workers, func(w *worker) int { return w.loop.Index() + 7 })
	if answers[0] == nil || *answers[0] != 7 || answers[1] != nil {
		t.Errorf("answers %v, want 7 of the first loop and none of the second", answers)
	}
	for _, w := range workers {
		w.loop.Shutdown()
	}
	go func() { runs <- workers[1].loop.Run() }()
	for range workers {
		if err := <-runs; err != nil {
			t.Error(err)
		}
	}
	if answers := poll(workers, func(*worker) int { return 7 }); answers[0] != nil || answers[1] != nil {
		t.Errorf("loops that ended answered %v", answers)
	}
}
