package reactor

import (
	"context"
	"fmt"
	"runtime"
)

// Job is work that runs beside the loops, because it blocks or takes long. Owned by the loop it was started from.
type Job struct {
	cancel context.CancelFunc
	state  jobState
}

// jobState is how far a job has come, as its loop knows it.
type jobState uint8

const (
	jobRunning   jobState = iota
	jobDone               // done was called
	jobCancelled          // done will not be called
)

func (s jobState) String() string { return [...]string{"running", "done", "cancelled"}[s] }

// Share is on how many cores one kind of work that takes long may run at once beside the loops: half of them. Any goroutine.
func Share() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// Go runs work on a goroutine and then done on the loop, with what work returned. A panic in work becomes an error
// that wraps ErrPanic. done is not called when the job was cancelled, or when the loop has stopped by then.
func Go[T any](l Loop, work func(context.Context) (T, error), done func(T, error)) *Job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &Job{cancel: cancel}
	go func() {
		defer cancel()
		result, err := guarded(ctx, work)
		l.Post(func() {
			if j.state == jobRunning {
				j.state = jobDone
				done(result, err)
			}
		})
	}()
	return j
}

// Cancel drops the result: done is not called any more. The context of work is cancelled too, and work may end early.
func (j *Job) Cancel() {
	if j.state == jobRunning {
		j.state = jobCancelled
		j.cancel()
	}
}

// guarded calls work and turns a panic into an error: on a goroutine of its own it would end the process.
func guarded[T any](ctx context.Context, work func(context.Context) (T, error)) (result T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrPanic, v)
		}
	}()
	return work(ctx)
}
