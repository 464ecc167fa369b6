package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"traffic_management/perf/process"
)

// fleet is the servers behind the proxy, each a process of its own.
type fleet struct {
	bed     *bed
	servers []*server
}

type server struct {
	address string
	process *process.Process // nil while it is down
}

// startFleet starts n servers.
func (b *bed) startFleet(ctx context.Context, n int) (*fleet, error) {
	f := &fleet{bed: b}
	for i := range n {
		address, err := process.FreeAddress()
		if err != nil {
			return f, err
		}
		f.servers = append(f.servers, &server{address: address})
		if err := f.start(ctx, i); err != nil {
			return f, err
		}
	}
	return f, nil
}

// start starts a server at the address it always has.
func (f *fleet) start(ctx context.Context, i int) error {
	s := f.servers[i]
	p, err := process.Start(ctx, process.Spec{Path: filepath.Join(f.bed.binaries, "backend"), Args: []string{"-listen", s.address},
		CPU: process.AnyCPU, Log: filepath.Join(f.bed.dir, fmt.Sprintf("server-%d.stderr", i))})
	if err != nil {
		return err
	}
	s.process = p
	return p.Ready(ctx, s.address)
}

// kill ends a server whatever it is doing; the kernel resets its connections.
func (f *fleet) kill(i int) {
	if p := f.servers[i].process; p != nil {
		p.Stop()
		f.servers[i].process = nil
	}
}

func (f *fleet) stop() {
	for i := range f.servers {
		f.kill(i)
	}
}

// served is how many requests each server has answered since it was started.
func (f *fleet) served(ctx context.Context) ([]int64, error) {
	counts := make([]int64, len(f.servers))
	for i, s := range f.servers {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/served", nil)
		if err != nil {
			return nil, err
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil {
			return nil, err
		}
		if counts[i], err = strconv.ParseInt(string(text), 10, 64); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// urls are the servers as elements of a YAML list, but those left out.
func (f *fleet) urls(but ...int) string {
	var all []string
	for i, s := range f.servers {
		left := false
		for _, j := range but {
			left = left || i == j
		}
		if !left {
			all = append(all, "{url: 'http://"+s.address+"'}")
		}
	}
	return strings.Join(all, ", ")
}
