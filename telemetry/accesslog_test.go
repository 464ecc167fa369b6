package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a file whose writes wait for open, and tell when they begin and when the file is closed.
type gate struct {
	begun, closed chan struct{}
	open          chan struct{}
	text          bytes.Buffer // read after the log was closed
}

func newGate() *gate {
	return &gate{begun: make(chan struct{}, 100), closed: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Write(b []byte) (int, error) {
	g.begun <- struct{}{}
	<-g.open
	return g.text.Write(b)
}

func (g *gate) Close() error { close(g.closed); return nil }

// opener hands out files one after the other; then it fails.
func opener(files ...io.WriteCloser) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		if len(files) == 0 {
			return nil, errors.New("no such directory")
		}
		f := files[0]
		files = files[1:]
		return f, nil
	}
}

func startLog(t *testing.T, open func() (io.WriteCloser, error), loops int, o AccessLogOptions) *AccessLog {
	t.Helper()
	if o.Counts == nil {
		o.Counts = new(LogCounts)
	}
	l, err := newAccessLog(open, loops, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t *testing.T, l *AccessLog) {
	t.Helper()
	for _, s := range l.shards {
		s.Drain()
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func recordOf(path string) *Record {
	r := fullRecord()
	r.Path = []byte(path)
	return r
}

// paths returns the paths in the lines of a log.
func paths(t *testing.T, text []byte) (p []string) {
	t.Helper()
	for line := range bytes.Lines(text) {
		p = append(p, parse(t, line)["path"].(string))
	}
	return p
}

func readPaths(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(paths(t, b), " ")
}

// A writer that stands still costs lines, not time; what was kept is written when it goes on, in order.
func TestBlockedWriterDropsLines(t *testing.T) {
	file := newGate()
	l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	appended, now := 0, time.Duration(0)
	for l.counts.dropped.Load() < 1000 {
		s.Append(recordOf(fmt.Sprint(appended)))
		s.Flush(now)
		appended++
		now += time.Millisecond
	}
	<-file.begun
	dropped := l.counts.dropped.Load()
	if held := len(s.free); held != 0 {
		t.Errorf("lines were dropped while %d buffers were free", held)
	}
	close(file.open)
	closeLog(t, l)
	if got := l.counts.dropped.Load(); got != dropped {
		t.Errorf("dropped %d more", got-dropped)
	}
	got := paths(t, file.text.Bytes())
	if uint64(len(got)) != l.counts.written.Load() || uint64(len(got))+dropped != uint64(appended) {
		t.Errorf("%d appended, %d dropped, %d counted as written, %d in the file", appended, dropped, l.counts.written.Load(), len(got))
	}
	for i, p := range got {
		if p != fmt.Sprint(i) {
			t.Fatalf("line %d is of request %s: the first to come are the ones to keep", i, p)
		}
	}
	if held := file.text.Len(); held < spareBuffers*bufferBytes*9/10 || held > (1+spareBuffers)*bufferBytes {
		t.Errorf("%d bytes were kept, of %d buffers", held, 1+spareBuffers)
	}
}

// After a stall the loop goes on logging as before.
func TestWriterRecovers(t *testing.T) {
	file := newGate()
	l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	for s.dropped == 0 {
		s.Append(recordOf("/old"))
	}
	close(file.open)
	s.buf, s.lines = s.buf[:0], 0 // let go of what is in the loop's hands, so that the next line needs no buffer
	s.state = bufferEmpty
	s.Append(recordOf("/new"))
	closeLog(t, l)
	got := paths(t, file.text.Bytes())
	if got[len(got)-1] != "/new" || l.counts.dropped.Load() != 1 {
		t.Errorf("last line %s, %d dropped", got[len(got)-1], l.counts.dropped.Load())
	}
}

func TestFlushByAge(t *testing.T) {
	file := newGate()
	close(file.open)
	l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	start := 7 * time.Second
	if s.Flush(start) {
		t.Error("an empty buffer waits for a flush")
	}
	s.Append(recordOf("/1"))
	for _, d := range []time.Duration{0, FlushEvery / 2, FlushEvery - 1} {
		if !s.Flush(start + d) {
			t.Errorf("handed over after %v", d)
		}
		s.Append(recordOf("/2"))
	}
	if len(file.begun) != 0 {
		t.Error("written too early")
	}
	if s.Flush(start + FlushEvery) {
		t.Error("lines still wait when they are old")
	}
	<-file.begun // without Drain or Close
	s.Append(recordOf("/3"))
	if !s.Flush(start + FlushEvery) {
		t.Error("the age of one buffer was taken for the next one's")
	}
	closeLog(t, l)
	if got := strings.Join(paths(t, file.text.Bytes()), " "); got != "/1 /2 /2 /2 /3" {
		t.Errorf("got %s", got)
	}
}

func TestFlushBySize(t *testing.T) {
	file := newGate()
	close(file.open)
	l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	for len(s.buf) < handOverBytes {
		if len(s.buf) > 0 && !s.Flush(0) {
			t.Fatalf("handed over at %d bytes", len(s.buf))
		}
		s.Append(recordOf("/"))
	}
	if s.Flush(0) {
		t.Error("lines still wait when there are enough")
	}
	<-file.begun
	closeLog(t, l)
}

func TestReopenAfterRename(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	if err := os.WriteFile(path, format(t, recordOf("/before")), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{}, 10)
	open := func() (io.WriteCloser, error) {
		f, err := openLogFile(path)
		return tell{f, begun}, err
	}
	l := startLog(t, open, 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	s.Append(recordOf("/1"))
	s.Drain()
	<-begun
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	s.Append(recordOf("/2"))
	s.Drain()
	<-begun
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	s.Append(recordOf("/3"))
	closeLog(t, l)
	if got := readPaths(t, old); got != "/before /1 /2" {
		t.Errorf("the renamed file has %s", got)
	}
	if got := readPaths(t, path); got != "/3" {
		t.Errorf("the new file has %s", got)
	}
}

// tell is a file that tells when it was written to.
type tell struct {
	io.WriteCloser
	wrote chan struct{}
}

func (f tell) Write(b []byte) (int, error) {
	n, err := f.WriteCloser.Write(b)
	f.wrote <- struct{}{}
	return n, err
}

// Without a line to write the old file is let go all the same, so that its space can be freed.
func TestReopenOfIdleLog(t *testing.T) {
	first, second := newGate(), newGate()
	l := startLog(t, opener(first, second), 1, AccessLogOptions{Sample: 1})
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	<-first.closed
	closeLog(t, l)
	<-second.closed
}

// A writer that is stuck does not hold up Reopen, and a file it never came to use is closed.
func TestReopenWhileBlocked(t *testing.T) {
	first, second, third := newGate(), newGate(), newGate()
	close(third.open)
	l := startLog(t, opener(first, second, third), 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	s.Append(recordOf("/1"))
	s.Drain()
	<-first.begun
	for range 2 {
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	<-second.closed
	s.Append(recordOf("/2"))
	close(first.open)
	closeLog(t, l)
	<-first.closed
	<-third.closed
	if got := strings.Join(append(paths(t, first.text.Bytes()), paths(t, third.text.Bytes())...), " "); got != "/1 /2" {
		t.Errorf("got %s", got)
	}
}

func TestReopenFails(t *testing.T) {
	file := newGate()
	close(file.open)
	l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
	if err := l.Reopen(); err == nil {
		t.Error("no error")
	}
	l.Shard(0).Append(recordOf("/still"))
	closeLog(t, l)
	if got := strings.Join(paths(t, file.text.Bytes()), " "); got != "/still" {
		t.Errorf("got %s", got)
	}
}

func TestCloseGivesUp(t *testing.T) {
	file := newGate()
	l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
	l.Shard(0).Append(recordOf("/"))
	l.Shard(0).Drain()
	<-file.begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(file.open)
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
	<-file.closed
}

// disk is full for its first write, after part of it.
type disk struct {
	room int
	text bytes.Buffer
}

func (d *disk) Write(b []byte) (int, error) {
	if room := d.room; room > 0 {
		d.room = 0
		d.text.Write(b[:room])
		return room, errors.New("no space left on device")
	}
	return d.text.Write(b)
}

func (d *disk) Close() error { return nil }

func TestFailedWrite(t *testing.T) {
	line := format(t, recordOf("/1"))
	for _, tt := range []struct {
		room           int
		dropped, lines uint64
	}{
		{10, 3, 1},
		{len(line), 2, 2},
		{len(line) + 10, 2, 2},
	} {
		file := &disk{room: tt.room}
		l := startLog(t, opener(file), 1, AccessLogOptions{Sample: 1})
		s := l.Shard(0)
		for range 3 {
			s.Append(recordOf("/1"))
		}
		s.Drain()
		s.Append(recordOf("/2"))
		closeLog(t, l)
		c := l.counts
		if c.writeErrors.Load() != 1 || c.dropped.Load() != tt.dropped || c.written.Load() != tt.lines {
			t.Errorf("room %d: %d errors, %d dropped, %d written", tt.room, c.writeErrors.Load(), c.dropped.Load(), c.written.Load())
		}
		good := uint64(0)
		for line := range bytes.Lines(file.text.Bytes()) {
			if json.Valid(line) {
				good++
			}
		}
		if good != tt.lines {
			t.Errorf("room %d: %d good lines, want %d, in %q", tt.room, good, tt.lines, file.text.Bytes())
		}
	}
}

func TestOpenAccessLogErrors(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		path   string
		o      AccessLogOptions
		reason string
	}{
		{filepath.Join(dir, "none", "access.log"), AccessLogOptions{Sample: 1}, "no such file"},
		{filepath.Join(dir, "a"), AccessLogOptions{Sample: 1.1}, "sample is 1.1"},
		{filepath.Join(dir, "b"), AccessLogOptions{Sample: -1}, "sample is -1"},
		{filepath.Join(dir, "c"), AccessLogOptions{Sample: 1, Fields: map[string]bool{"zone": true}}, `no field "zone"`},
	} {
		if _, err := OpenAccessLog(tt.path, 1, tt.o); err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%+v: error %v, want one with %q", tt.o, err, tt.reason)
		}
	}
}

// Loops log, the file is reopened and metrics are read, all at once; every line is in the file or counted as dropped.
func TestLoopsLogAtOnce(t *testing.T) {
	const loops, each = 4, 1000
	path := filepath.Join(t.TempDir(), "access.log")
	reg := New(loops, "", Names{})
	l, err := OpenAccessLog(path, loops, AccessLogOptions{Sample: 1, Counts: reg.AccessLog()})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for i := range loops {
		s := l.Shard(i)
		running.Go(func() {
			for n := range each {
				s.Append(recordOf(fmt.Sprintf("/%d/%d", i, n)))
				s.Flush(time.Duration(n) * time.Millisecond)
			}
			s.Drain()
		})
	}
	running.Go(func() {
		for range 20 {
			if err := l.Reopen(); err != nil {
				t.Error(err)
			}
			scrapeOf(t, reg)
		}
	})
	running.Wait()
	closeLog(t, l)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int, loops)
	lines := paths(t, b)
	for _, p := range lines {
		var i, n int
		if _, err := fmt.Sscanf(p, "/%d/%d", &i, &n); err != nil {
			t.Fatal(err)
		}
		if n < next[i] {
			t.Fatalf("loop %d: line %d after %d", i, n, next[i]-1)
		}
		next[i] = n + 1
	}
	dropped := reg.AccessLog().dropped.Load()
	if uint64(len(lines))+dropped != loops*each {
		t.Errorf("%d lines and %d dropped, want %d together", len(lines), dropped, loops*each)
	}
	text := scrapeOf(t, reg)
	for _, want := range []string{
		fmt.Sprintf("traffic_access_log_lines_total %d\n", len(lines)),
		fmt.Sprintf("traffic_access_log_dropped_lines_total %d\n", dropped),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q", want)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	l := startLog(t, opener(nothing{}), 1, AccessLogOptions{Sample: 1})
	s := l.Shard(0)
	r := fullRecord()
	start := r.Time
	n := 0
	if allocs := testing.AllocsPerRun(5000, func() {
		n++
		r.Time = start.Add(time.Duration(n) * 100 * time.Millisecond)
		s.Append(r)
		s.Flush(time.Duration(n) * time.Millisecond)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	closeLog(t, l)
	if l.counts.written.Load() == 0 {
		t.Error("nothing was written")
	}
}

// nothing is a file that forgets.
type nothing struct{}

func (nothing) Write(b []byte) (int, error) { return len(b), nil }
func (nothing) Close() error                { return nil }

// The buffer is emptied in place, so that the figure is of lines that are kept, however fast the writer is.
func BenchmarkAppend(b *testing.B) {
	l, err := newAccessLog(opener(nothing{}), 1, AccessLogOptions{Sample: 1, Counts: new(LogCounts)})
	if err != nil {
		b.Fatal(err)
	}
	s := l.Shard(0)
	r := fullRecord()
	start := r.Time
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Time = start.Add(time.Duration(i) * 10 * time.Microsecond)
		s.Append(r)
		if len(s.buf) >= handOverBytes {
			s.buf = s.buf[:0]
		}
	}
	if s.dropped > 0 {
		b.Fatal("lines were dropped")
	}
	if err := l.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}
