package scenarios

import (
	"context"
	"fmt"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// pipelined compares ours, with and without pipelines to the backend, with what the others do.
func pipelined(ctx context.Context, b *Bed, x *report.Result) error {
	ours := pinned(peers.Ours, peers.LogNone)
	ours.label, ours.options.Pipeline = "ours pipeline", true
	subjects := b.present(x, pinned(peers.Nginx, peers.LogNone), pinned(peers.HAProxy, peers.LogNone), pinned(peers.Ours, peers.LogNone), ours)
	x.Notes = append(x.Notes, "64 clients of HTTP/1.1. nginx, HAProxy and ours without `multiplex` have one request at a time on each kept "+
		"connection to the backend.")
	if err := b.saturate(ctx, x, subjects, b.smallDemand()); err != nil {
		return err
	}
	faster(x, ours.label, 1.60)
	return nil
}

// h2cUpstream compares HTTP/2 to the backend with HTTP/1.1 of nginx, which knows nothing else. HAProxy with HTTP/2 is
// shown, too.
func h2cUpstream(ctx context.Context, b *Bed, x *report.Result) error {
	over := func(name peers.Name) subject {
		s := pinned(name, peers.LogNone)
		s.label, s.options.H2C = string(name)+" h2c", true
		return s
	}
	ours := over(peers.Ours)
	subjects := b.present(x, pinned(peers.Nginx, peers.LogNone), over(peers.HAProxy), ours)
	x.Notes = append(x.Notes, "64 clients of HTTP/1.1. nginx speaks HTTP/1.1 to the backend, since it has no HTTP/2 for that.")
	if err := b.saturate(ctx, x, subjects, b.smallDemand()); err != nil {
		return err
	}
	mine, have := median(x, ours.label, "cpu")
	nginx, haveNginx := median(x, string(peers.Nginx), "cpu")
	ratio := nginx / max(mine, 1e-9)
	x.Bars = append(x.Bars, bar("nginx needs at least 1.50 times the CPU of "+ours.label, fmt.Sprintf("%.3f", ratio),
		have && haveNginx, ratio >= 1.5))
	return nil
}
