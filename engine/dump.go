package engine

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"text/tabwriter"
	"time"

	"traffic_management/engine/frontend"
	"traffic_management/engine/reactor"
)

// Dump writes the state of the process for people: configurations, loops, connections, servers, memory, and what every
// goroutine does. Nothing in it is of a request. It asks loops and waits for them no longer than a second. Any goroutine
// but a loop's, after Start.
func (e *Engine) Dump(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	s := e.current()
	fmt.Fprintf(out, "traffic_management %s, process %d, %s, up %v, ready %v\n", e.options.Version, os.Getpid(),
		runtime.Version(), time.Since(e.started).Round(time.Second), e.ready())
	fmt.Fprintf(out, "configuration %d of %s, loaded %s\n", s.generation, e.options.File, s.loadedAt.Format(time.RFC3339))
	e.dumpGenerations(out)
	e.dumpLoops(out)
	e.dumpEntryPoints(out, s)
	e.dumpServers(out)
	dumpMemory(out)
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return pprof.Lookup("goroutine").WriteTo(w, 1) // those with the same stack once
}

func (e *Engine) dumpGenerations(w io.Writer) {
	e.old.mu.Lock()
	defer e.old.mu.Unlock()
	for _, g := range e.old.list {
		fmt.Fprintf(w, "configuration %d, replaced %v ago, has exchanges on %d loops\n", g.state.generation,
			time.Since(g.replaced).Round(time.Second), g.loops.Load())
	}
}

func (e *Engine) dumpLoops(w io.Writer) {
	fmt.Fprint(w, "\nloop\tfresh\tidle\tactive\ttunnels\tsockets\tturns\tstalls\tcontained\taccept pauses\tshed\n")
	for i, n := range poll(e.workers, func(w *worker) frontend.Counts { return w.conns.Counts() }) {
		if n == nil {
			fmt.Fprintf(w, "%d\tdoes not answer: see the goroutines\t\t\t", i)
		} else {
			fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d", i, n.Fresh, n.Idle, n.Active, n.Tunnels)
		}
		st := e.workers[i].loop.Stats()
		fmt.Fprintf(w, "\t%d\t%d\t%d\t%d\t%d\t%d\n", st.Open.Load(), st.Turns.Load(), st.Stalls.Load(), st.Panics.Load(),
			st.Pauses.Load(), st.Shed.Load())
	}
}

func (e *Engine) dumpEntryPoints(w io.Writer, s *state) {
	fmt.Fprint(w, "\nentry point\taddress\topen\ttunnels\n")
	for _, v := range e.entryPointViews(s) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", v.Name, v.Address, v.Open, v.Tunnels)
	}
}

func (e *Engine) dumpServers(w io.Writer) {
	now := reactor.Clock()
	fmt.Fprint(w, "\nservice\tserver\tstate\tweight\tin flight\topen\tidle\tlast error\n")
	for _, v := range e.serverViews() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%d\t%d\t%d\t%s\n", v.Service, v.ID, v.State, v.InForce, v.InFlight, v.Open, v.Idle,
			v.LastError)
	}
	for _, v := range e.current().snapshot.services {
		for _, b := range v.Breakers(now) {
			fmt.Fprintf(w, "%s\tbreaker %s\t%s\n", v.Name, b.Name, b.State)
		}
	}
}

func dumpMemory(w io.Writer) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "\nmemory\theap %d\tin use %d\tfrom the system %d\tgoroutines %d\tcollections %d\n", m.HeapAlloc,
		m.HeapInuse, m.Sys, runtime.NumGoroutine(), m.NumGC)
}

// dump is GET /api/dump.
func (a *admin) dump(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = a.engine.Dump(w) // the client has gone
	return nil
}
