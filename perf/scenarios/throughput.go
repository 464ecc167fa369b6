package scenarios

import (
	"context"
	"fmt"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/report"
)

var requestColumns = []report.Column{
	{Key: "cpu", Label: "CPU us per request", Digits: 2},
	{Key: "user", Label: "of it in the program", Digits: 2},
	{Key: "system", Label: "in the kernel", Digits: 2},
	{Key: "rate", Label: "requests/s", Digits: 0},
}

var requestFigures = map[string]func(sample) float64{
	"cpu":    func(s sample) float64 { all, _, _ := s.perRequest(); return all },
	"user":   func(s sample) float64 { _, user, _ := s.perRequest(); return user },
	"system": func(s sample) float64 { _, _, system := s.perRequest(); return system },
	"rate":   func(s sample) float64 { return s.Rate },
}

// pinned is a subject on the proxy's core, named after its proxy.
func pinned(name peers.Name, log peers.Log) subject {
	return subject{string(name), name, peers.Options{CPU: proxyCPU, Log: log}}
}

// saturate fills a result with CPU per request of subjects under a closed loop.
func (b *Bed) saturate(ctx context.Context, x *report.Result, subjects []subject, d demand) error {
	samples, err := b.interleave(ctx, subjects, d)
	if err != nil {
		return err
	}
	x.Columns, x.Charted = requestColumns, "cpu"
	for _, s := range subjects {
		x.Rows = append(x.Rows, values(s.label, samples[s.label], requestFigures))
	}
	whole(x, samples)
	return nil
}

func (b *Bed) smallDemand() demand {
	return demand{paths: "/128", conns: 64, window: b.Window, cpu: otherCPU}
}

func small(ctx context.Context, b *Bed, x *report.Result) error {
	x.Baseline = string(peers.Relay)
	subjects := b.present(x, pinned(peers.Relay, peers.LogNone), pinned(peers.Nginx, peers.LogNone),
		pinned(peers.HAProxy, peers.LogNone), pinned(peers.Ours, peers.LogNone))
	if err := b.saturate(ctx, x, subjects, b.smallDemand()); err != nil {
		return err
	}
	faster(x, string(peers.Ours), 1.10)
	ours, have := median(x, string(peers.Ours), "cpu")
	relay, haveRelay := median(x, string(peers.Relay), "cpu")
	ratio := ours / max(relay, 1e-9)
	x.Bars = append(x.Bars, bar("ours needs at most 1.12 times the CPU of a bare relay", fmt.Sprintf("%.3f", ratio),
		have && haveRelay, ratio <= 1.12))
	return nil
}

func logged(ctx context.Context, b *Bed, x *report.Result) error {
	buffered := pinned(peers.Nginx, peers.LogBuffered)
	buffered.label = "nginx buffered"
	subjects := b.present(x, pinned(peers.Nginx, peers.LogOn), buffered, pinned(peers.HAProxy, peers.LogOn),
		pinned(peers.Ours, peers.LogOn))
	x.Notes = append(x.Notes, "Logs are files in memory (/dev/shm). nginx is shown with a write per request, its default, and with a buffer of 64 kB.")
	if err := b.saturate(ctx, x, subjects, b.smallDemand()); err != nil {
		return err
	}
	faster(x, string(peers.Ours), 1)
	return nil
}

// guarded shows what it costs to look after the servers and the requests. Sticky sessions are left out: the load has no
// cookies.
func guarded(ctx context.Context, b *Bed, x *report.Result) error {
	all := func(name peers.Name, log peers.Log) subject {
		s := pinned(name, log)
		s.label += " guarded"
		s.options.Guarded = true
		return s
	}
	ours := all(peers.Ours, peers.LogOn)
	x.Baseline = string(peers.Relay)
	subjects := b.present(x, pinned(peers.Relay, peers.LogNone), all(peers.Nginx, peers.LogBuffered),
		all(peers.HAProxy, peers.LogOn), pinned(peers.Ours, peers.LogNone), ours)
	x.Notes = append(x.Notes, "Guarded: ours with health checks, outlier detection, retries, a circuit breaker, metrics and an access "+
		"log; HAProxy with health checks, observed errors, retries and a log; nginx with passive checks, retries and a buffered log, "+
		"which is all that its open edition has.")
	if err := b.saturate(ctx, x, subjects, b.smallDemand()); err != nil {
		return err
	}
	faster(x, ours.label, 1)
	return nil
}

