package scenarios

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"traffic_management/perf/peers"
	"traffic_management/perf/process"
	"traffic_management/perf/report"
)

// idleClients is how many keep-alive connections are held, if the descriptor limit allows.
const idleClients = 10000

// memoryTimeout bounds one proxy's turn.
const memoryTimeout = 2 * time.Minute

// idleTLSClients are fewer, since each costs a handshake.
const idleTLSClients = 2500

// memory measures clients in clear text.
func memory(ctx context.Context, b *Bed, x *report.Result) error {
	subjects := b.present(x, pinned(peers.Nginx, peers.LogNone), pinned(peers.HAProxy, peers.LogNone),
		pinned(peers.Ours, peers.LogNone))
	if err := b.footprints(ctx, x, subjects, idleClients); err != nil {
		return err
	}
	rss, have := median(x, string(peers.Ours), "rss")
	x.Bars = append(x.Bars, bar("ours holds less than 40 MB without traffic", fmt.Sprintf("%.1f MB", rss), have, rss < 40))
	idle(x, 1500)
	return nil
}

// memoryTLS measures clients over TLS.
func memoryTLS(ctx context.Context, b *Bed, x *report.Result) error {
	x.Notes = append(x.Notes, sameTLS)
	subjects := b.present(x, secured(peers.Nginx), secured(peers.HAProxy), secured(peers.Ours))
	if err := b.footprints(ctx, x, subjects, idleTLSClients); err != nil {
		return err
	}
	idle(x, mostPerTLSClient)
	return nil
}

// mostPerTLSClient is what an idle client over TLS may cost ours, in bytes: the standard library's connection with its
// two ciphers is most of it.
const mostPerTLSClient = 14000

// idle adds the bar of what an idle client costs.
func idle(x *report.Result, most float64) {
	client, have := median(x, string(peers.Ours), "client")
	x.Bars = append(x.Bars, bar(fmt.Sprintf("an idle client costs ours at most %.0f bytes", most), fmt.Sprintf("%.0f bytes", client),
		have, client <= most))
}

// footprints measures each proxy alone and freshly started: what it holds without traffic, and what it holds more when
// many clients have done one request each and stay connected.
func (b *Bed) footprints(ctx context.Context, x *report.Result, subjects []subject, clients int) error {
	limit, err := process.Capped(clients + 500)
	if err != nil {
		return err
	}
	clients = min(clients, limit-500)
	x.Method = fmt.Sprintf("%d fresh starts of each, %d idle clients", b.Rounds, clients)
	x.Columns = []report.Column{{Key: "rss", Label: "MB without traffic (RSS)", Digits: 1},
		{Key: "pss", Label: "shared pages divided (PSS)", Digits: 1}, {Key: "client", Label: "bytes per idle client (PSS)", Digits: 0}}
	x.Charted = "client"
	x.Notes = append(x.Notes, "Memory of the process; the kernel's socket memory is not in it. Each client did one request "+
		"before it fell idle.")
	found := map[string]map[string][]float64{}
	for range b.Rounds {
		for _, s := range subjects {
			s.options.Connections = clients + 200
			m, err := b.footprint(ctx, s, clients)
			if err != nil {
				if s.name == peers.Ours {
					return err
				}
				x.Notes = append(x.Notes, fmt.Sprintf("%s could not be measured: %v", s.label, err))
				continue
			}
			b.Say("  %-10s %5.1f MB, %6.0f bytes per client", s.label, m["rss"], m["client"])
			if found[s.label] == nil {
				found[s.label] = map[string][]float64{}
			}
			for key, v := range m {
				found[s.label][key] = append(found[s.label][key], v)
			}
		}
	}
	footprintTable(x, subjects, found)
	return nil
}

func footprintTable(x *report.Result, subjects []subject, found map[string]map[string][]float64) {
	for _, s := range subjects {
		row := report.Row{Subject: s.label, Values: map[string]report.Summary{}}
		for key, all := range found[s.label] {
			row.Values[key] = report.Summarise(all)
		}
		x.Rows = append(x.Rows, row)
	}
}

// footprint is the figures of one fresh start.
func (b *Bed) footprint(ctx context.Context, s subject, clients int) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, memoryTimeout)
	defer cancel()
	s.options.Backends = b.backends
	p, err := b.Peers.Start(ctx, s.name, s.options)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	before, err := p.Memory()
	if err != nil {
		return nil, err
	}
	var after process.Memory
	url := "http://" + p.Address
	if s.options.TLS {
		url = "https://" + p.Secure
	}
	err = b.hold(ctx, url, clients, func() (err error) {
		after, err = p.Memory()
		return err
	})
	if err != nil {
		return nil, err
	}
	const mega = 1 << 20
	return map[string]float64{"rss": float64(before.RSS) / mega, "pss": float64(before.PSS) / mega,
		"client": float64(after.PSS-before.PSS) / float64(clients)}, nil
}

// hold keeps idle clients of a server connected while f runs. A client that was closed meanwhile is an error.
func (b *Bed) hold(ctx context.Context, url string, clients int, f func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fromUs, toUs := io.Pipe()
	out, in := io.Pipe()
	p, err := process.Start(ctx, process.Spec{Path: b.binary("load"), CPU: otherCPU, Stdin: fromUs, Stdout: in,
		Args: []string{"-url", url + "/128", "-conns", strconv.Itoa(clients), "-hold"},
		Log:  filepath.Join(b.Peers.Dir, "hold.stderr")})
	if err != nil {
		return err
	}
	defer p.Stop()
	defer toUs.Close()
	go func() { in.CloseWithError(p.Wait(ctx)) }()
	s := bufio.NewScanner(out)
	if !s.Scan() || !strings.HasPrefix(s.Text(), "held ") {
		return errors.Join(errLoad, s.Err())
	}
	if err := f(); err != nil {
		return err
	}
	toUs.Close()
	if !s.Scan() || s.Text() != "closed 0" {
		return errors.Join(fmt.Errorf("idle clients were closed: %q", s.Text()), s.Err())
	}
	return nil
}
