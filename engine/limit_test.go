package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// limited is a configuration with these middlewares, in the order of their names given to its one router.
func limited(server, middlewares, names string) text {
	return text(fmt.Sprintf("entrypoints: {web: {address: '127.0.0.1:0'}}\nshutdown: {idle_close_seconds: 0}\nmiddlewares: {%s}\n"+
		"services: {main: {servers: [{url: 'http://%s'}]}}\nrouters: {main: {rule: 'Host(`*`)', service: main, middlewares: [%s]}}\n",
		middlewares, server, names))
}

// status is that of one request on a connection of its own.
func (p *proxy) status(t testing.TB) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	return response.StatusCode
}

// TestRateLimitOverLoops: a burst is one burst, however many loops have a part of it.
func TestRateLimitOverLoops(t *testing.T) {
	const burst, clients, requests = 40, 8, 20
	for _, key := range []string{"client_ip", "global"} {
		b := named(t, "one")
		limit := fmt.Sprintf("slow: {rate_limit: {average: 1, period_seconds: 3600, burst: %d, key: %s}}", burst, key)
		p := startText(t, string(limited(b.address, limit, "slow")), 4)
		var passed, refused atomic.Int64
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range requests {
					switch status := p.status(t); status {
					case 200:
						passed.Add(1)
					case 429:
						refused.Add(1)
					default:
						t.Errorf("status %d", status)
					}
				}
			})
		}
		all.Wait()
		if passed.Load() != burst || refused.Load() != clients*requests-burst {
			t.Errorf("%s: %d passed and %d were refused, want %d and %d", key, passed.Load(), refused.Load(), burst, clients*requests-burst)
		}
	}
}

// TestLimitsOutliveReloads: what was used up stays so unless the settings change.
func TestLimitsOutliveReloads(t *testing.T) {
	b := named(t, "one")
	const slow, strict = "slow: {rate_limit: {average: 2, period_seconds: 3600, burst: 1}}", "strict: {ip_allow_list: {source_ranges: [127.0.0.1]}}"
	p := startText(t, string(limited(b.address, slow, "slow")), 1)
	var got []string
	ask := func(what string) { got = append(got, fmt.Sprint(what, " ", p.status(t))) }
	ask("first")
	ask("second")
	p.reload(t, limited(b.address, slow+", "+strict, "strict, slow"))
	ask("as it was")
	p.reload(t, limited(b.address, slow+", other: {rate_limit: {average: 2, period_seconds: 3600, burst: 1}}", "other"))
	ask("another one")
	p.reload(t, limited(b.address, slow, "slow"))
	ask("the one before, in a file all the while")
	if p.Reload(parse(t, strings.Replace(string(limited(b.address, "slow: {rate_limit: {average: 9}}", "slow")), "Host(`*`)", "Host(", 1))) == nil {
		t.Fatal("a bad rule is taken")
	}
	ask("a file that was refused")
	p.reload(t, limited(b.address, "slow: {rate_limit: {average: 3, period_seconds: 3600, burst: 1}}", "slow"))
	ask("other settings")
	p.reload(t, limited(b.address, "", ""))
	p.reload(t, limited(b.address, "slow: {rate_limit: {average: 3, period_seconds: 3600, burst: 1}}", "slow"))
	ask("gone for a while")
	want := []string{"first 200", "second 429", "as it was 429", "another one 200", "the one before, in a file all the while 429",
		"a file that was refused 429", "other settings 200", "gone for a while 200"}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}
