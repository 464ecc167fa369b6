package scenarios

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/report"
)

// Work of stalls, offered by clients that yield their core to the plain load and the backend.
const (
	largePath    = "/json/1m"
	largeConns   = 2 // of the closed loop
	passwordRate = 5 // a second, each a whole check: a wrong password is never remembered
	tokenRate    = 4 // a second, each for another set of keys, which is fetched for it
	// wrongPassword are credentials of a user that there is, strangeToken is one of ES256 with a key that no set has.
	wrongPassword = "Authorization: Basic YmVuY2g6d3Jvbmc="
	strangeToken  = "Authorization: Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vbmUifQ.e30." +
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// stallBound is the most that all but one of a thousand turns may take, in seconds: a bound of the histogram's buckets.
const stallBound = 0.001

// setting is what runs beside the plain requests in one row.
type setting struct {
	suffix string // of the row's label
	beside []demand
}

func large(coding string) demand {
	return demand{paths: largePath, field: "Accept-Encoding: " + coding, conns: largeConns}
}

// tokens asks for the sets of keys from first on, half of them: a set is fetched once in ten seconds, so no two settings
// of a round share one.
func tokens(first int) demand {
	var paths []string
	for i := range peers.KeySets / 2 {
		paths = append(paths, fmt.Sprintf("/tokens/%d", first+i))
	}
	return demand{paths: strings.Join(paths, ","), field: strangeToken, conns: 4, rate: tokenRate}
}

// stallSettings are the rows of ours. Keys come late in a round: a set is not fetched again soon after the start.
func stallSettings() []setting {
	passwords := demand{paths: "/bytes/1", field: wrongPassword, conns: 4, rate: passwordRate}
	return []setting{
		{"plain", nil},
		{"beside Brotli", []demand{large("br")}},
		{"beside passwords", []demand{passwords}},
		{"beside keys", []demand{tokens(0)}},
		{besideAll, []demand{large("br"), passwords, tokens(peers.KeySets / 2)}},
	}
}

const besideAll = "beside all"

// stalled is one round of one row.
type stalled struct {
	sample
	turns   []peers.Bucket // those of the window; none but ours
	work    []answer       // of what ran beside, in its order
	fetches float64        // of keys, a second
	seconds float64        // from the first reading of both to the second
}

func (m stalled) String() string {
	million, _ := longer(m.turns)
	return fmt.Sprintf("p50 %6.0f p99 %6.0f us, %5.0f of a million turns over 1 ms", m.P50, m.P99, million)
}

// stalls offers small requests at a constant rate while the loop's process compresses, checks passwords and fetches keys,
// and reads from its histogram how long turns took.
func stalls(ctx context.Context, b *Bed, x *report.Result) error {
	keys := b.backends[1]
	b.backends = b.backends[:1]
	x.Notes = append(x.Notes, fmt.Sprintf("Open loop: %d requests/s for 128 bytes on 64 connections. Beside them: 1 MB of JSON through Brotli "+
		"(or gzip at level 5) on %d connections, as fast as it goes; %d wrong passwords/s against bcrypt of cost 10; %d tokens/s, each of "+
		"which has a set of 20 keys fetched. A turn is the time in which the loop handles what was ready together, and nobody else.",
		quietRate, largeConns, passwordRate, tokenRate))
	mine := pinned(peers.Ours, peers.LogNone)
	mine.options.Keys = keys
	nginx, haproxy := pinned(peers.Nginx, peers.LogNone), pinned(peers.HAProxy, peers.LogNone)
	nginx.options.Middleware, haproxy.options.Middleware = peers.Gzip, peers.Gzip
	subjects := b.present(x, nginx, haproxy, mine)
	running, err := b.start(ctx, subjects)
	defer stopAll(running)
	if err != nil {
		return err
	}
	settings := map[peers.Name][]setting{peers.Ours: stallSettings()}
	for _, name := range []peers.Name{peers.Nginx, peers.HAProxy} {
		settings[name] = []setting{{"plain", nil}, {"beside gzip", []demand{large("gzip")}}}
	}
	rows := map[string][]stalled{}
	var labels []string
	for round := range b.Rounds {
		for _, s := range subjects {
			for _, at := range settings[s.name] {
				label := s.label + " " + at.suffix
				m, err := b.stalled(ctx, running[s.label], keys, at.beside)
				if err != nil {
					return err
				}
				b.Say("  round %d %-22s %v", round+1, label, m)
				if rows[label] == nil {
					labels = append(labels, label)
				}
				rows[label] = append(rows[label], m)
			}
		}
	}
	stallTable(x, labels, rows)
	return nil
}

// stalled measures plain requests of one peer beside other work.
func (b *Bed) stalled(ctx context.Context, p *peers.Peer, keys string, beside []demand) (m stalled, err error) {
	var at [2][]peers.Bucket
	var fetched [2]float64
	read := func(i int) (err error) {
		if fetched[i], err = served(ctx, keys); err == nil && p.Name == peers.Ours {
			at[i], err = p.Buckets(ctx, "traffic_loop_turn_duration_seconds", `loop="0"`)
		}
		return err
	}
	if err := read(0); err != nil {
		return m, err
	}
	d := b.smallDemand()
	d.rate = quietRate
	began := time.Now()
	if m.sample, m.work, err = b.beside(ctx, p, d, beside...); err != nil {
		return m, err
	}
	if err := read(1); err != nil {
		return m, err
	}
	m.seconds = time.Since(began).Seconds()
	m.fetches = (fetched[1] - fetched[0]) / m.seconds
	for i := range at[1] {
		m.turns = append(m.turns, peers.Bucket{Bound: at[1][i].Bound, Count: at[1][i].Count - at[0][i].Count})
	}
	return m, nil
}

// served is how many requests a backend has answered.
func served(ctx context.Context, address string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/served", nil)
	if err != nil {
		return 0, err
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(text), 64)
}

// longer is how many turns of a million took longer than stallBound, and how many turns there were.
func longer(turns []peers.Bucket) (million, count float64) {
	if len(turns) == 0 {
		return 0, 0
	}
	count = turns[len(turns)-1].Count
	for _, t := range turns {
		if t.Bound == stallBound {
			million = (count - t.Count) / max(count, 1) * 1e6
		}
	}
	return million, count
}

func stallTable(x *report.Result, labels []string, rows map[string][]stalled) {
	x.Columns = []report.Column{{Key: "longer", Label: "turns over 1 ms, of a million", Digits: 0},
		{Key: "turns", Label: "turns/s", Digits: 0}}
	for _, q := range quantiles {
		x.Columns = append(x.Columns, report.Column{Key: q.key, Label: q.label + ", us", Digits: 0})
	}
	x.Columns = append(x.Columns, report.Column{Key: "work", Label: "done beside, /s", Digits: 1},
		report.Column{Key: "fetches", Label: "sets of keys fetched/s", Digits: 1})
	x.Charted = "p99"
	plain := map[string][]sample{}
	for _, label := range labels {
		row := report.Row{Subject: label, Values: map[string]report.Summary{}}
		figure := func(key string, f func(stalled) float64) {
			var all []float64
			for _, m := range rows[label] {
				all = append(all, f(m))
			}
			row.Values[key] = report.Summarise(all)
		}
		for _, q := range quantiles {
			figure(q.key, func(m stalled) float64 { return q.of(m.answer) })
		}
		if strings.HasPrefix(label, string(peers.Ours)) {
			figure("longer", func(m stalled) float64 { million, _ := longer(m.turns); return million })
			figure("turns", func(m stalled) float64 { _, n := longer(m.turns); return n / m.seconds })
			figure("fetches", func(m stalled) float64 { return m.fetches })
		}
		figure("work", func(m stalled) (done float64) {
			for _, a := range m.work {
				done += a.Rate
			}
			return done
		})
		x.Rows = append(x.Rows, row)
		for _, m := range rows[label] {
			plain[label] = append(plain[label], m.sample)
		}
	}
	whole(x, plain)
	stallBars(x)
}

// stallBars are that the loop does not stall, and that there was what might have made it.
func stallBars(x *report.Result) {
	ours := string(peers.Ours) + " " + besideAll
	million, have := median(x, ours, "longer")
	x.Bars = append(x.Bars, bar("of the turns beside all of it, 99.9 of a hundred take at most 1 ms",
		fmt.Sprintf("%.3f of a hundred", 100-million/1e4), have, million <= 1000))
	work, have := median(x, ours, "work")
	fetches, haveFetches := median(x, ours, "fetches")
	least := 1 + 0.9*(passwordRate+tokenRate)
	x.Bars = append(x.Bars, bar(fmt.Sprintf("meanwhile the work is done, and keys are fetched, at least %.0f and 1 times a second", least),
		fmt.Sprintf("%.1f and %.1f", work, fetches), have && haveFetches, work >= least && fetches >= 1))
}
