// Package reactor is the output queue of engine/reactor, whose file it shares through a link, made public so that the
// benchmarks can use it.
package reactor

// Chunks is the pooled memory of one loop.
type Chunks struct{ pool chunks }

// Output is the queue of bytes to be sent of one connection.
type Output struct{ queue output }

// Append copies b behind the queue.
func (o *Output) Append(c *Chunks, b []byte) { o.queue.append(&c.pool, b) }

// Drop removes the first n bytes.
func (o *Output) Drop(c *Chunks, n int) { o.queue.drop(&c.pool, n) }

// Parts appends the pieces of the queue to v, as a system call takes them.
func (o *Output) Parts(v [][]byte) [][]byte {
	for c := o.queue.head; c != nil; c = c.next {
		v = append(v, c.b[c.start:c.end])
	}
	return v
}
