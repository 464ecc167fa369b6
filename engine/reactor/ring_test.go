package reactor

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// testRing is a ring of the test's own; the test is skipped in the mode without.
func testRing(t *testing.T) *ring {
	t.Helper()
	if plain {
		t.Skip("no ring in this mode")
	}
	r, err := openRing()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// breakRing makes the kernel refuse the ring from now on: its descriptor stands for something else.
func breakRing(t *testing.T, r *ring) {
	t.Helper()
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if err := unix.Dup3(null, r.fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

func closeAtEnd(t testing.TB, fds ...int) {
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
}

func TestRingTellsEachResultOnce(t *testing.T) {
	r := testRing(t)
	us, them := unixPair(t)
	ending, ended := unixPair(t)
	reset, gone := unixPair(t)
	narrow, wide := unixPair(t)
	closeAtEnd(t, us, them, ending, reset, narrow, wide)
	unix.Close(ended)
	unix.Write(reset, []byte("unread"))
	unix.Close(gone)
	unix.SetsockoptInt(narrow, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10)
	big := make([]byte, 1<<20)
	room := make([]byte, 8)
	type call struct {
		opcode uint8
		fd     int
		b      []byte
		n      int
		errno  syscall.Errno
	}
	calls := []call{
		{ringRecv, us, room, 0, unix.EAGAIN},
		{ringSend, us, []byte("hello"), 5, 0},
		{ringRecv, -1, room, 0, unix.EBADF}, // does not stop what follows
		{ringSend, -1, room, 0, unix.EBADF},
		{ringRecv, them, room, 5, 0},
		{ringRecv, them, room, 0, unix.EAGAIN},
		{ringRecv, ending, room, 0, 0},
		{ringSend, ending, room, 0, unix.EPIPE},
		{ringRecv, reset, room, 0, unix.ECONNRESET},
		{ringSend, narrow, big, -1, 0}, // short
		{ringSend, narrow, big, 0, unix.EAGAIN},
	}
	for i, c := range calls {
		r.queue(c.opcode, int32(c.fd), c.b, unix.MSG_NOSIGNAL, i+100)
	}
	told := make([]int, len(calls))
	if err := r.run(func(user, n int, errno syscall.Errno) {
		i := user - 100
		told[i]++
		want := calls[i]
		if want.n < 0 && n > 0 && n < len(want.b) {
			want.n = n
		}
		if n != want.n || errno != want.errno {
			t.Errorf("call %d: %d, %v, want %d, %v", i, n, errno, want.n, want.errno)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for i, n := range told {
		if n != 1 {
			t.Errorf("call %d: told %d times", i, n)
		}
	}
	if string(room[:5]) != "hello" {
		t.Errorf("received %q", room)
	}
	if err := r.run(func(int, int, syscall.Errno) { t.Error("told of a call that was not queued") }); err != nil {
		t.Error(err)
	}
}

// TestRingInBatchesOfAllSizes sends and receives in one run, so often that the ring's counters pass its size many times.
func TestRingInBatchesOfAllSizes(t *testing.T) {
	r := testRing(t)
	const seed = 17
	rnd := rand.New(rand.NewPCG(seed, 1))
	us, them := unixPair(t)
	closeAtEnd(t, us, them)
	source := pattern(64 << 10)
	into := make([]byte, len(source))
	for round := range 300 {
		results, at := 0, 0
		for !r.full() && rnd.IntN(200) > 0 {
			n := 1 + rnd.IntN(200)
			r.queue(ringSend, int32(us), source[at:at+n], 0, n)
			r.queue(ringRecv, int32(them), into[at:at+n], 0, n)
			at += n
		}
		queued := int(r.queued)
		if err := r.run(func(user, n int, errno syscall.Errno) {
			results++
			if n != user || errno != 0 {
				t.Fatalf("seed %d, round %d: %d of %d bytes, %v", seed, round, n, user, errno)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if results != queued || !bytes.Equal(into[:at], source[:at]) {
			t.Fatalf("seed %d, round %d: %d results of %d, or other bytes", seed, round, results, queued)
		}
		clear(into)
	}
}

// TestRingWaitsForALateEnd has the kernel end a call later than it was handed over: reading a blocking timerfd.
func TestRingWaitsForALateEnd(t *testing.T) {
	r := testRing(t)
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, fd)
	spec := unix.ItimerSpec{Value: unix.Timespec{Nsec: 5e6}}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		t.Fatal(err)
	}
	const read = 22
	var expirations uint64
	r.queue(read, int32(fd), unsafe.Slice((*byte)(unsafe.Pointer(&expirations)), 8), 0, 1)
	r.entries[*r.tail&r.mask].msgFlags = 0
	r.queue(ringRecv, -1, nil, 0, 2)
	var order []int
	if err := r.run(func(user, n int, errno syscall.Errno) {
		order = append(order, user)
		if user == 1 && (n != 8 || errno != 0) {
			t.Errorf("reading: %d, %v", n, errno)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(order) != 2 || order[1] != 1 || expirations == 0 {
		t.Errorf("results %v, %d expirations", order, expirations)
	}
}

func TestRingRefusedMakesNoCall(t *testing.T) {
	r := testRing(t)
	us, them := unixPair(t)
	closeAtEnd(t, us, them)
	r.queue(ringSend, int32(us), []byte("x"), 0, 0)
	breakRing(t, r)
	if err := r.run(func(int, int, syscall.Errno) { t.Error("told of a result") }); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("run: %v", err)
	}
	if n, errno := recv(int32(them), make([]byte, 1)); errno != unix.EAGAIN {
		t.Errorf("received %d, %v", n, errno)
	}
}

func TestRingLeavesNothingBehind(t *testing.T) {
	r := testRing(t)
	if flags, err := unix.FcntlInt(uintptr(r.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: a program we start would inherit the ring", flags, err)
	}
	before := openDescriptors(t)
	for range 100 {
		r, err := openRing()
		if err != nil {
			t.Fatal(err)
		}
		r.close()
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
