package scenarios

import (
	"context"
	"fmt"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// secured is a subject on the proxy's core that listens with TLS, too.
func secured(name peers.Name) subject {
	s := pinned(name, peers.LogNone)
	s.options.TLS = true
	return s
}

const sameTLS = "TLS 1.3, a P-256 certificate, X25519 and AES-128-GCM for all; HTTP/1.1 on kept connections to the backend."

func https(ctx context.Context, b *Bed, x *report.Result) error {
	d := b.smallDemand()
	d.tls = true
	return b.overTLS(ctx, x, d, 1.25)
}

func http2(ctx context.Context, b *Bed, x *report.Result) error {
	d := b.smallDemand()
	d.tls, d.conns, d.streams = true, 16, 10
	return b.overTLS(ctx, x, d, 1.20)
}

func (b *Bed) overTLS(ctx context.Context, x *report.Result, d demand, factor float64) error {
	x.Notes = append(x.Notes, sameTLS)
	subjects := b.present(x, secured(peers.Nginx), secured(peers.HAProxy), secured(peers.Ours))
	if err := b.saturate(ctx, x, subjects, d); err != nil {
		return err
	}
	faster(x, string(peers.Ours), factor)
	return nil
}

// handshakes is a scenario of connections that do one request each.
func handshakes(kind string, factor float64) func(context.Context, *Bed, *report.Result) error {
	return func(ctx context.Context, b *Bed, x *report.Result) error {
		x.Notes = append(x.Notes, sameTLS+" Each of 16 clients connects, shakes hands, does one request for 128 bytes, and closes.")
		subjects := b.present(x, secured(peers.Nginx), secured(peers.HAProxy), secured(peers.Ours))
		d := b.smallDemand()
		d.tls, d.conns, d.handshakes = true, 16, kind
		samples, err := b.interleave(ctx, subjects, d)
		if err != nil {
			return err
		}
		x.Columns = []report.Column{{Key: "cpu", Label: "CPU us per handshake", Digits: 1},
			{Key: "second", Label: "handshakes per CPU second", Digits: 0}, {Key: "user", Label: "us in the program", Digits: 1},
			{Key: "system", Label: "in the kernel", Digits: 1}, {Key: "rate", Label: "handshakes/s", Digits: 0}}
		x.Charted = "cpu"
		figures := map[string]func(sample) float64{
			"cpu": requestFigures["cpu"], "user": requestFigures["user"], "system": requestFigures["system"], "rate": requestFigures["rate"],
			"second": func(s sample) float64 { return float64(s.Requests) / max(s.CPU.Seconds(), 1e-9) },
		}
		for _, s := range subjects {
			x.Rows = append(x.Rows, values(s.label, samples[s.label], figures))
		}
		whole(x, samples)
		faster(x, string(peers.Ours), factor)
		return nil
	}
}

// Rates of besideHandshakes.
const (
	quietRate     = 10000 // requests a second in clear text
	handshakeRate = 500   // a second
)

// besideHandshakes offers requests in clear text at a constant rate, with and without handshakes on the same proxy. The
// clients that shake hands yield their core to the other load and the backend, so that only what the proxy does is seen.
func besideHandshakes(ctx context.Context, b *Bed, x *report.Result) error {
	x.Notes = append(x.Notes, fmt.Sprintf("Open loop: %d requests/s for 128 bytes on 64 connections, quiet and with %d full handshakes/s "+
		"beside them. Handshakes that were done in the window are shown, since a proxy that refuses them is not disturbed.", quietRate, handshakeRate))
	subjects := b.present(x, secured(peers.Nginx), secured(peers.HAProxy), secured(peers.Ours))
	running, err := b.start(ctx, subjects)
	defer stopAll(running)
	if err != nil {
		return err
	}
	d := b.smallDemand()
	d.rate = quietRate
	samples := map[string][]sample{}
	shaken := map[string][]float64{}
	for round := range b.Rounds {
		for _, s := range subjects {
			quiet, err := b.measure(ctx, running[s.label], d)
			if err != nil {
				return err
			}
			h := b.smallDemand()
			h.address, h.tls, h.conns, h.handshakes, h.rate = running[s.label].Secure, true, 16, "full", handshakeRate
			busy, shakes, err := b.beside(ctx, running[s.label], d, h)
			if err != nil {
				return err
			}
			n := shakes[0].Rate
			b.Say("  round %d %-10s p99 quiet %6.0f us, beside %.0f handshakes/s %6.0f us", round+1, s.label, quiet.P99, n, busy.P99)
			samples[s.label+" quiet"] = append(samples[s.label+" quiet"], quiet)
			samples[s.label+" beside"] = append(samples[s.label+" beside"], busy)
			shaken[s.label+" beside"] = append(shaken[s.label+" beside"], n)
		}
	}
	besideTable(x, subjects, samples, shaken)
	return nil
}

// beside measures d while others, which yield to it, run: at the same address, when they have none. It returns what came
// of them in their order.
func (b *Bed) beside(ctx context.Context, p *peers.Peer, d demand, others ...demand) (sample, []answer, error) {
	type outcome struct {
		answer
		err error
	}
	var running []chan outcome
	for _, other := range others {
		if other.address == "" {
			other.address = p.Address
		}
		other.cpu, other.yields, other.window = otherCPU, true, d.window+warmUp
		done := make(chan outcome, 1)
		running = append(running, done)
		go func() {
			a, err := b.load(ctx, other, func() error { return nil })
			done <- outcome{a, err}
		}()
	}
	m, err := b.measure(ctx, p, d)
	var answers []answer
	for _, done := range running {
		o := <-done
		m.Failed += o.Failed
		answers = append(answers, o.answer)
		if err == nil {
			err = o.err
		}
	}
	return m, answers, err
}

// warmUp is about how long the load generator runs before its window.
const warmUp = 500 * time.Millisecond

func besideTable(x *report.Result, subjects []subject, samples map[string][]sample, shaken map[string][]float64) {
	x.Columns = []report.Column{{Key: "handshakes", Label: "handshakes/s", Digits: 0}}
	figures := map[string]func(sample) float64{}
	for _, q := range quantiles {
		figures[q.key] = func(s sample) float64 { return q.of(s.answer) }
		x.Columns = append(x.Columns, report.Column{Key: q.key, Label: q.label + ", us", Digits: 0})
	}
	x.Charted = "p99"
	for _, s := range subjects {
		for _, suffix := range []string{" quiet", " beside"} {
			row := values(s.label+suffix, samples[s.label+suffix], figures)
			row.Values["handshakes"] = report.Summarise(shaken[s.label+suffix])
			x.Rows = append(x.Rows, row)
		}
	}
	whole(x, samples)
	ours := string(peers.Ours)
	quiet, have := median(x, ours+" quiet", "p99")
	busy, haveBusy := median(x, ours+" beside", "p99")
	ratio := busy / max(quiet, 1e-9)
	x.Bars = append(x.Bars, bar("beside handshakes the p99 of ours is at most 2 times the quiet one", fmt.Sprintf("%.2f times", ratio),
		have && haveBusy, ratio <= 2))
	done, have := median(x, ours+" beside", "handshakes")
	x.Bars = append(x.Bars, bar("ours does at least 0.95 of the handshakes meanwhile", fmt.Sprintf("%.0f of %d a second", done, handshakeRate),
		have, done >= 0.95*handshakeRate))
}
