package engine

import "time"

// loopPatience is how long a loop may take to answer before it counts as stalled.
const loopPatience = time.Second

// poll asks every loop and waits for the answers, no longer than loopPatience. ask runs on each loop; what it returns
// must not be the loop's own. The answers are by loop, nil for those that gave none.
func poll[T any](workers []*worker, ask func(*worker) T) []*T {
	type answer struct {
		loop  int
		given T
	}
	answers := make(chan answer, len(workers)) // so that a late loop need not wait for us
	asked := 0
	for i, w := range workers {
		if w.loop.Post(func() { answers <- answer{i, ask(w)} }) {
			asked++
		}
	}
	all := make([]*T, len(workers))
	patience := time.NewTimer(loopPatience)
	defer patience.Stop()
	for ; asked > 0; asked-- {
		select {
		case a := <-answers:
			all[a.loop] = &a.given
		case <-patience.C:
			return all
		}
	}
	return all
}
