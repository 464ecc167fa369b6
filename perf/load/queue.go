package main

import "slices"

// queue is first in, first out. Its room is kept.
type queue[T comparable] struct {
	items []T
	first int
}

func (q *queue[T]) len() int { return len(q.items) - q.first }

func (q *queue[T]) push(v T) {
	// What was popped is only moved over when it is the larger part, so that a push costs little on average.
	if q.first > 64 && q.first > len(q.items)/2 {
		q.items = q.items[:copy(q.items, q.items[q.first:])]
		q.first = 0
	}
	q.items = append(q.items, v)
}

// pop takes the oldest. The queue must not be empty.
func (q *queue[T]) pop() T {
	q.first++
	return q.items[q.first-1]
}

// remove takes v out, wherever it is.
func (q *queue[T]) remove(v T) {
	if i := slices.Index(q.items[q.first:], v); i >= 0 {
		q.items = slices.Delete(q.items, q.first+i, q.first+i+1)
	}
}
