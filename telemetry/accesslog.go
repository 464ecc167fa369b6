package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

const (
	bufferBytes = 64 << 10
	// handOverBytes is how full a buffer is handed to the writer: large enough that its system call is nothing per
	// line, with room left for the lines of the rest of the turn.
	handOverBytes = 32 << 10
	// spareBuffers is how many buffers a loop has beside the one it fills. The runtime may let the writer wait 10 ms
	// for a processor when all are taken by busy loops; a loop fills about 64 kB a millisecond then.
	spareBuffers = 15
)

const _ = uint(bufferBytes - maxLine) // the longest line fits an empty buffer

// FlushEvery is how old a line in a loop's buffer may become before Flush hands it to the writer.
const FlushEvery = 200 * time.Millisecond

// LogCounts is what became of lines. It outlives the log that counts in it.
type LogCounts struct {
	written     atomic.Uint64
	dropped     atomic.Uint64
	writeErrors atomic.Uint64
}

// AccessLogOptions says what an access log holds.
type AccessLogOptions struct {
	Fields map[string]bool // by name; a field that is not named is logged
	Sample float64         // the part of the requests that is logged, 0 to 1
	Seed   uint64          // of the choice which
	Counts *LogCounts      // where lines are counted: Registry.AccessLog
}

// AccessLog is a log of requests in JSON lines. Loops write to their shards; one goroutine of the log's own writes to
// the file. Loops never wait for it: when it is behind, lines are dropped and counted.
type AccessLog struct {
	// Immutable.
	open   func() (io.WriteCloser, error)
	counts *LogCounts
	shards []*LogShard
	work   chan batch    // has room for every buffer there is, so that sending never blocks
	wake   chan struct{} // tells the writer to look at reopened
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed by the writer at its end

	closing  atomic.Bool
	reopened atomic.Pointer[io.WriteCloser] // the file to go on with, not yet taken by the writer

	// Owned by the writer's goroutine.
	out  io.WriteCloser
	tail lineTail
}

// lineTail is how the file ends, as far as this log wrote it.
type lineTail uint8

const (
	wholeLine lineTail = iota // with a newline, or nothing was written
	tornLine                  // inside a line, since a write failed
)

func (t lineTail) String() string { return [...]string{"whole line", "torn line"}[t] }

func tailOf(b []byte) lineTail {
	if b[len(b)-1] == '\n' {
		return wholeLine
	}
	return tornLine
}

var newline = []byte{'\n'}

// batch is a buffer on its way to the writer.
type batch struct {
	from  *LogShard
	buf   []byte
	lines int
}

// OpenAccessLog opens the log at path, "stdout" for the standard output, for this many loops, and starts its writer.
// A file is appended to. The error says which field or value of the options is wrong, or why the file cannot be opened.
func OpenAccessLog(path string, loops int, o AccessLogOptions) (*AccessLog, error) {
	return newAccessLog(func() (io.WriteCloser, error) { return openLogFile(path) }, loops, o)
}

func openLogFile(path string) (io.WriteCloser, error) {
	if path == "stdout" {
		return keepOpen{os.Stdout}, nil
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// keepOpen is a file that is not ours to close.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

func newAccessLog(open func() (io.WriteCloser, error), loops int, o AccessLogOptions) (*AccessLog, error) {
	fields, err := compileFields(o.Fields)
	if err != nil {
		return nil, err
	}
	if !(o.Sample >= 0 && o.Sample <= 1) {
		return nil, fmt.Errorf("access log: sample is %v, it must be from 0 to 1", o.Sample)
	}
	out, err := open()
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	l := &AccessLog{
		open:   open,
		counts: o.Counts,
		work:   make(chan batch, loops*(1+spareBuffers)),
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		out:    out,
	}
	for i := range loops {
		l.shards = append(l.shards, newLogShard(l, fields, newSampler(o.Sample, o.Seed, i)))
	}
	go l.write()
	return l, nil
}

// Shard returns the part that the loop of this index, from 0, writes. Any goroutine may ask for it.
func (l *AccessLog) Shard(loop int) *LogShard { return l.shards[loop] }

// Reopen opens the path anew, after the file was renamed, say. The writer takes the new file up before its next write
// and closes the old one. Any goroutine may call it, but not after Close. On an error the old file stays in use.
func (l *AccessLog) Reopen() error {
	out, err := l.open()
	if err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	if unused := l.reopened.Swap(&out); unused != nil {
		(*unused).Close()
	}
	select {
	case l.wake <- struct{}{}:
	default: // it was told and has not looked yet
	}
	return nil
}

// Close writes what loops have handed over and closes the file; further calls do nothing. Loops call LogShard.Drain
// before, and nothing after: what they hand over later is lost. When ctx ends first its error is returned, and the
// writer is left to end by itself.
func (l *AccessLog) Close(ctx context.Context) error {
	if l.closing.CompareAndSwap(false, true) {
		close(l.stop)
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("access log: lines are left to write: %w", ctx.Err())
	}
}

// write is the writer's goroutine.
func (l *AccessLog) write() {
	defer close(l.done)
	defer func() {
		l.takeReopened()
		l.out.Close()
	}()
	for {
		select {
		case b := <-l.work:
			l.writeBatch(b)
		case <-l.wake:
			l.takeReopened()
		case <-l.stop:
			l.writeRest()
			return
		}
	}
}

func (l *AccessLog) writeRest() {
	for {
		select {
		case b := <-l.work:
			l.writeBatch(b)
		default:
			return
		}
	}
}

func (l *AccessLog) takeReopened() {
	if out := l.reopened.Swap(nil); out != nil {
		l.out.Close()
		l.out = *out
		l.tail = wholeLine
	}
}

// writeBatch writes one buffer and gives it back to its loop.
func (l *AccessLog) writeBatch(b batch) {
	l.takeReopened()
	if l.tail == tornLine {
		// Otherwise the first good line after a failed write would be unreadable too.
		if _, err := l.out.Write(newline); err == nil {
			l.tail = wholeLine
		}
	}
	n, err := l.out.Write(b.buf)
	if n > 0 {
		l.tail = tailOf(b.buf[:n])
	}
	if err == nil {
		l.counts.written.Add(uint64(b.lines))
	} else {
		whole := bytes.Count(b.buf[:n], newline)
		l.counts.writeErrors.Add(1)
		l.counts.written.Add(uint64(whole))
		l.counts.dropped.Add(uint64(b.lines - whole))
	}
	b.from.free <- b.buf[:0]
}
