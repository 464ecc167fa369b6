package reactor

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Instant is a point on the process's monotonic clock: nanoseconds since the process began. It never goes back.
type Instant int64

// Sub is the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Add is the instant d after t.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Loop is one event loop: one goroutine, one epoll set, one timing wheel. All methods but Post belong to that goroutine.
type Loop interface {
	// Index is the loop's number, from 0.
	Index() int
	// Now is the clock as read when this turn began.
	Now() Instant
	// Clock reads the clock.
	Clock() Instant
	// Arm makes t fire once, no sooner than d from Now and at most a tick (see Tick) later; an armed timer is moved.
	Arm(t *Timer, d time.Duration)
	// Stop disarms t. It does nothing when t is not armed.
	Stop(t *Timer)
	// Dial begins a connection to a and returns at once; Sink.OnDrained says it is open, OnClosed that it failed.
	// What is written before that is queued.
	Dial(a Addr, s Sink) Conn
	// DialTLS is Dial with TLS over it: OnDrained says that the handshake is done, OnClosed that it failed, with a
	// *HandshakeError unless the connection was never open. c is not changed while it is used, has a ServerName or
	// InsecureSkipVerify, and has DynamicRecordSizingDisabled: writes are gathered here.
	DialTLS(a Addr, c *tls.Config, s Sink) Conn
	// AcceptTLS begins the handshake of a server on a connection of this loop and returns who is to be raw's sink.
	// When its outcome is known, done is called on the loop, never inside a call the owner of raw made: with the
	// established Conn, which replaces raw and will be heard by the sink that done returns, nil when it closed it; or
	// with a *HandshakeError when raw is being closed, behind an alert. raw.Abort and raw.Close give the handshake
	// up: done is not called then. c is as with DialTLS, but for the ServerName.
	AcceptTLS(raw Conn, c *tls.Config, done func(Conn, error) Sink) Sink
	// Attach makes a connected, non-blocking socket (as Conn.Detach returned it) a connection of this loop.
	Attach(fd int, s Sink) Conn
	// Defer runs f after the event being handled, before the next one. f is kept only until it has run.
	Defer(f func())
	// Post runs f on the loop, from any goroutine, in the order of the calls. It returns false, and f never runs,
	// when the loop has stopped.
	Post(f func()) bool
}

// Tick is the resolution of timers.
const Tick = 8 * time.Millisecond

// Addr is where to dial: a TCP address, or the path of a unix socket when Path is not empty.
type Addr struct {
	TCP  netip.AddrPort
	Path string
}

func (a Addr) String() string {
	if a.Path != "" {
		return "unix:" + a.Path
	}
	return a.TCP.String()
}

// Conn is a socket, TLS over one, or a simulated pipe, owned by one loop, whose goroutine alone may call it.
//
// With TLS, In and Writev are of plaintext, Queued counts records, CloseWrite and Close send close_notify, and an end
// without it makes OnClosed tell ErrTruncated, behind what came before it. Detach is refused. What is closed before its
// handshake is done sends nothing.
type Conn interface {
	// In is what was received and not consumed, contiguous. Inside Sink.OnData it may lie in memory the loop shares;
	// it is lent until Consume or the return of the call.
	In() []byte
	// Consume drops the first n bytes of In.
	Consume(n int)
	// Writev sends bufs in order. They are lent for the call: what is not sent at once is copied. Small writes are
	// gathered and leave in one system call at the end of the turn; large ones leave at once behind what was gathered.
	Writev(bufs [][]byte)
	// Write is Writev of one buffer.
	Write(p []byte)
	// Queued is how many bytes wait to be sent because the peer does not take them; what is only gathered for the end
	// of the turn does not count.
	Queued() int
	// Unsent is how many bytes of what was written the kernel was not given yet, gathered ones too; of a connection that
	// has ended, how many it never was.
	Unsent() int
	// EOF reports whether the peer closed its writing side and everything before that is in In or was consumed.
	EOF() bool
	// Hold pauses (true) or resumes (false) reading. Counted: reading goes on when every holder let go. A resumed
	// connection that has input, or may have, hears OnData again, later in the turn.
	Hold(on bool)
	// Portion has portion asked before each read how many bytes are worth taking, by who can keep few: the read takes no
	// more, but may take SipSize, and with TLS a record. portion must not call the connection. Unasked a read takes
	// ReadSize.
	Portion(portion func() int)
	// Wake makes OnData be called once more, later in the turn, even without new input, unless reading is held.
	Wake()
	// SetSink makes s hear the connection from now on: after an upgrade, or when a pooled connection finds a new user.
	// What In holds already is not announced again; see Wake.
	SetSink(s Sink)
	// CloseWrite closes the writing side behind what is queued.
	CloseWrite()
	// Close ends the connection gently: what is queued is sent, then the socket is closed. With linger the writing
	// side is closed first and input is read and dropped until the peer closes too, or for at most LingerTime, so that
	// a peer that still sends does not lose our last bytes to a reset (RFC 9112 section 9.6). The sink hears nothing
	// any more. It is given up when the peer takes nothing of what is queued for WriteOutTime.
	Close(linger bool)
	// Abort closes the socket behind the turn's output; its own that is queued is lost, a peer sees a reset. The sink hears
	// nothing any more.
	Abort()
	// Detach gives up the socket without closing it, for Loop.Attach of another loop. Only when In is empty and
	// nothing is queued; otherwise, or when the socket cannot be moved, ok is false and nothing changes.
	Detach() (fd int, ok bool)
	// TLS is what the handshake agreed on, nil for clear text and before the handshake's end. It is not changed.
	TLS() *tls.ConnectionState
	// Peer is the address of the other side; the zero value for unix sockets.
	Peer() netip.AddrPort
	// Local is the address of this side; the zero value for unix sockets.
	Local() netip.AddrPort
}

// Bounds of a gentle close.
const (
	LingerTime   = 2 * time.Second
	WriteOutTime = 60 * time.Second
)

// Sink hears a connection. No method is called inside a call that the sink made on the connection.
type Sink interface {
	// OnData says that In has more than before, EOF came, or Wake was called.
	OnData()
	// OnDrained says that a dialled connection is open, or that Queued fell to codec.LowMark or below after it had
	// passed codec.HighMark.
	OnDrained()
	// OnClosed says that the connection failed or was reset. It is the last call. A clean end is OnData with EOF.
	OnClosed(error)
}

// Timer is one deadline. The zero value with Fire set is ready to be armed. It belongs to the loop that armed it.
type Timer struct {
	Fire func() // called on the loop; may arm the timer again

	// Owned by the loop.
	deadline   Instant
	next, prev *Timer
	slot       int32 // index into the wheel's slots plus 1; 0 when not armed
}

// Armed reports whether the timer will fire.
func (t *Timer) Armed() bool { return t.slot != 0 }

// Deadline is when the timer fires, if it is armed.
func (t *Timer) Deadline() Instant { return t.deadline }
