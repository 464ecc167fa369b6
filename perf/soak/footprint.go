package main

import (
	"context"
	"fmt"
	"time"

	"traffic_management/perf/peers"
)

// How long the proxy has to come to rest, how often it is looked at, and for how long it must not change.
const (
	calmTimeout = 60 * time.Second
	calmLook    = 250 * time.Millisecond
	calmSpan    = 5 * time.Second
)

// What may be more after a soak than before: the runtime keeps a thread's descriptor or a goroutine of its own at times,
// and gives memory back late.
const (
	spareDescriptors = 2
	spareGoroutines  = 2
	spareShare       = 0.25
	spareMemory      = 8 << 20
)

// footprint is what a proxy holds while nobody uses it.
type footprint struct {
	descriptors int
	goroutines  int // 0 for proxies that do not tell
	rss         int64
}

func (f footprint) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %.1f MB", f.descriptors, f.goroutines, float64(f.rss)/(1<<20))
}

func (s *soak) look(ctx context.Context) (f footprint, err error) {
	if f.descriptors, err = s.peer.Descriptors(); err != nil {
		return f, err
	}
	if s.peer.Name == peers.Ours {
		n, err := s.peer.Metric(ctx, "go_goroutines")
		if err != nil {
			return f, err
		}
		f.goroutines = int(n)
	}
	m, err := s.peer.Memory()
	f.rss = m.RSS
	return f, err
}

// calm waits until the proxy's descriptors and goroutines have not changed for a while and, when there is a goal, are no
// more than that; after a timeout it takes what there is.
func (s *soak) calm(ctx context.Context, goal footprint) (footprint, error) {
	last, err := s.look(ctx)
	if err != nil {
		return last, err
	}
	tick := time.NewTicker(calmLook)
	defer tick.Stop()
	begun := time.Now()
	since := begun
	for time.Since(begun) < calmTimeout {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-tick.C:
		}
		now, err := s.look(ctx)
		if err != nil {
			return last, err
		}
		if now.descriptors != last.descriptors || now.goroutines != last.goroutines {
			since = time.Now()
		}
		last = now
		if time.Since(since) >= calmSpan && (goal == footprint{} || len(goal.grown(now)) == 0) {
			break
		}
	}
	return last, nil
}

// grown names what is more in after than it may be.
func (f footprint) grown(after footprint) (faults []string) {
	if after.descriptors > f.descriptors+spareDescriptors {
		faults = append(faults, fmt.Sprintf("descriptors grew from %d to %d", f.descriptors, after.descriptors))
	}
	if after.goroutines > f.goroutines+spareGoroutines {
		faults = append(faults, fmt.Sprintf("goroutines grew from %d to %d", f.goroutines, after.goroutines))
	}
	if most := f.rss + int64(spareShare*float64(f.rss)) + spareMemory; after.rss > most {
		faults = append(faults, fmt.Sprintf("memory grew from %d to %d bytes, more than %d", f.rss, after.rss, most))
	}
	return faults
}
