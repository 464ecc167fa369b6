package telemetry

import (
	"bufio"
	"compress/gzip"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/metrics.md from the catalogue")

// scrapeOf gets the metrics over HTTP and returns the lines of our own series.
func scrapeOf(t *testing.T, r *Registry) string {
	t.Helper()
	server := httptest.NewServer(r.Handler())
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return grep(t, resp.Body, "traffic_")
}

// grep returns the lines that hold part.
func grep(t *testing.T, text io.Reader, part string) string {
	t.Helper()
	var b strings.Builder
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		if strings.Contains(lines.Text(), part) {
			b.WriteString(lines.Text() + "\n")
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return b.String()
}

// samplesOnly drops the comments.
func samplesOnly(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// testSource is two servers, one of which is named twice, and breakers of one middleware.
type testSource struct{}

func (testSource) Servers(yield func(*ServerSample)) {
	yield(&ServerSample{Service: "app", Server: "http://a", Up: true, Ejected: true, Weight: 2.5, InFlight: 3, Open: 7, Idle: 4, Succeeded: 40, Failed: 2})
	yield(&ServerSample{Service: "app", Server: "http://\xff", Draining: true})
	yield(&ServerSample{Service: "app", Server: "http://a", InFlight: 99})
}

func (testSource) Breakers(yield func(BreakerSample)) {
	yield(BreakerSample{"app", "", "guard", BreakerOpen})
	yield(BreakerSample{"app", "http://a", "guard", BreakerHalfOpen})
	yield(BreakerSample{"app", "http://a", "guard", BreakerClosed})
}

func (testSource) Mirrors(yield func(MirrorSample)) {
	yield(MirrorSample{"shadow", 12, 3})
	yield(MirrorSample{"shadow", 12, 3})
}

func (testSource) Keys(yield func(KeysSample)) {
	yield(KeysSample{"token", 7, 2, time.UnixMilli(1893456000500)})
	yield(KeysSample{"token", 8, 2, time.Time{}})
	yield(KeysSample{"never", 0, 1, time.Time{}})
}

func (testSource) Certificates(yield func(CertificateSample)) {
	c := CertificateSample{"https", "/etc/a.crt", "a.example", time.Unix(1893456000, 0)}
	yield(c)
	yield(c)
}

func (testSource) Process() ProcessSample {
	return ProcessSample{OldSnapshots: 2, Overload: 1, MemoryUsed: 1 << 20, MemoryLimit: 2 << 20, InvariantsBroken: 5}
}

// The document shows two loops that did different things, and their sum.
func TestScrapeText(t *testing.T) {
	r := New(2, "1.2.3", Names{Errors: []string{"", "syntax", "refused"},
		Handshakes: []string{"closed", "timeout"}, HTTP2: []string{"flow_control"}})
	r.SetSource(testSource{})
	route := r.Route("web", "app")
	route.Shard(0).Done(200, 60*time.Microsecond, 10*time.Microsecond, 100, 2000)
	route.Shard(1).Done(204, 2*time.Minute, 15*time.Microsecond, 1, 2)
	route.Shard(1).Done(503, time.Second, 2*time.Second, 0, 30)
	route.Shard(1).Done(0, 0, 0, 0, 0)
	for _, odd := range []int{-1, 99, 600, 1 << 30} {
		route.Shard(0).Done(odd, 0, 0, 0, 0)
	}

	entry := r.EntryPoint("http")
	entry.Shard(0).Opened()
	entry.Shard(0).Opened()
	entry.Shard(0).Opened()
	entry.Shard(1).Closed()
	entry.Shard(1).ClientError(1)
	entry.Shard(0).ClientError(maxKinds) // not counted
	entry.Shard(0).TunnelOpened()
	entry.Shard(1).TunnelOpened()
	entry.Shard(1).TunnelClosed()
	entry.Shard(1).Refused()
	entry.Shard(0).Handshake(true)
	entry.Shard(0).Handshake(false)
	entry.Shard(1).Handshake(false)
	entry.Shard(1).HandshakeFailed(1)
	entry.Shard(0).HTTP2Opened()
	entry.Shard(1).HTTP2Opened()
	entry.Shard(1).HTTP2Closed()
	entry.Shard(0).HTTP2Error(0)

	service := r.Service("app \"1\"\n")
	service.Shard(0).Opened()
	service.Shard(1).Opened()
	service.Shard(1).Closed()
	service.Shard(1).Reused()
	service.Shard(0).Reused()
	service.Shard(0).Reused()
	service.Shard(1).Replayed()
	service.Shard(0).Retried()
	service.Shard(0).Error(2)
	service.Shard(1).RetryRefused()

	r.Loop(0).Turn(StallBound)
	r.Loop(0).Turn(20 * time.Microsecond)
	r.Loop(1).Turn(StallBound + 1)
	r.Loop(1).AcceptPaused()
	r.Loop(1).Shed()
	r.Loop(0).ShedUpstream()
	r.Loop(0).Panicked()

	r.ConfigLoaded(true, time.UnixMilli(1_700_000_000_250))
	r.ConfigLoaded(false, time.UnixMilli(1_800_000_000_000))
	r.UpgradeEnded(false)
	r.CertificatesReloaded(true)
	r.CertificatesReloaded(false)
	r.CertificatesReloaded(false)
	r.StapleFetched(true)

	r.ServerChanged("app", "http://a", ServerEjected)
	r.ServerChanged("app", "http://a", ServerReturned)
	r.ServerChanged("app", "http://a", ServerEjected)
	r.BreakerChanged("app", "", "guard", BreakerOpen)
	r.BreakerChanged("app", "http://a", "guard", BreakerHalfOpen)

	if open, tunnels := entry.Open(); open != 2 || tunnels != 1 {
		t.Errorf("%d connections are open, %d of them tunnels", open, tunnels)
	}
	if n := r.Requests(); n["2xx"] != 2 || n["5xx"] != 1 || n["0"] != 5 || len(n) != len(codeClasses) {
		t.Errorf("requests %v", n)
	}
	want, err := os.ReadFile("testdata/scrape.txt")
	if err != nil {
		t.Fatal(err)
	}
	wantText := strings.ReplaceAll(string(want), "GOVERSION", runtime.Version())
	if got := samplesOnly(scrapeOf(t, r)); got != wantText {
		t.Errorf("got\n%s\nwant\n%s", got, wantText)
	}
}

func TestScrapeSaysWhatSeriesAre(t *testing.T) {
	r := New(1, "", Names{Errors: []string{"syntax"}, Handshakes: []string{"closed"}, HTTP2: []string{"x"}})
	r.Route("r", "s")
	r.EntryPoint("e")
	r.Service("s")
	r.SetSource(testSource{})
	r.ServerChanged("app", "http://a", ServerDown)
	r.BreakerChanged("app", "http://a", "guard", BreakerOpen)
	r.ConfigLoaded(true, time.UnixMilli(1))
	text := scrapeOf(t, r)
	for _, d := range catalogue {
		for _, line := range []string{"# HELP " + d.name + " " + d.help + "\n", "# TYPE " + d.name + " " + d.kind.String() + "\n"} {
			if !strings.Contains(text, line) {
				t.Errorf("no line %q", line)
			}
		}
	}
}

func TestSeriesSurviveReload(t *testing.T) {
	r := New(1, "", Names{})
	route, entry, service := r.Route("a", "b"), r.EntryPoint("a"), r.Service("a")
	if r.Route("a", "b") != route || r.EntryPoint("a") != entry || r.Service("a") != service {
		t.Error("the same names got different series")
	}
	if r.Route("a", "b") == r.Route("a", "c") || r.Route("a", "b") == r.Route("b", "b") {
		t.Error("different pairs got the same series")
	}
}

// A name that is not UTF-8 must not spoil the scrape of everything else.
func TestScrapeWithBadNames(t *testing.T) {
	r := New(1, "\xff", Names{})
	r.Route("\xff", "\xc3").Shard(0).Done(200, 0, 0, 0, 0)
	r.EntryPoint("\xff")
	r.Service("\xff")
	line := `traffic_requests_total{code="2xx",router="` + "\ufffd" + `",service="` + "\ufffd" + `"} 1`
	if text := scrapeOf(t, r); !strings.Contains(text, line) {
		t.Errorf("no line %s in\n%s", line, text)
	}
}

// Servers behind names come and go: the counts of those that are gone go too.
func TestChangesOfGoneServersAreForgotten(t *testing.T) {
	r := New(1, "", Names{})
	r.ServerChanged("app", "http://a", ServerUp)
	r.ServerChanged("app", "http://gone", ServerUp)
	r.BreakerChanged("app", "http://gone", "guard", BreakerOpen)
	r.SetSource(testSource{})
	text := scrapeOf(t, r)
	if !strings.Contains(text, `traffic_server_changes_total{server="http://a",service="app",to="up"} 1`) ||
		strings.Contains(text, "gone") || len(r.changes) != 1 {
		t.Errorf("%d counters are kept in\n%s", len(r.changes), text)
	}
}

func TestScrapeHasRuntimeAndProcess(t *testing.T) {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept-Encoding", "gzip")
	New(1, "", Names{}).Handler().ServeHTTP(recorder, request)
	if got := recorder.Header().Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("content coding %q, want gzip", got)
	}
	plain, err := gzip.NewReader(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go_gc_duration_seconds", "go_goroutines", "go_memstats_heap_alloc_bytes",
		"go_sched_latencies_seconds_count", "go_sched_pauses_total_gc_seconds_count",
		"process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if !strings.Contains(string(text), "\n"+name) {
			t.Errorf("no series %s", name)
		}
	}
}

func TestTooManyKindsPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("New took more kinds than a shard can count")
		}
	}()
	New(1, "", Names{Errors: make([]string, maxKinds+1)})
}

