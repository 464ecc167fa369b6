package reactor

import (
	"sync"
	"sync/atomic"
)

// mailboxState is what the loop does, as those who post must know it.
type mailboxState uint8

const (
	mailAsleep   mailboxState = iota // the loop blocks, or is about to: it must be woken
	mailAwake                        // the loop looks here before it blocks
	mailStopping                     // as mailAwake, and the loop ends soon; posted functions still run
	mailClosed                       // nothing posted runs any more
)

func (s mailboxState) String() string {
	return [...]string{"asleep", "awake", "stopping", "closed"}[s]
}

// mailbox holds what other goroutines posted to a loop. The lock is also held while the loop is being woken, so that
// nobody wakes a loop whose descriptors are closed already.
type mailbox struct {
	wake func() error

	waiting atomic.Bool // something is in posts, or the state is mailStopping: spares the loop the lock

	mu    sync.Mutex
	state mailboxState
	posts []func()
}

// post adds f, and returns false when the loop runs nothing any more.
func (m *mailbox) post(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == mailClosed {
		return false
	}
	m.posts = append(m.posts, f)
	m.waiting.Store(true)
	m.rouse()
	return true
}

// stop asks the loop to end.
func (m *mailbox) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state < mailStopping {
		m.waiting.Store(true)
		m.rouse()
		m.state = mailStopping
	}
}

// rouse wakes the loop if it sleeps. The lock is held. The eventfd behind wake fails only when it is closed, which the
// state rules out.
func (m *mailbox) rouse() {
	if m.state == mailAsleep {
		m.state = mailAwake
		_ = m.wake()
	}
}

// The methods below are the loop's.

// take returns what was posted, in order, and whether the loop is to end. into is memory to be used next.
func (m *mailbox) take(into []func()) (posts []func(), stopping bool) {
	if !m.waiting.Load() {
		return into, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	posts, m.posts = m.posts, into
	stopping = m.state == mailStopping
	m.waiting.Store(stopping)
	return posts, stopping
}

// woken says that the loop does not sleep.
func (m *mailbox) woken() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == mailAsleep {
		m.state = mailAwake
	}
}

// sleep lets the loop block, unless something was posted.
func (m *mailbox) sleep() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.posts) > 0 || m.state == mailStopping {
		return false
	}
	m.state = mailAsleep
	return true
}

// close refuses what is posted from now on and returns what was posted before.
func (m *mailbox) close() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = mailClosed
	posts := m.posts
	m.posts = nil
	return posts
}
