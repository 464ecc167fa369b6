package h2

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"traffic_management/codec"
)

// fuzzer drives a session with bytes as a peer's, and does something of its own with every stream it gets.
type fuzzer struct {
	*Session
	wire    wire
	rand    *rand.Rand
	streams []*fuzzed
	due     bool
}

// fuzzed is a stream and its receiver.
type fuzzed struct {
	of     *fuzzer
	stream *Stream // nil once released
	ended  bool
}

func (z *fuzzer) Request(s *Stream, h *codec.Head, raw []byte, end bool) codec.Receiver {
	if h.Authority == nil || len(h.MethodName) == 0 || h.Status != 0 {
		panic("a request that is none")
	}
	if z.rand.IntN(10) == 0 {
		return nil
	}
	return z.take(s)
}

func (z *fuzzer) Refused(s *Stream, e *codec.Error) codec.Receiver { return z.take(s) }

func (z *fuzzer) take(s *Stream) *fuzzed {
	f := &fuzzed{of: z, stream: s}
	z.streams = append(z.streams, f)
	return f
}

func (z *fuzzer) Settings()              {}
func (z *fuzzer) GoAway(uint32, ErrCode) {}
func (z *fuzzer) Pong(uint64)            {}
func (z *fuzzer) Later()                 { z.due = true }

func (f *fuzzed) Ready(codec.Stream)           {}
func (f *fuzzed) Head(h *codec.Head, end bool) { f.hears(end) }
func (f *fuzzed) Data(p []byte, end bool)      { f.hears(end) }
func (f *fuzzed) Trailers([]codec.Field)       { f.hears(true) }
func (f *fuzzed) Drained()                     {}
func (f *fuzzed) Failed(*codec.Error)          { f.ended = true; f.release() }

func (f *fuzzed) hears(end bool) {
	if f.stream == nil || f.ended && (end || f.of.role == client) {
		panic("something is heard after the end")
	}
	f.ended = f.ended || end
	f.act()
}

func (f *fuzzed) release() {
	f.stream.Release()
	f.stream = nil
}

// act does one of the things that an owner does.
func (f *fuzzed) act() {
	s, r := f.stream, f.of.rand
	if s == nil {
		return
	}
	switch r.IntN(12) {
	case 0, 1:
		if f.of.role == server {
			s.Head(response(200, -1), r.IntN(4) == 0)
		}
	case 2, 3:
		s.Data(make([]byte, r.IntN(30000)), r.IntN(4) == 0)
	case 4:
		s.Trailers([]codec.Field{{Name: []byte("a"), Value: []byte("b")}})
	case 5:
		s.Hold(true)
	case 6:
		if s.holds > 0 {
			s.Hold(false)
		}
	case 7:
		s.Reset(nil)
	case 8:
		f.release()
	}
}

// run gives the session bytes in pieces, and returns whether it was still alive at the end.
func (z *fuzzer) run(t *testing.T, in []byte) bool {
	var now time.Duration
	var input []byte
	for len(in) > 0 {
		k := 1 + z.rand.IntN(len(in))
		input, in = append(input, in[:k]...), in[k:]
		now += time.Duration(z.rand.IntN(1000)) * time.Millisecond
		if z.wire.queued = 0; z.rand.IntN(3) == 0 {
			z.wire.queued = codec.HighMark + 1
		}
		n, err := z.Receive(input, now)
		if err != nil {
			break
		}
		if n < 0 || n > len(input) {
			t.Fatalf("consumed %d of %d", n, len(input))
		}
		if input = input[n:]; len(input) > headerSize+maxFrameSize {
			t.Fatalf("%d bytes are not consumed", len(input))
		}
		if z.due {
			z.due = false
			z.Deliver()
		}
		for range z.rand.IntN(4) {
			if len(z.streams) > 0 {
				z.streams[z.rand.IntN(len(z.streams))].act()
			}
		}
		if z.wire.queued = 0; z.rand.IntN(2) == 0 {
			z.Flush()
		}
		z.Tick(now)
		z.check()
		if z.in.left < 0 || z.in.left+z.in.taken > z.connWindow() || z.live > z.config.MaxStreams {
			t.Fatalf("window %+v, %d streams", z.in, z.live)
		}
		for _, s := range z.open {
			if s.out.size > 1<<20 || int64(s.held.size) > z.connWindow() {
				t.Fatalf("%d and %d bytes are kept", s.out.size, s.held.size)
			}
		}
		z.wire.Reset()
	}
	alive := z.phase != phaseFailed
	z.Fail(&codec.Error{Side: codec.Client, Kind: codec.KindClosed})
	for _, f := range z.streams {
		if f.stream != nil {
			f.release()
		}
	}
	if z.live != 0 || z.queued != 0 || z.heads != 0 || len(z.open)+len(z.reserved)+len(z.waiting) != 0 {
		t.Fatalf("%d streams, %d queued, %d of heads are left", z.live, z.queued, z.heads)
	}
	return alive
}

