package telemetry

import "time"

// LogShard is one loop's part of the access log. The loop's goroutine alone may call its methods; none of them blocks,
// allocates or makes a system call, but that handing a buffer over may have to wake the writer.
type LogShard struct {
	log  *AccessLog
	free chan []byte // empty buffers; the writer gives them back

	// Owned by the loop.
	format  lineFormat
	sample  sampler
	buf     []byte // being filled; nil when it was handed over and none was free
	lines   int    // in buf
	dropped uint64 // not yet in the log's counts
	since   time.Duration
	state   bufferState
	_       cachePad
}

// bufferState is what a shard's buffer waits for.
type bufferState uint8

const (
	bufferEmpty bufferState = iota
	bufferFresh             // has lines, all appended after the last Flush
	bufferAging             // since is when Flush first saw its lines
)

func (s bufferState) String() string { return [...]string{"empty", "fresh", "aging"}[s] }

func newLogShard(l *AccessLog, fields fieldSet, sample sampler) *LogShard {
	s := &LogShard{
		log:    l,
		free:   make(chan []byte, 1+spareBuffers),
		format: lineFormat{fields: fields, stamp: make([]byte, 0, len("2006-01-02T15:04:05."))},
		sample: sample,
		buf:    make([]byte, 0, bufferBytes),
	}
	for range spareBuffers {
		s.free <- make([]byte, 0, bufferBytes)
	}
	return s
}

// Append adds the line of one exchange, if it is one of the sample. What r lends is copied. The line is dropped and
// counted when all buffers are full, since the writer is behind.
func (s *LogShard) Append(r *Record) {
	if !s.sample.choose() {
		return
	}
	if cap(s.buf)-len(s.buf) < r.room() && !s.handOver() {
		s.dropped++
		return
	}
	s.buf = s.format.append(s.buf, r)
	s.lines++
	if s.state == bufferEmpty {
		s.state = bufferFresh
	}
}

// Flush hands the buffer to the writer when it is full enough or its lines are old, unless the writer still has an
// earlier one: then the buffer is filled further, so that a slow writer gets few large writes and a stuck one has
// every buffer filled before lines are dropped. The loop calls it at the end of every turn with its clock, from any
// fixed point. While it returns true lines wait, and the loop has to call it again no later than FlushEvery from now.
func (s *LogShard) Flush(now time.Duration) bool {
	s.countDropped()
	switch s.state {
	case bufferEmpty:
		return false
	case bufferFresh:
		s.since = now
		s.state = bufferAging
	}
	due := len(s.buf) >= handOverBytes || now-s.since >= FlushEvery
	return !due || len(s.free) < spareBuffers || !s.handOver()
}

// Drain hands over all there is, full or not, before AccessLog.Close.
func (s *LogShard) Drain() {
	s.countDropped()
	if s.state != bufferEmpty && !s.handOver() {
		s.send()
		s.buf = nil
	}
}

// handOver gives the buffer to the writer and takes an empty one, or returns false when there is none: the buffer is
// then kept, to be filled further.
func (s *LogShard) handOver() bool {
	select {
	case empty := <-s.free:
		if s.state != bufferEmpty {
			s.send()
		}
		s.buf = empty
		return true
	default:
		return false
	}
}

func (s *LogShard) send() {
	s.log.work <- batch{s, s.buf, s.lines}
	s.lines = 0
	s.state = bufferEmpty
}

func (s *LogShard) countDropped() {
	if s.dropped > 0 {
		s.log.counts.dropped.Add(s.dropped)
		s.dropped = 0
	}
}
