package scenarios

import (
	"context"
	"fmt"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// jsonSize is how many bytes of content are compressed.
const jsonSize = 20 << 10

// credentials are the user's of peers.BasicAuth.
const credentials = "Authorization: Basic YmVuY2g6c2VjcmV0"

// middlewareNotes are what a reader must know to compare.
var middlewareNotes = map[peers.Middleware]string{
	peers.Gzip: "HAProxy of Debian compresses with libslz, which has one level: it takes less time, and the answers are larger. The bar " +
		"is nginx, which like ours has levels.",
	peers.BasicAuth:   "nginx and ours have SHA-1 of the password, HAProxy the password itself: the cheapest that each takes.",
	peers.ForwardAuth: "The server that is asked is the backend, with an empty answer. HAProxy has nothing of the kind.",
}

// through makes the subjects whose requests pass a middleware, and ours without it.
func through(b *Bed, x *report.Result, m peers.Middleware) (subjects []subject, ours string) {
	names := []peers.Name{peers.Nginx, peers.HAProxy, peers.Ours}
	if m == peers.ForwardAuth {
		names = []peers.Name{peers.Nginx, peers.Ours}
	}
	for _, name := range names {
		s := pinned(name, peers.LogNone)
		s.label, s.options.Middleware = string(name)+" "+string(m), m
		subjects = append(subjects, s)
		ours = s.label
	}
	if note := middlewareNotes[m]; note != "" {
		x.Notes = append(x.Notes, note)
	}
	x.Baseline = string(peers.Ours)
	return b.present(x, append(subjects, pinned(peers.Ours, peers.LogNone))...), ours
}

// middleware compares what small requests cost that pass one.
func middleware(m peers.Middleware) func(context.Context, *Bed, *report.Result) error {
	return func(ctx context.Context, b *Bed, x *report.Result) error {
		subjects, ours := through(b, x, m)
		d := b.smallDemand()
		if m == peers.BasicAuth {
			d.field = credentials
		}
		if err := b.saturate(ctx, x, subjects, d); err != nil {
			return err
		}
		faster(x, ours, 1)
		return nil
	}
}

// compressed compares CPU per byte of content that is compressed, and how little is left of it.
func compressed(ctx context.Context, b *Bed, x *report.Result) error {
	subjects, ours := through(b, x, peers.Gzip)
	d := b.smallDemand()
	d.paths, d.field = fmt.Sprintf("/json/%d", jsonSize), "Accept-Encoding: gzip"
	samples, err := b.interleave(ctx, subjects, d)
	if err != nil {
		return err
	}
	x.Columns = append([]report.Column{{Key: "byte", Label: "CPU ns per byte of content", Digits: 2},
		{Key: "answer", Label: "bytes of an answer", Digits: 0}}, requestColumns...)
	x.Charted = "byte"
	figures := map[string]func(sample) float64{
		"byte":   func(s sample) float64 { return float64(s.CPU) / float64(max(s.Requests, 1)) / jsonSize },
		"answer": func(s sample) float64 { return float64(s.Bytes) / float64(max(s.Requests, 1)) },
	}
	for key, f := range requestFigures {
		figures[key] = f
	}
	for _, s := range subjects {
		x.Rows = append(x.Rows, values(s.label, samples[s.label], figures))
	}
	whole(x, samples)
	compressedBar(x, ours)
	return nil
}

// compressedBar adds the bar that nginx needs at least as much CPU per byte as a subject of ours.
func compressedBar(x *report.Result, ours string) {
	mine, have := median(x, ours, "byte")
	nginx, haveNginx := median(x, string(peers.Nginx)+" "+string(peers.Gzip), "byte")
	ratio := nginx / max(mine, 1e-9)
	x.Bars = append(x.Bars, bar("nginx needs at least 1.00 times the CPU per byte of "+ours, fmt.Sprintf("%.3f", ratio),
		have && haveNginx, ratio >= 1))
}