// seeds are what the rules' peers send.
func seeds(f *testing.F) {
	for _, c := range append(append([]rule{}, frameRules...), streamRules...) {
		b := newBed(f, server, testConfig)
		b.get(1, false)
		in := bytes.Clone(b.out.Bytes())
		b.pass()
		c.do(b)
		f.Add(append(in, b.out.Bytes()...), uint64(1))
	}
}

// FuzzServer: whatever a client sends, windows and memory are bounded, and every stream ends once.
func FuzzServer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		z := &fuzzer{rand: rand.New(rand.NewPCG(seed, 2))}
		c := testConfig
		z.Session = NewServer(&c, &z.wire, z, 0)
		z.run(t, append([]byte(preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), in...))
	})
}

// FuzzClient is FuzzServer for the other role: some requests are under way.
func FuzzClient(f *testing.F) {
	seeds(f)
	b := newBed(f, client, testConfig)
	b.headers(1, false, ":status", "200")
	b.must(b.framer.WriteData(1, true, []byte("x")))
	b.headers(3, true, ":status", "204")
	b.headers(5, false, ":status", "103")
	f.Add(bytes.Clone(b.out.Bytes()), uint64(2))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		z := &fuzzer{rand: rand.New(rand.NewPCG(seed, 3))}
		c := testConfig
		z.Session = NewClient(&c, &z.wire, z, 0)
		for i := range 4 {
			q := z.take(nil)
			q.stream = z.Open(q)
			if i > 0 {
				q.stream.Head(request(codec.MethodPost, "/", -1), i == 1)
			}
		}
		z.run(t, append([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), in...))
	})
}

// FuzzFieldSection: what we append is decoded again as the same head, by us and by the library.
func FuzzFieldSection(f *testing.F) {
	f.Add("GET", "/a?b", "a.example:1", "X-Name", "value", int64(-1))
	f.Add("OPTIONS", "*", "[::1]", "cookie", "a=b", int64(0))
	f.Add("M!", "//%zz\x00?", "a", "Accept", " \tx\t", int64(5))
	f.Add("POST", "", "a b", "te", "trailers", int64(7))
	f.Fuzz(func(t *testing.T, method, path, authority, name, value string, length int64) {
		h := &codec.Head{MethodName: []byte(method), Method: codec.LookupMethod([]byte(method)), Authority: []byte(authority),
			Length: length, Fields: []codec.Field{{Name: []byte(name), Value: []byte(value),
				ID: codec.LookupFieldID([]byte(name))}}}
		p, q, _ := bytes.Cut([]byte(path), []byte("?"))
		if h.Path = p; len(q) > 0 {
			h.Query = q
		}
		if h.Method == codec.MethodConnect || len(path)+len(value)+len(name)+len(authority)+len(method) > 8<<10 {
			return
		}
		framing := codec.NoContent
		if length > 0 {
			framing = codec.ByLength
		}
		block := appendRequest(nil, h, true, framing)
		if len(block) == 0 {
			return
		}
		if _, err := hpack.NewDecoder(4096, nil).DecodeFull(block); err != nil {
			t.Fatalf("the library: %v", err)
		}
		c := testConfig
		x := newSection(sectionRequest, &c)
		defer x.free()
		d := decoder{}
		if bad := d.decode(block, x); bad != nil {
			t.Fatalf("%x cannot be decoded: %v", block, bad)
		}
		x.request(framing == codec.NoContent)
		if len(authority) == 0 {
			if x.fault != sectionMalformed {
				t.Fatalf("no authority, fault %d", x.fault)
			}
			return
		}
		if x.fault == sectionTarget { // a "%" that the exchange would not have let through
			return
		}
		g := &x.head
		if x.fault != sectionValid || string(g.MethodName) != method || string(g.Authority) != authority ||
			framing == codec.ByLength && g.Length != length {
			t.Fatalf("fault %d, %s", x.fault, headText(g, true))
		}
		again := appendRequest(nil, g, true, framing)
		if !bytes.Equal(block, again) {
			t.Fatalf("%q was sent, and then %q", block, again)
		}
	})
}

