package h2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"traffic_management/codec"
)

// driven is a session on a real connection: a goroutine reads, and whoever has the lock may touch the session.
type driven struct {
	sync.Mutex
	*Session
	conn net.Conn
	out  bytes.Buffer
	due  bool
}

func (d *driven) Write(p []byte) { d.out.Write(p) }

func (d *driven) Writev(bufs [][]byte) {
	for _, b := range bufs {
		d.out.Write(b)
	}
}

func (d *driven) Queued() int { return d.out.Len() }

// turn ends a turn of the loop: what was written leaves. The lock is held.
func (d *driven) turn() {
	for d.due || d.out.Len() > 0 {
		if d.due {
			d.due = false
			d.Deliver()
		}
		d.conn.Write(d.out.Bytes()) // an error is the reader's, too
		d.out.Reset()
		d.Flush()
	}
}

// read runs the session until the connection ends.
func (d *driven) read() {
	defer d.conn.Close()
	var in []byte
	b := make([]byte, 32<<10)
	for {
		n, err := d.conn.Read(b)
		d.Lock()
		in = append(in, b[:n]...)
		taken, bad := d.Receive(in, 0)
		in = in[min(taken, len(in)):]
		d.turn()
		if err != nil || bad != nil {
			d.Fail(&codec.Error{Side: codec.Client, Kind: codec.KindClosed})
			d.Unlock()
			return
		}
		d.Unlock()
	}
}

// pair is two ends of a connection.
func pair(t *testing.T) (a, b net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		a, _ = l.Accept()
		close(done)
	}()
	if b, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	<-done
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// echoes answers each request with its content and, as trailer, how much that was.
type echoes struct{ d *driven }

func (e *echoes) Request(s *Stream, h *codec.Head, raw []byte, end bool) codec.Receiver {
	s.Head(response(200, -1, codec.Field{Name: []byte("X-Path"), Value: h.Path}), false)
	r := &echo{stream: s}
	if end {
		r.Data(nil, true)
		return nil
	}
	return r
}

func (e *echoes) Refused(s *Stream, err *codec.Error) codec.Receiver {
	s.Head(response(err.Status, 0), true)
	s.Release()
	return nil
}

func (e *echoes) Settings()              {}
func (e *echoes) GoAway(uint32, ErrCode) {}
func (e *echoes) Pong(uint64)            {}
func (e *echoes) Later()                 { e.d.due = true }

type echo struct {
	stream *Stream
	size   int
	holds  bool
}

func (r *echo) Ready(codec.Stream)     {}
func (r *echo) Head(*codec.Head, bool) {}
func (r *echo) Trailers([]codec.Field) { r.Data(nil, true) }
func (r *echo) Failed(e *codec.Error)  { r.stream.Release() }

func (r *echo) Drained() {
	if r.holds {
		r.holds = false
		r.stream.Hold(false)
	}
}

func (r *echo) Data(p []byte, end bool) {
	r.size += len(p)
	r.stream.Data(p, false)
	if end {
		r.stream.Trailers([]codec.Field{{Name: []byte("X-Size"), Value: fmt.Append(nil, r.size)}})
		r.stream.Release()
	} else if !r.holds && r.stream.Queued() > codec.HighMark {
		r.holds = true
		r.stream.Hold(true)
	}
}

func onlyHTTP2() *http.Protocols {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	return p
}

// once is a listener of one connection.
type once struct {
	conn net.Conn
	done <-chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *once) Close() error   { return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

// TestLibraryClient: a client of the library's, many requests at once, content larger than the windows.
func TestLibraryClient(t *testing.T) {
	ours, theirs := pair(t)
	d := &driven{conn: ours}
	c := testConfig
	d.Session = NewServer(&c, d, &echoes{d}, 0)
	d.turn()
	go d.read()
	transport := &http.Transport{Protocols: onlyHTTP2(),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return theirs, nil }}
	conn, err := transport.NewClientConn(t.Context(), "http", "a.example:80")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			size := i * i * 1000
			body := bytes.Repeat([]byte{byte('a' + i)}, size)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "POST", fmt.Sprintf("http://a.example/%d", i), bytes.NewReader(body))
			req.Header.Set("X-Long", strings.Repeat("x", 100*i))
			res, err := conn.RoundTrip(req)
			if err != nil {
				t.Error(i, err)
				return
			}
			got, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(got, body) || res.Header.Get("X-Path") != fmt.Sprintf("/%d", i) ||
				res.Trailer.Get("X-Size") != fmt.Sprint(size) {
				t.Error(i, err, len(got), res.Header, res.Trailer)
			}
		})
	}
	all.Wait()
	d.Lock()
	defer d.Unlock()
	if d.Streams() != 0 || d.queued != 0 {
		t.Errorf("%d streams, %d queued", d.Streams(), d.queued)
	}
}

// asker is the receiver of a response in TestLibraryServer.
type asker struct {
	stream *Stream
	done   chan string
	status int
	body   bytes.Buffer
}

func (r *asker) Ready(codec.Stream) {}
func (r *asker) Drained()           {}

func (r *asker) Head(h *codec.Head, end bool) {
	r.status = h.Status
	if end {
		r.finish("")
	}
}

func (r *asker) Data(p []byte, end bool) {
	r.body.Write(p)
	if end {
		r.finish("")
	}
}

func (r *asker) Trailers(t []codec.Field) { r.finish(fieldsText(t)) }
func (r *asker) Failed(e *codec.Error)    { r.finish(e.Error()) }

func (r *asker) finish(s string) {
	r.done <- fmt.Sprintf("%d %d%s", r.status, r.body.Len(), s)
	r.stream.Release()
}

// TestLibraryServer: requests to a server of the library's.
func TestLibraryServer(t *testing.T) {
	ours, theirs := pair(t)
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Size")
		w.WriteHeader(201)
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Size", fmt.Sprint(n))
	}
	web := &http.Server{Handler: http.HandlerFunc(handler), Protocols: onlyHTTP2()}
	go web.Serve(&once{conn: theirs, done: t.Context().Done()})
	t.Cleanup(func() { web.Close() })
	d := &driven{conn: ours}
	c := testConfig
	d.Session = NewClient(&c, d, &echoes{d}, 0)
	d.Lock()
	d.turn()
	go d.read()
	askers := make([]*asker, 20)
	for i := range askers {
		r := &asker{done: make(chan string, 1)}
		askers[i] = r
		r.stream = d.Open(r)
		r.stream.Head(request(codec.MethodPost, fmt.Sprint("/", i), int64(i*i*1000)), false)
		r.stream.Data(make([]byte, i*i*1000), true)
		d.turn()
	}
	d.Unlock()
	for i, r := range askers {
		want := fmt.Sprintf("201 %d [X-Size: %d]", i*i*1000, i*i*1000)
		select {
		case got := <-r.done:
			if !strings.EqualFold(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
		}
	}
	d.Lock()
	defer d.Unlock()
	if d.Streams() != 0 || d.queued != 0 {
		t.Errorf("%d streams, %d queued", d.Streams(), d.queued)
	}
}
