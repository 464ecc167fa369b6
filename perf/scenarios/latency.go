package scenarios

import (
	"context"
	"fmt"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// quantiles of latency that are reported: of an answer, in microseconds, and the most that ours may add to each.
var quantiles = []struct {
	key, label string
	of         func(answer) float64
	most       float64
}{
	{"p50", "p50", func(a answer) float64 { return a.P50 }, 1000},
	{"p99", "p99", func(a answer) float64 { return a.P99 }, 5000},
	{"p999", "p99.9", func(a answer) float64 { return a.P999 }, 10000},
}

// latency offers each proxy half of what it can do at most, and all of them one common rate, half of what ours can do.
// What the backend needs when it is asked directly at the same rate, in the same round, is taken off.
func latency(ctx context.Context, b *Bed, x *report.Result) error {
	subjects := b.present(x, pinned(peers.Nginx, peers.LogNone), pinned(peers.HAProxy, peers.LogNone),
		pinned(peers.Ours, peers.LogNone))
	running, err := b.start(ctx, subjects)
	defer stopAll(running)
	if err != nil {
		return err
	}
	d := b.smallDemand()
	half := map[string]float64{}
	common := 0.0
	for _, s := range subjects {
		m, err := b.measure(ctx, running[s.label], d)
		if err != nil {
			return err
		}
		half[s.label] = m.Rate / 2
		// Ours comes last: without it the last peer gives the common rate.
		common = half[s.label]
	}
	x.Notes = append(x.Notes, "Open loop, 64 connections: latency counts from when a request was due. What the backend alone "+
		"needs at the same rate is taken off each percentile, so a figure can be slightly below zero when both are alike.")
	added := map[string][]sample{}
	for round := range b.Rounds {
		for _, s := range subjects {
			for _, at := range []struct {
				label string
				rate  float64
			}{
				{s.label + " at its half", half[s.label]},
				{s.label + " at the common rate", common},
			} {
				d.rate = at.rate
				m, err := b.added(ctx, running[s.label], d)
				if err != nil {
					return err
				}
				b.Say("  round %d %-28s p50 %7.0f p99 %7.0f p99.9 %7.0f us", round+1, at.label, m.P50, m.P99, m.P999)
				added[at.label] = append(added[at.label], m)
			}
		}
	}
	latencyTable(x, subjects, added)
	return nil
}

// added measures a proxy and then the backend alone; the percentiles of the result are the difference.
func (b *Bed) added(ctx context.Context, p *peers.Peer, d demand) (sample, error) {
	through, err := b.measure(ctx, p, d)
	if err != nil {
		return sample{}, err
	}
	d.address = b.backends[0]
	direct, err := b.load(ctx, d, func() error { return nil })
	if err != nil {
		return sample{}, err
	}
	through.P50 -= direct.P50
	through.P99 -= direct.P99
	through.P999 -= direct.P999
	return through, nil
}

func latencyTable(x *report.Result, subjects []subject, added map[string][]sample) {
	figures := map[string]func(sample) float64{"rate": func(s sample) float64 { return s.Rate }}
	x.Columns = []report.Column{{Key: "rate", Label: "requests/s", Digits: 0}}
	for _, q := range quantiles {
		figures[q.key] = func(s sample) float64 { return q.of(s.answer) }
		x.Columns = append(x.Columns, report.Column{Key: q.key, Label: q.label + " added, us", Digits: 0})
	}
	for _, suffix := range []string{" at its half", " at the common rate"} {
		for _, s := range subjects {
			x.Rows = append(x.Rows, values(s.label+suffix, added[s.label+suffix], figures))
		}
	}
	x.Charted = "p99"
	ours := string(peers.Ours)
	whole(x, map[string][]sample{ours: append(added[ours+" at its half"], added[ours+" at the common rate"]...)})
	for _, q := range quantiles {
		v, have := median(x, ours+" at its half", q.key)
		x.Bars = append(x.Bars, bar(fmt.Sprintf("ours adds less than %.0f ms at %s, at half of its most", q.most/1000, q.label),
			fmt.Sprintf("%.2f ms", v/1000), have, v < q.most))
	}
}
