package h2

import "sync"

// chunkSize makes a chunk 4 kB.
const chunkSize = 4<<10 - 16

// chunk is a piece of the memory of queues.
type chunk struct {
	next       *chunk
	start, end uint16 // of what is queued
	bytes      [chunkSize]byte
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// queue holds bytes in their order, in chunks of a pool: none when it is empty. The zero value is empty.
type queue struct {
	first, last *chunk
	size        int
}

func (q *queue) push(p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		c := q.last
		if c == nil || c.end == chunkSize {
			c = chunks.Get().(*chunk)
			c.next, c.start, c.end = nil, 0, 0
			if q.last == nil {
				q.first = c
			} else {
				q.last.next = c
			}
			q.last = c
		}
		n := copy(c.bytes[c.end:], p)
		c.end += uint16(n)
		p = p[n:]
	}
}

// cut moves the first n bytes of the queue to the end of bufs. Chunks that are empty then are added to spent, and must
// be put back into chunks once the bytes were used.
func (q *queue) cut(bufs [][]byte, n int, spent **chunk) [][]byte {
	q.size -= n
	for n > 0 {
		c := q.first
		b := c.bytes[c.start:c.end]
		b = b[:min(len(b), n)]
		bufs = append(bufs, b)
		n -= len(b)
		if c.start += uint16(len(b)); c.start == c.end {
			q.shift()
			c.next, *spent = *spent, c
		}
	}
	return bufs
}

// pop takes the first chunk, which the caller puts back into chunks; nil when there is none.
func (q *queue) pop() *chunk {
	c := q.first
	if c != nil {
		q.size -= int(c.end - c.start)
		q.shift()
	}
	return c
}

func (q *queue) shift() {
	if q.first = q.first.next; q.first == nil {
		q.last = nil
	}
}

func (q *queue) clear() {
	for c := q.pop(); c != nil; c = q.pop() {
		chunks.Put(c)
	}
}
