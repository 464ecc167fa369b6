package scenarios

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// subject is one proxy in one setting.
type subject struct {
	label   string // its row
	name    peers.Name
	options peers.Options
}

// present drops the subjects that cannot be started and says so in the notes.
func (b *Bed) present(x *report.Result, subjects ...subject) []subject {
	var there []subject
	for _, s := range subjects {
		if err := b.Absent[s.name]; err != nil {
			x.Notes = append(x.Notes, fmt.Sprintf("%s is left out: %v", s.label, err))
			continue
		}
		there = append(there, s)
	}
	return there
}

// start starts the subjects, all behind the same backend. The caller stops what is returned, also after an error.
func (b *Bed) start(ctx context.Context, subjects []subject) (map[string]*peers.Peer, error) {
	running := map[string]*peers.Peer{}
	for _, s := range subjects {
		s.options.Backends = b.backends
		p, err := b.Peers.Start(ctx, s.name, s.options)
		if err != nil {
			return running, err
		}
		running[s.label] = p
	}
	return running, nil
}

func stopAll(running map[string]*peers.Peer) {
	for _, p := range running {
		p.Stop()
	}
}

// interleave measures every subject once a round, by label.
func (b *Bed) interleave(ctx context.Context, subjects []subject, d demand) (map[string][]sample, error) {
	running, err := b.start(ctx, subjects)
	defer stopAll(running)
	if err != nil {
		return nil, err
	}
	samples := map[string][]sample{}
	for round := range b.Rounds {
		for _, s := range subjects {
			x, err := b.measure(ctx, running[s.label], d)
			if err != nil {
				return nil, err
			}
			cpu, _, _ := x.perRequest()
			b.Say("  round %d %-16s %8.2f us/request %9.0f requests/s", round+1, s.label, cpu, x.Rate)
			samples[s.label] = append(samples[s.label], x)
		}
	}
	return samples, nil
}

// values makes one row: each figure is computed of every sample and summarised.
func values(label string, samples []sample, figures map[string]func(sample) float64) report.Row {
	row := report.Row{Subject: label, Values: map[string]report.Summary{}}
	for key, f := range figures {
		var all []float64
		for _, s := range samples {
			all = append(all, f(s))
		}
		row.Values[key] = report.Summarise(all)
	}
	return row
}

// median is the median of one figure of a row; ok is false when there is no such row or figure.
func median(x *report.Result, subject, key string) (v float64, ok bool) {
	for _, r := range x.Rows {
		if s, found := r.Values[key]; found && r.Subject == subject {
			return s.Median, true
		}
	}
	return 0, false
}

// least is the smallest median of one figure among the rows of nginx and HAProxy, and its row.
func least(x *report.Result, key string) (subject string, v float64) {
	for _, r := range x.Rows {
		if strings.HasPrefix(r.Subject, string(peers.Ours)) || r.Subject == string(peers.Relay) {
			continue
		}
		if m := r.Values[key].Median; subject == "" || m < v {
			subject, v = r.Subject, m
		}
	}
	return subject, v
}

// bar is met when ok; a bar whose figures are missing is neither met nor missed.
func bar(claim, found string, measured, ok bool) report.Bar {
	switch {
	case !measured:
		return report.Bar{Claim: claim, Found: "", Verdict: report.Unmeasured}
	case ok:
		return report.Bar{Claim: claim, Found: found, Verdict: report.Pass}
	}
	return report.Bar{Claim: claim, Found: found, Verdict: report.Fail}
}

// whole adds the bar that no request of ours failed, and notes what failed of others.
func whole(x *report.Result, samples map[string][]sample) {
	for _, label := range slices.Sorted(maps.Keys(samples)) {
		all := samples[label]
		if len(all) == 0 {
			continue
		}
		var failed, bad int64
		for _, s := range all {
			failed += s.Failed
			bad += s.BadStatus
		}
		found := fmt.Sprintf("%d failed, %d with another status than 200", failed, bad)
		if strings.HasPrefix(label, string(peers.Ours)) {
			x.Bars = append(x.Bars, bar("every request of "+label+" is answered with 200", found, true, failed+bad == 0))
		} else if failed+bad > 0 {
			x.Notes = append(x.Notes, label+": "+found)
		}
	}
}
