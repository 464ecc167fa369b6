package mw

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"traffic_management/codec"
)

// keyServer is where keys are fetched from: it answers what a test says.
type keyServer struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int32
}

func newKeyServer(t *testing.T, answer http.HandlerFunc) *keyServer {
	s := new(keyServer)
	s.answer.Store(&answer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) gives(text []byte) {
	f := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(text) })
	s.answer.Store(&f)
}

// fetchedKeys runs keys from a server until the test ends, and tells of each fetch.
func fetchedKeys(t *testing.T, s *keyServer, change func(*Keys)) (*Keys, <-chan error) {
	t.Helper()
	k := FetchedKeys(s.URL)
	if change != nil {
		change(k)
	}
	told, over := make(chan error, 100), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(over)
		k.Run(ctx, func(_ string, _ bool, err error) { told <- err })
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return k, told
}

// outcomeOf waits for a fetch.
func outcomeOf(t *testing.T, told <-chan error) error {
	t.Helper()
	select {
	case err := <-told:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was fetched")
		return nil
	}
}

// A key that is new is fetched when a token names it; however many tokens name one that is nowhere, there is a pause between
// two fetches, and they are refused at once.
func TestKeysRotate(t *testing.T) {
	i := issuing()
	s := newKeyServer(t, nil)
	s.gives(i.set(t))
	k, told := fetchedKeys(t, s, func(k *Keys) { k.pause = 0 })
	b := newBed(t, newJWT(t, JWTOptions{Keys: k}))
	ask := func(token string) int { return b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+token).status }
	first, second := sign(t, jose.RS256, i.rsa, "rsa", `{}`), sign(t, jose.RS256, i.other, "new", `{}`)
	if got := ask(first); got != 200 {
		t.Fatalf("the first request waits for the keys: %d", got)
	}
	if err := outcomeOf(t, told); err != nil {
		t.Fatal(err)
	}
	s.gives(i.set(t, jose.JSONWebKey{KeyID: "new", Key: i.other.Public()}))
	k.mu.Lock()
	k.pause = time.Hour // from the end of the next fetch on
	k.mu.Unlock()
	if got := ask(second); got != 200 {
		t.Errorf("a new key: %d", got)
	}
	for n := range 20 {
		if got := ask(sign(t, jose.RS256, i.other, "unknown"+strings.Repeat("x", n), `{}`)); got != 401 {
			t.Errorf("an unknown one: %d", got)
		}
	}
	if got := s.asked.Load(); got != 2 {
		t.Errorf("the keys were fetched %d times", got)
	}
	if got := ask(first); got != 200 {
		t.Errorf("the old key: %d", got)
	}
}

// Whatever comes instead of keys, those at hand stay.
func TestKeysStay(t *testing.T) {
	i := issuing()
	s := newKeyServer(t, nil)
	s.gives(i.set(t))
	k, told := fetchedKeys(t, s, func(k *Keys) { k.pause, k.http.Timeout = 0, time.Second })
	if err := outcomeOf(t, told); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, "not a set of keys"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			w.Write(i.set(t, jose.JSONWebKey{KeyID: "new", Key: i.other.Public()}))
		}, "the answer has status 500"},
		{"no keys", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"keys":[]}`)) }, "no key that can be used"},
		{"garbage without end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("["), 1<<16)); err != nil {
					return
				}
			}
		}, "the answer is larger than 262144 bytes"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "Client.Timeout"},
		{"silence in the middle", func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"keys":[`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "Client.Timeout"},
		{"a connection that closes", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		{"round and round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, "redirected too often"},
		{"another scheme", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "ftp://"+r.Host, http.StatusFound)
		}, "to another scheme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := k.set.Load()
			s.answer.Store(&c.answer)
			k.await(t.Context())
			if err := outcomeOf(t, told); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if k.set.Load() != before {
				t.Error("the keys are others")
			}
			b := newBed(t, newJWT(t, JWTOptions{Keys: k}))
			token := sign(t, jose.RS256, i.rsa, "rsa", `{}`)
			if a := b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+token); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// While a fetch hangs, tokens whose key is there pass, few of the others wait, and without any keys the answer is 503.
func TestKeysHang(t *testing.T) {
	i := issuing()
	s := newKeyServer(t, nil)
	s.gives(i.set(t))
	k, told := fetchedKeys(t, s, func(k *Keys) { k.pause = 0 })
	if err := outcomeOf(t, told); err != nil {
		t.Fatal(err)
	}
	hang, reached := make(chan struct{}), make(chan struct{}, 1)
	f := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		reached <- struct{}{}
		<-hang
	})
	s.answer.Store(&f)
	j := newJWT(t, JWTOptions{Keys: k})
	b := newBed(t, j)
	unknown, known := sign(t, jose.RS256, i.other, "new", `{}`), sign(t, jose.RS256, i.rsa, "rsa", `{}`)
	var calls []*call
	for range maxAwaiting + 10 {
		calls = append(calls, b.begin(codec.HTTP11, "GET", "/", 0, "Authorization: Bearer "+unknown))
	}
	<-reached
	over := 0
	b.await("those who are too many are refused", func() bool {
		over = 0
		for _, c := range calls {
			if c.over {
				over++
			}
		}
		return over >= 10
	})
	if a := b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+known); a.status != 200 {
		t.Errorf("a token whose key is there: %d", a.status)
	}
	if over != 10 || j.budget.taken.Load() != 0 {
		t.Errorf("%d were refused, %d keep a place", over, j.budget.taken.Load())
	}
	close(hang)
	for _, c := range calls {
		b.await("the others are refused, too", func() bool { return c.over })
		if c.status != 401 {
			t.Errorf("%d", c.status)
		}
	}
}

func TestKeysThatNeverCame(t *testing.T) {
	s := newKeyServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	k, told := fetchedKeys(t, s, nil)
	b := newBed(t, newJWT(t, JWTOptions{Keys: k}))
	if err := outcomeOf(t, told); err == nil {
		t.Fatal("keys were fetched")
	}
	a := b.ask(codec.HTTP11, "GET", "/", "Authorization: Bearer "+sign(t, jose.RS256, issuing().rsa, "rsa", `{}`))
	if a.status != 503 || !strings.Contains(a.body, "the keys of tokens could not be fetched yet") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := s.asked.Load(); got != 1 {
		t.Errorf("fetched %d times", got)
	}
}

// When Run has ended, nobody waits for it.
func TestKeysOver(t *testing.T) {
	s := newKeyServer(t, nil)
	s.gives(issuing().set(t))
	k := FetchedKeys(s.URL)
	ctx, cancel := context.WithCancelCause(t.Context())
	k.Run(ctx, func(url string, changed bool, err error) {
		if url != s.URL || !changed || err != nil {
			t.Errorf("%s, %v, %v", url, changed, err)
		}
		cancel(errors.New("enough"))
	})
	k.await(t.Context())
	if k.set.Load() == nil {
		t.Error("the keys are gone")
	}
}

// A password in the URL is not told.
func TestKeysPassword(t *testing.T) {
	s := newKeyServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	k := FetchedKeys(strings.Replace(s.URL, "http://", "http://ann:hunter2@", 1))
	ctx, cancel := context.WithCancel(t.Context())
	k.Run(ctx, func(url string, _ bool, err error) {
		if strings.Contains(url, "hunter2") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("told %s, %v", url, err)
		}
		cancel()
	})
}
