package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metricTimeout bounds the reading of one page of metrics.
const metricTimeout = 5 * time.Second

// Metric reads one sample of the proxy's Prometheus page by its whole name, labels included. Only ours has one.
func (p *Peer) Metric(ctx context.Context, name string) (float64, error) {
	page, err := p.page(ctx)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(page) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(v), 64)
		}
	}
	return 0, fmt.Errorf("the page at %s has no %s", p.Metrics, name)
}

// Bucket is one of a histogram: how many values were at most Bound, in seconds. That of the last one is infinite.
type Bucket struct{ Bound, Count float64 }

// Buckets reads a histogram of the page, of which there is one with the given labels, written as on the page.
func (p *Peer) Buckets(ctx context.Context, name, labels string) (all []Bucket, err error) {
	page, err := p.page(ctx)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(page) {
		rest, ok := strings.CutPrefix(line, name+"_bucket{"+labels+`,le="`)
		bound, count, sample := strings.Cut(strings.TrimSpace(rest), `"} `)
		if !ok || !sample {
			continue
		}
		var b Bucket
		if b.Bound, err = strconv.ParseFloat(bound, 64); err != nil {
			return nil, err
		}
		if b.Count, err = strconv.ParseFloat(count, 64); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the page at %s has no %s with %s", p.Metrics, name, labels)
	}
	return all, nil
}

func (p *Peer) page(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, metricTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/metrics", nil)
	if err != nil {
		return "", err
	}
	r.Close = true // a kept connection would count among the proxy's descriptors
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return string(text), err
}
