package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Times of the resolver. Go's resolver does not tell how long an answer holds, so names are asked for at an interval.
const (
	DefaultRefresh = 30 * time.Second // between lookups that succeed
	minRefresh     = time.Second
	firstRetry     = time.Second // after a lookup that failed, doubled after each further one
	maxRetry       = 30 * time.Second
	lookupTime     = 5 * time.Second // longest lookup
)

// Lookup asks for the addresses of a host name.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// Sleep waits for d, or until ctx ends, and then returns its error.
type Sleep func(ctx context.Context, d time.Duration) error

// SystemLookup asks the system's resolver.
func SystemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// SystemSleep waits in real time.
func SystemSleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Resolver keeps the addresses of host names up to date, a goroutine for each name, none of them a loop's. When a
// lookup fails the last addresses stay in use, for as long as it takes. It outlives reloads, so that a name in use
// before and after one has its addresses all the time. All methods may be called from any goroutine but a loop's.
//
//	Watch ──▶ goroutine of the name: lookup ──changed──▶ onChange ──▶ the owner makes Targets
//	              ▲                     │
//	              └── sleep: 30 s, or 1, 2, 4 … 30 s after failures
type Resolver struct {
	// Immutable:
	lookup   Lookup
	sleep    Sleep
	refresh  time.Duration
	onChange func(host string, addrs []netip.Addr)
	ctx      context.Context
	stop     context.CancelFunc

	running sync.WaitGroup
	telling sync.Mutex // held while onChange runs: one call at a time

	mu    sync.Mutex // guards names and the fields of each
	names map[string]*name
}

// name is one host name that is watched.
type name struct {
	// Immutable:
	host string
	stop context.CancelFunc
	done chan struct{} // closed when the first lookup has ended

	// Guarded by Resolver.mu:
	watchers int
	addrs    []netip.Addr // sorted, none twice; replaced, never changed
	err      error        // why the last lookup failed; nil when it did not
}

// NewResolver makes a resolver that watches no name yet. refresh is the mean time between lookups of a name, 0 for
// DefaultRefresh; it is at least a second. onChange is called with the addresses of a name, sorted and none twice,
// when they differ from before; its calls never overlap. It must not call Watch or Stop, nor change addrs.
func NewResolver(lookup Lookup, sleep Sleep, refresh time.Duration,
	onChange func(host string, addrs []netip.Addr)) *Resolver {
	if refresh == 0 {
		refresh = DefaultRefresh
	}
	r := &Resolver{lookup: lookup, sleep: sleep, refresh: max(refresh, minRefresh), onChange: onChange,
		names: map[string]*name{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Watch begins to keep the addresses of hosts and waits for the first lookup of each, whatever comes of it, or until
// ctx ends. A host that has no addresses by then gets them when a later lookup succeeds. Each Watch of a host needs an
// Unwatch. After Stop it does nothing.
func (r *Resolver) Watch(ctx context.Context, hosts ...string) {
	names := make([]*name, 0, len(hosts))
	r.mu.Lock()
	for _, host := range hosts {
		if r.ctx.Err() != nil {
			break
		}
		n := r.names[host]
		if n == nil {
			n = r.begin(host)
		}
		n.watchers++
		names = append(names, n)
	}
	r.mu.Unlock()
	for _, n := range names {
		select {
		case <-n.done:
		case <-ctx.Done():
			return
		}
	}
}

// begin starts the goroutine of a host; r.mu is held.
func (r *Resolver) begin(host string) *name {
	ctx, stop := context.WithCancel(r.ctx)
	n := &name{host: host, stop: stop, done: make(chan struct{})}
	r.names[host] = n
	r.running.Go(func() { r.keep(ctx, n) })
	return n
}

// Unwatch takes back one Watch of each host. After the last one its lookups end and its addresses are forgotten;
// a call of onChange that is under way is not waited for.
func (r *Resolver) Unwatch(hosts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, host := range hosts {
		n := r.names[host]
		if n == nil {
			continue
		}
		if n.watchers--; n.watchers == 0 {
			n.stop()
			delete(r.names, host)
		}
	}
}

// Addresses is what a watched host last resolved to, sorted and not to be changed, and why the last lookup failed if
// it did. Both may be set: addresses stay in use when lookups fail. Both are nil before the first lookup has ended.
func (r *Resolver) Addresses(host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.names[host]
	if n == nil {
		return nil, fmt.Errorf("%s is not watched", host)
	}
	return n.addrs, n.err
}

// Stop ends all lookups and waits for the goroutines. onChange is not called after it.
func (r *Resolver) Stop() {
	r.mu.Lock() // no Watch begins a goroutine behind the wait
	r.stop()
	r.mu.Unlock()
	r.running.Wait()
}

// keep looks a name up again and again until ctx ends.
func (r *Resolver) keep(ctx context.Context, n *name) {
	defer n.stop()
	answered := sync.OnceFunc(func() { close(n.done) })
	defer answered()
	retry := firstRetry
	for {
		wait := r.refresh
		err := r.once(ctx, n)
		if err != nil {
			wait, retry = retry, min(2*retry, maxRetry)
		} else {
			retry = firstRetry
		}
		answered()
		if r.sleep(ctx, jitter(wait)) != nil {
			return
		}
	}
}

// once looks a name up and tells of a change.
func (r *Resolver) once(ctx context.Context, n *name) error {
	bounded, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addrs, err := r.lookup(bounded, n.host)
	if err == nil {
		if addrs = canonical(addrs); len(addrs) == 0 {
			err = errNoAddress
		}
	}
	if err != nil {
		r.mu.Lock()
		n.err = err
		r.mu.Unlock()
		return err
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	changed := !slices.Equal(n.addrs, addrs) && ctx.Err() == nil
	n.addrs, n.err = addrs, nil
	r.mu.Unlock()
	if changed {
		r.onChange(n.host, addrs)
	}
	return nil
}

var errNoAddress = errors.New("the name has no address")

// canonical sorts addresses and drops what is no address or comes twice, in either notation of IPv4.
func canonical(addrs []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if a.IsValid() {
			out = append(out, a.Unmap())
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// jitter spreads a wait by 10 % to either side, so that names, and proxies started together, do not ask all at once.
func jitter(d time.Duration) time.Duration { return max(spread(d), minRefresh) }

// spread is a time 10 % more or less than d.
func spread(d time.Duration) time.Duration {
	part := int64(d) / 10
	return d + time.Duration(rand.Int64N(2*part+1)-part)
}