// faster adds the bar that the better of nginx and HAProxy needs at least factor times the CPU of a subject of ours.
func faster(x *report.Result, ours string, factor float64) {
	mine, have := median(x, ours, "cpu")
	name, best := least(x, "cpu")
	ratio := best / max(mine, 1e-9)
	x.Bars = append(x.Bars, bar(fmt.Sprintf("the best of nginx and HAProxy needs at least %.2f times the CPU of %s", factor, ours),
		fmt.Sprintf("%.3f (%s)", ratio, name), have && name != "", ratio >= factor))
}

// body is a scenario of larger bodies: CPU per gigabyte that reached the client.
func body(path string, conns int) func(context.Context, *Bed, *report.Result) error {
	return func(ctx context.Context, b *Bed, x *report.Result) error {
		subjects := b.present(x, pinned(peers.Relay, peers.LogNone), pinned(peers.Nginx, peers.LogNone),
			pinned(peers.HAProxy, peers.LogNone), pinned(peers.Ours, peers.LogNone))
		d := b.smallDemand()
		d.paths, d.conns = path, conns
		samples, err := b.interleave(ctx, subjects, d)
		if err != nil {
			return err
		}
		x.Columns = append([]report.Column{{Key: "gigabyte", Label: "CPU seconds per GB", Digits: 3},
			{Key: "speed", Label: "GB/s", Digits: 2}}, requestColumns[:3]...)
		x.Charted, x.Baseline = "gigabyte", string(peers.Nginx)
		figures := map[string]func(sample) float64{
			"gigabyte": func(s sample) float64 { return s.CPU.Seconds() / (float64(max(s.Bytes, 1)) / 1e9) },
			"speed":    func(s sample) float64 { return float64(s.Bytes) / 1e9 / s.Seconds },
			"cpu":      requestFigures["cpu"], "user": requestFigures["user"], "system": requestFigures["system"],
		}
		for _, s := range subjects {
			x.Rows = append(x.Rows, values(s.label, samples[s.label], figures))
		}
		whole(x, samples)
		ours, have := median(x, string(peers.Ours), "gigabyte")
		nginx, haveNginx := median(x, string(peers.Nginx), "gigabyte")
		ratio := ours / max(nginx, 1e-9)
		x.Bars = append(x.Bars, bar("ours needs no more CPU per gigabyte than nginx", fmt.Sprintf("%.3f times", ratio),
			have && haveNginx, ratio <= 1))
		return nil
	}
}

// loops compares one loop of ours with two. Nothing is tied to a core: with two cores for all, two loops compete with
// the load and the backend, so only CPU per request tells what the second loop costs.
func loops(ctx context.Context, b *Bed, x *report.Result) error {
	one := subject{"ours 1 loop", peers.Ours, peers.Options{CPU: process.AnyCPU, Log: peers.LogNone, Loops: 1}}
	two := subject{"ours 2 loops", peers.Ours, peers.Options{CPU: process.AnyCPU, Log: peers.LogNone, Loops: 2}}
	subjects := b.present(x, one, two)
	x.Notes = append(x.Notes, "Nothing is tied to a core here, and this machine has two: load and backend compete with the "+
		"loops, so rates say nothing. CPU per request shows what sharing between loops costs.")
	d := b.smallDemand()
	d.cpu = process.AnyCPU
	err := b.withBackends(ctx, process.AnyCPU, 1, func(b *Bed) error { return b.saturate(ctx, x, subjects, d) })
	if err != nil {
		return err
	}
	first, have := median(x, one.label, "cpu")
	second, haveSecond := median(x, two.label, "cpu")
	kept := first / max(second, 1e-9)
	x.Bars = append(x.Bars, bar("two loops keep at least 0.9 of one loop's efficiency", fmt.Sprintf("%.3f", kept),
		have && haveSecond, kept >= 0.9))
	return nil
}