// Loops count, a reload asks for series and scrapes run, all at once; nothing is lost.
func TestCountWhileScraping(t *testing.T) {
	const loops, each = 4, 2000
	r := New(loops, "", Names{Errors: []string{"syntax"}})
	var counting, others sync.WaitGroup
	stop := make(chan struct{})
	for i := range loops {
		route, service, loop := r.Route("a", "b").Shard(i), r.Service("b").Shard(i), r.Loop(i)
		counting.Go(func() {
			for n := range each {
				service.Opened()
				route.Done(200, time.Duration(n)*time.Microsecond, 0, 1, 2)
				loop.Turn(time.Duration(n))
				service.Closed()
			}
		})
	}
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.Route("a", "b")
				r.ServerChanged("app", "http://a", ServerUp)
				r.SetSource(testSource{})
				r.ConfigLoaded(true, time.UnixMilli(1))
				r.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			}
		}
	})
	counting.Wait()
	close(stop)
	others.Wait()
	text := scrapeOf(t, r)
	for _, line := range []string{
		`traffic_requests_total{code="2xx",router="a",service="b"} 8000`,
		`traffic_response_bytes_total{router="a",service="b"} 16000`,
		`traffic_request_duration_seconds_count{router="a",service="b"} 8000`,
		`traffic_upstream_open_connections{service="b"} 0`,
		`traffic_loop_turn_duration_seconds_count{loop="3"} 2000`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	r := New(1, "", Names{Errors: []string{"syntax"}, Handshakes: []string{"closed"}, HTTP2: []string{"x"}})
	route, entry, service, loop := r.Route("a", "b").Shard(0), r.EntryPoint("e").Shard(0), r.Service("b").Shard(0), r.Loop(0)
	if n := testing.AllocsPerRun(1000, func() {
		entry.Opened()
		route.Done(200, time.Millisecond, time.Microsecond, 10, 20)
		service.Error(0)
		loop.Turn(time.Microsecond)
		entry.Closed()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDone(b *testing.B) {
	s := New(1, "", Names{}).Route("a", "b").Shard(0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Done(200, time.Duration(i&0xfffff)*100, time.Duration(i&0xffff), 100, 2000)
	}
}

func BenchmarkScrapeThousandRoutes(b *testing.B) {
	r := New(2, "", Names{})
	for i := range 1000 {
		r.Route(strings.Repeat("r", 1+i%10)+time.Duration(i).String(), "s")
	}
	for b.Loop() {
		r.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}
