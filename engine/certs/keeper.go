package certs

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Keeper has what outlasts configurations: the secrets of session tickets, the numbers of sets of options, OCSP responses
// and what is known of servers. Its methods may be called from any goroutine.
type Keeper struct {
	// Immutable:
	logger  *slog.Logger
	fetched func(ok bool) // counts attempts to get an OCSP response; nil: nobody does
	http    *http.Client
	now     func() time.Time

	wake chan struct{} // of capacity 1: there may be something to do

	mu      sync.Mutex // guards what follows; locked after that of a Server
	dated   []dated    // newest first, at least one
	numbers map[string]int
	staples map[sum]*staple    // by leaf
	servers map[string]*Server // in force, like clients
	clients map[string]*Client
}

// NewKeeper makes a Keeper. handed is what Secrets gave in the process before this one; nil when there was none. fetched,
// if not nil, is told how each attempt to get an OCSP response ended.
func NewKeeper(logger *slog.Logger, handed []byte, fetched func(ok bool)) *Keeper {
	k := &Keeper{logger: logger, fetched: fetched, now: time.Now, wake: make(chan struct{}, 1), numbers: map[string]int{},
		staples: map[sum]*staple{}}
	// Connections are not kept: there is one request in hours.
	k.http = &http.Client{Timeout: fetchTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	k.dated = rotate(parseDated(handed), k.now())
	return k
}

// Use says what is in force from now on: the entry points, which have their ticket keys changed and OCSP responses fetched,
// and the services, by name, from which later configurations take over what stays the same. The maps are not changed any
// more.
func (k *Keeper) Use(servers map[string]*Server, clients map[string]*Client) {
	k.mu.Lock()
	k.servers, k.clients = servers, clients
	k.mu.Unlock()
	for _, s := range servers {
		s.reseal() // the keys may have changed since it was made
	}
	k.changed()
}

// Run changes ticket keys and fetches OCSP responses when it is time to, until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
		}
		timer.Reset(min(k.rotate(), k.staple(ctx)))
	}
}

// changed makes Run look.
func (k *Keeper) changed() {
	select {
	case k.wake <- struct{}{}:
	default: // it was told and has not looked yet
	}
}

// rotate changes the secrets when it is time to, and returns when to look again.
func (k *Keeper) rotate() time.Duration {
	k.mu.Lock()
	now := k.now()
	next := rotate(k.dated, now)
	same := next[0] == k.dated[0]
	k.dated = next
	servers := k.servers
	k.mu.Unlock()
	if !same {
		for _, s := range servers {
			s.reseal()
		}
	}
	return rotation - now.Sub(next[0].born)
}

// secrets are those of the process's own, newest first.
func (k *Keeper) secrets() []secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]secret, len(k.dated))
	for i := range k.dated {
		all[i] = k.dated[i].secret
	}
	return all
}

// datedSize is the size of a secret with its time in what Secrets gives.
const datedSize = secretSize + 8

// Secrets is what a process that takes over needs so that sessions go on, for NewKeeper. Nobody else is to see it.
func (k *Keeper) Secrets() (b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.dated {
		b = append(b, d.secret[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(d.born.Unix()))
	}
	return b
}

func parseDated(b []byte) (list []dated) {
	for ; len(b) >= datedSize; b = b[datedSize:] {
		born := time.Unix(int64(binary.BigEndian.Uint64(b[secretSize:])), 0)
		list = append(list, dated{secret(b[:secretSize]), born})
	}
	return list
}

// number is that of a set of options, the same one each time.
func (k *Keeper) number(options string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, ok := k.numbers[options]
	if !ok {
		n = len(k.numbers)
		k.numbers[options] = n
	}
	return n
}
