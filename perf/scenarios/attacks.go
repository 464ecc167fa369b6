package scenarios

import (
	"context"
	"fmt"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// attacks are those of the load generator, and attackRate how many connections a second there are of one.
var attacks = []string{"reset", "made-reset", "continuation", "bomb", "ping"}

const attackRate = 10

// besideAttacks offers requests of HTTP/1.1 at a constant rate, with and without attacks on the same loop: what another
// client notices of them.
func besideAttacks(ctx context.Context, b *Bed, x *report.Result) error {
	x.Notes = append(x.Notes, fmt.Sprintf("Open loop: %d requests/s for 128 bytes on 64 connections, quiet and with %d connections/s "+
		"beside them, of which each sends as much of one attack as it can before it is closed.", quietRate, attackRate))
	s := pinned(peers.Ours, peers.LogNone)
	subjects := b.present(x, s)
	if len(subjects) == 0 {
		return nil
	}
	running, err := b.start(ctx, subjects)
	defer stopAll(running)
	if err != nil {
		return err
	}
	p := running[s.label]
	d := b.smallDemand()
	d.rate = quietRate
	a := demand{address: p.Address, paths: "/", conns: 4, rate: attackRate}
	samples := map[string][]sample{}
	for round := range b.Rounds {
		quiet, err := b.measure(ctx, p, d)
		if err != nil {
			return err
		}
		samples[s.label+" quiet"] = append(samples[s.label+" quiet"], quiet)
		for _, a.attack = range attacks {
			busy, blows, err := b.beside(ctx, p, d, a)
			if err != nil {
				return err
			}
			n := blows[0].Rate
			b.Say("  round %d p99 quiet %6.0f us, beside %4.1f/s of %-12s %6.0f us", round+1, quiet.P99, n, a.attack, busy.P99)
			samples[attacked(s.label, a.attack)] = append(samples[attacked(s.label, a.attack)], busy)
		}
	}
	attackTable(x, s.label, samples)
	return nil
}

// attacked is the row of one attack.
func attacked(label, attack string) string { return label + " beside " + attack }

func attackTable(x *report.Result, ours string, samples map[string][]sample) {
	figures := map[string]func(sample) float64{}
	for _, q := range quantiles {
		figures[q.key] = func(s sample) float64 { return q.of(s.answer) }
		x.Columns = append(x.Columns, report.Column{Key: q.key, Label: q.label + ", us", Digits: 0})
	}
	x.Charted = "p99"
	x.Rows = append(x.Rows, values(ours+" quiet", samples[ours+" quiet"], figures))
	for _, a := range attacks {
		x.Rows = append(x.Rows, values(attacked(ours, a), samples[attacked(ours, a)], figures))
	}
	whole(x, samples)
	quiet, have := median(x, ours+" quiet", "p99")
	for _, a := range attacks {
		busy, haveBusy := median(x, attacked(ours, a), "p99")
		ratio := busy / max(quiet, 1e-9)
		x.Bars = append(x.Bars, bar("beside "+a+" the p99 of another client is at most 2 times the quiet one",
			fmt.Sprintf("%.2f times", ratio), have && haveBusy, ratio <= 2))
	}
}
