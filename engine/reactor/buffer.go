package reactor

import "traffic_management/internal/invariant"

// Sizes of the loop's pooled memory.
var (
	chunkSizes = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10}
	chunkSpare = [...]int{512, 128, 32, 4} // how many unused chunks of each size a loop keeps
)

// largestOutput is the size class above which output takes a further chunk instead of a larger one.
const largestOutput = 64 << 10

// chunk is a piece of pooled memory. b[start:end] is in use.
type chunk struct {
	next       *chunk
	b          []byte
	start, end int
	class      int
}

// chunks is the pool of one loop, which alone may touch it. Memory over the spare counts goes to the collector.
type chunks struct {
	free  [len(chunkSizes)]*chunk
	spare [len(chunkSizes)]int
}

// get returns an empty chunk of the smallest size that holds n bytes, or of the largest size.
func (p *chunks) get(n int) *chunk {
	class := 0
	for class < len(chunkSizes)-1 && chunkSizes[class] < n {
		class++
	}
	c := p.free[class]
	if c == nil {
		return &chunk{b: make([]byte, chunkSizes[class]), class: class}
	}
	p.free[class], c.next = c.next, nil
	p.spare[class]--
	return c
}

// put takes a chunk back.
func (p *chunks) put(c *chunk) {
	invariant.Poison(c.b)
	if p.spare[c.class] == chunkSpare[c.class] {
		return
	}
	c.start, c.end = 0, 0
	c.next = p.free[c.class]
	p.free[c.class] = c
	p.spare[c.class]++
}

// output is a queue of bytes to be sent, in pooled chunks. An empty one holds no memory.
type output struct {
	head, tail *chunk
	size       int
}

// append copies b behind the queue.
func (o *output) append(p *chunks, b []byte) {
	o.size += len(b)
	for len(b) > 0 {
		if o.tail == nil || o.tail.end == len(o.tail.b) {
			c := p.get(min(len(b), largestOutput))
			if o.tail == nil {
				o.head = c
			} else {
				o.tail.next = c
			}
			o.tail = c
		}
		n := copy(o.tail.b[o.tail.end:], b)
		o.tail.end += n
		b = b[n:]
	}
}

// drop removes the first n bytes, which were sent.
func (o *output) drop(p *chunks, n int) {
	o.size -= n
	for c := o.head; c != nil; c = o.head {
		if held := c.end - c.start; n < held {
			c.start += n
			return
		} else {
			n -= held
		}
		o.head = c.next
		p.put(c)
	}
	o.tail = nil
}

// clear drops everything.
func (o *output) clear(p *chunks) { o.drop(p, o.size) }

// received is input that the sink has not consumed. It lies in a buffer all connections of the loop share while the
// sink is being called, and in memory of its own otherwise.
type received struct {
	in   []byte
	kept *chunk // memory of in; nil when that is the shared buffer
}

// keep moves what the sink left of the shared buffer to memory of its own.
func (r *received) keep(p *chunks) {
	if r.kept == nil && len(r.in) > 0 {
		c := p.get(len(r.in))
		c.end = copy(c.b, r.in)
		r.kept, r.in = c, c.b[:c.end]
	}
}

// release drops what is unconsumed. While the sink is being called it may still look at what it consumed, so that
// memory is left to the collector then.
func (r *received) release(p *chunks, calling bool) {
	if r.kept != nil && !calling {
		p.put(r.kept)
	}
	r.in, r.kept = nil, nil
}
