package mw

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// keysInterval is how often a set of keys is fetched, more or less by a tenth.
	keysInterval = 5 * time.Minute
	// keysPause is the least time between two fetches, however many tokens name keys that are not there.
	keysPause = 10 * time.Second
	// fetchTimeout is how long a fetch may take.
	fetchTimeout = 5 * time.Second
	// maxAwaiting bounds the requests that wait for a fetch.
	maxAwaiting = 64
)

// Keys are what tokens are verified with: a secret, or a set of public keys that is read from a file or fetched. A set that
// was read once stays until there is a newer one. Any goroutine.
type Keys struct {
	// Immutable:
	file  string
	url   string
	http  *http.Client // but for its Transport
	pause time.Duration
	wake  chan struct{} // of capacity 1: Run is asked for a fetch

	set     atomic.Pointer[keySet]     // nil: there is none yet
	tls     atomic.Pointer[tls.Config] // of connections to the URL; nil: as the system has it
	fetched atomic.Uint64
	failed  atomic.Uint64
	last    atomic.Int64 // when a set was fetched, in milliseconds since 1970; 0: never

	mu       sync.Mutex // guards what follows; not for requests whose key is there
	state    fetchState
	allowed  time.Time     // when the next fetch may be asked for
	ended    chan struct{} // closed at the end of the fetch that is due or runs
	awaiting int
}

// fetchState is where the fetching of keys stands.
type fetchState uint8

const (
	fetchDue  fetchState = iota // Run has not begun, was asked for a fetch, or does one
	fetchIdle                   // Run waits
	fetchOver                   // Run has ended
)

func (s fetchState) String() string { return [...]string{"due", "idle", "over"}[s] }

// SecretKeys are the keys of one shared secret, of at least 32 bytes.
func SecretKeys(secret string) (*Keys, error) {
	set, err := secretSet([]byte(secret))
	if err != nil {
		return nil, err
	}
	k := new(Keys)
	k.set.Store(set)
	return k, nil
}

// FileKeys reads a JSON Web Key Set.
func FileKeys(path string) (*Keys, error) {
	k := &Keys{file: path}
	_, err := k.Refresh()
	return k, err
}

// FetchedKeys are those of a JSON Web Key Set at a URL. There are none until Run has fetched it.
func FetchedKeys(url string) *Keys {
	return &Keys{url: url, pause: keysPause, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		http: &http.Client{
			Timeout: fetchTimeout,
			CheckRedirect: func(r *http.Request, via []*http.Request) error {
				if len(via) > 3 || r.URL.Scheme != via[0].URL.Scheme {
					return errors.New("redirected too often, or to another scheme")
				}
				return nil
			},
		}}
}

// Secure says how connections to the URL are secured from now on: another config than before has the set fetched anew. c is
// not changed.
func (k *Keys) Secure(c *tls.Config) {
	if k.tls.Swap(c) == c {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.request()
}

// request asks Run for a fetch, unless there is one already. mu is held.
func (k *Keys) request() {
	if k.state == fetchIdle {
		k.state = fetchDue
		k.wake <- struct{}{} // there is room: begin took what was there
	}
}

// Fetched is how many fetches have brought a set that can be used, changed or not.
func (k *Keys) Fetched() uint64 { return k.fetched.Load() }

// Failed is how many have not.
func (k *Keys) Failed() uint64 { return k.failed.Load() }

// LastFetched is when the last one did; the zero Time when none has.
func (k *Keys) LastFetched() time.Time {
	if at := k.last.Load(); at != 0 {
		return time.UnixMilli(at)
	}
	return time.Time{}
}

// Files are the paths of what Refresh reads.
func (k *Keys) Files() []string {
	if k.file == "" {
		return nil
	}
	return []string{k.file}
}

// Refresh reads the file anew. What is wrong with it leaves the keys as they were. changed says that they are others. It is
// called by one goroutine at a time, never a loop's.
func (k *Keys) Refresh() (changed bool, err error) {
	if k.file == "" {
		return false, nil
	}
	text, err := readFile(k.file, maxKeySet)
	if err != nil {
		return false, err
	}
	if changed, err = k.use(text); err != nil {
		return false, fmt.Errorf("%s: %w", k.file, err)
	}
	return changed, nil
}

// use takes over a set. The same one again changes nothing: tokens that were verified with it stay so.
func (k *Keys) use(text []byte) (changed bool, err error) {
	next, err := parseKeySet(text)
	if err != nil {
		return false, err
	}
	if before := k.set.Load(); before != nil && before.sum == next.sum {
		return false, nil
	}
	k.set.Store(next)
	return true, nil
}

// Run fetches the set at once, then every five minutes and when a token names a key that is not in it, until ctx is done.
// It is called once. tell, which is called after each fetch, is given the URL without a password.
func (k *Keys) Run(ctx context.Context, tell func(url string, changed bool, err error)) {
	name := k.url
	if u, err := url.Parse(k.url); err == nil {
		name = u.Redacted()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		changed, err := k.fetch(ctx)
		if ctx.Err() == nil {
			k.count(err)
			tell(name, changed, err)
		}
		next := keysInterval*9/10 + rand.N(keysInterval/5)
		if k.set.Load() == nil {
			next = k.pause
		}
		timer.Reset(next)
		k.finish(fetchIdle)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-k.wake:
		}
		k.begin()
	}
	k.finish(fetchOver)
}

// count notes how a fetch ended.
func (k *Keys) count(err error) {
	if err != nil {
		k.failed.Add(1)
		return
	}
	k.last.Store(time.Now().UnixMilli())
	k.fetched.Add(1)
}

// begin is the state of a fetch, for whatever reason it is made.
func (k *Keys) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state = fetchDue
	select {
	case <-k.wake: // who asked for it will see this one
	default:
	}
}

// finish tells those who wait that a fetch is over.
func (k *Keys) finish(next fetchState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.ended)
	k.ended = make(chan struct{})
	k.state, k.allowed = next, time.Now().Add(k.pause)
}

// fetch gets the set. The answer is bounded in time and size.
func (k *Keys) fetch(ctx context.Context) (changed bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	client := *k.http
	client.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: k.tls.Load().Clone()} // the transport changes it
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the answer has status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	switch {
	case err != nil:
		return false, err
	case len(text) > maxKeySet:
		return false, fmt.Errorf("the answer is larger than %d bytes", maxKeySet)
	}
	return k.use(text)
}

// await waits for the end of a fetch, which it asks for when the last one is long enough ago; it is over at once when none
// will come, or too many wait. Not on a loop.
func (k *Keys) await(ctx context.Context) {
	if k.url == "" {
		return
	}
	k.mu.Lock()
	soon := k.state == fetchIdle && time.Now().Before(k.allowed)
	if soon || k.state == fetchOver || k.awaiting == maxAwaiting {
		k.mu.Unlock()
		return
	}
	k.request()
	ended := k.ended
	k.awaiting++
	k.mu.Unlock()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	k.mu.Lock()
	k.awaiting--
	k.mu.Unlock()
}