// decodeBoth decodes blocks of one connection with our decoder and the library's. The library lets a table change its
// size in the middle of a block, so that what it takes may be refused, but not the other way round.
func decodeBoth(t *testing.T, blocks ...[]byte) {
	c := Config{MaxHeadBytes: 1 << 20, MaxFields: 1 << 20}
	d := decoder{table: dynamicTable{limit: tableSize}}
	var theirs []hpack.HeaderField
	l := hpack.NewDecoder(tableSize, func(f hpack.HeaderField) { theirs = append(theirs, f) })
	for _, block := range blocks {
		theirs = theirs[:0]
		x := newSection(sectionTrailers, &c)
		defer x.free()
		ok := d.decode(block, x) == nil
		_, err := l.Write(block)
		if err == nil {
			err = l.Close()
		}
		if ok && err != nil {
			t.Fatalf("%x is taken, but not by the library: %v", block, err)
		}
		if !ok || x.fault != sectionValid {
			return
		}
		if len(theirs) != len(x.head.Fields) {
			t.Fatalf("%d fields, the library has %d", len(x.head.Fields), len(theirs))
		}
		for i, f := range x.head.Fields {
			if !codec.EqualFold(f.Name, theirs[i].Name) || string(f.Value) != theirs[i].Value {
				t.Fatalf("%q: %q, the library has %v", f.Name, f.Value, theirs[i])
			}
		}
	}
}

// FuzzDecoder: whatever is understood is understood as the library does.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff})
	f.Add([]byte{0x40, 1, 'a', 1, 'b', 0xbe, 0x20, 0x3f, 0xe1, 0x1f})
	f.Add([]byte{0x0f, 0x2f, 0x83, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, block []byte) { decodeBoth(t, block, block) })
}

// TestDecoder: what the library's encoder makes of random fields, through many evictions and changes of the table's size,
// is decoded as those fields.
func TestDecoder(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 4))
		var block bytes.Buffer
		e := hpack.NewEncoder(&block)
		c := Config{MaxHeadBytes: 1 << 20, MaxFields: 1 << 20}
		d := decoder{table: dynamicTable{limit: tableSize}}
		names := []string{"accept", "cookie", "x-a", "x-another-name", "user-agent", "priority", "x-b", "age"}
		for range 200 {
			block.Reset()
			if r.IntN(20) == 0 {
				e.SetMaxDynamicTableSize(uint32(r.IntN(tableSize + 1)))
			}
			var want []codec.Field
			for range r.IntN(12) {
				value := make([]byte, r.IntN(100))
				if r.IntN(40) == 0 {
					value = make([]byte, r.IntN(6000))
				}
				for i := range value {
					value[i] = byte('a' + r.IntN(3))
				}
				if len(value) > 10 && r.IntN(2) == 0 {
					value = value[:1]
				}
				name := names[r.IntN(len(names))]
				e.WriteField(hpack.HeaderField{Name: name, Value: string(value), Sensitive: r.IntN(10) == 0})
				want = append(want, codec.Field{Name: []byte(name), Value: value})
			}
			x := newSection(sectionTrailers, &c)
			if d.decode(block.Bytes(), x) != nil || x.fault != sectionValid || len(x.head.Fields) != len(want) {
				t.Fatalf("seed %d: fault %d, %d of %d fields", seed, x.fault, len(x.head.Fields), len(want))
			}
			for i, f := range x.head.Fields {
				if !codec.EqualFold(f.Name, want[i].Name) || !bytes.Equal(f.Value, want[i].Value) ||
					f.ID != codec.LookupFieldID(want[i].Name) {
					t.Fatalf("seed %d: %q: %q, want %q: %q", seed, f.Name, f.Value, want[i].Name, want[i].Value)
				}
			}
			if n := len(d.table.bytes); cap(d.table.bytes) > 4*tableSize || d.table.size > tableSize || n > cap(d.table.bytes) {
				t.Fatalf("seed %d: a table of %d in %d", seed, d.table.size, cap(d.table.bytes))
			}
			x.free()
		}
	}
}
