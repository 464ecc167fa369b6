package scenarios

import (
	"context"
	"fmt"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// forcedEvery is how often the Go runtime collects when nothing else makes it.
const forcedEvery = 2 * time.Minute

// collections counts the garbage collections of ours over many small requests, and looks for the longest pause when
// bodies of all sizes are mixed.
func collections(ctx context.Context, b *Bed, x *report.Result) error {
	subjects := b.present(x, pinned(peers.Ours, peers.LogNone))
	if len(subjects) == 0 {
		x.Bars = append(x.Bars, bar("no collection but the forced ones", "", false, false))
		return nil
	}
	running, err := b.start(ctx, subjects)
	defer stopAll(running)
	if err != nil {
		return err
	}
	p := running[string(peers.Ours)]
	d := b.smallDemand()
	d.requests = 10e6
	if b.Quick {
		d.requests = 1e6
	}
	x.Method = fmt.Sprintf("%d requests for 128 bytes over 64 connections, then %v of 128 bytes, 16 kB and 1 MB mixed", d.requests, b.Window)
	var at [2]float64
	i := 0
	// The window's marks are read inside the load, so that opening the connections is not counted.
	a, err := b.load(ctx, withAddress(d, p.Address), func() (err error) {
		at[i&1], err = p.Metric(ctx, "go_gc_duration_seconds_count")
		i++
		return err
	})
	if err != nil {
		return err
	}
	cycles := at[1] - at[0]
	forced := float64(int(a.Seconds/forcedEvery.Seconds()) + 1)
	d.requests, d.paths = 0, "/128,/128,/128,/16k,/128,/1m"
	if _, err := b.load(ctx, withAddress(d, p.Address), func() error { return nil }); err != nil {
		return err
	}
	pause, err := p.Metric(ctx, `go_gc_duration_seconds{quantile="1"}`)
	if err != nil {
		return err
	}
	x.Columns = []report.Column{{Key: "requests", Label: "requests", Digits: 0}, {Key: "seconds", Label: "seconds", Digits: 0},
		{Key: "cycles", Label: "collections", Digits: 0}, {Key: "pause", Label: "longest pause since the start, us", Digits: 0}}
	x.Rows = []report.Row{{Subject: string(peers.Ours), Values: map[string]report.Summary{
		"requests": report.Summarise([]float64{float64(a.Requests)}), "seconds": report.Summarise([]float64{a.Seconds}),
		"cycles": report.Summarise([]float64{cycles}), "pause": report.Summarise([]float64{pause * 1e6})}}}
	x.Notes = append(x.Notes, "The runtime forces a collection every two minutes. The metrics give no 99.9th percentile of pauses; "+
		"the longest one is an upper bound of it.")
	x.Bars = append(x.Bars, bar("no collection but the forced ones", fmt.Sprintf("%.0f in %.0f s, %.0f may be forced", cycles, a.Seconds, forced),
		true, cycles <= forced))
	return nil
}

func withAddress(d demand, address string) demand {
	d.address = address
	return d
}
