package frame

import (
	"bytes"
	"reflect"
	"testing"

	"golang.org/x/net/http2"
)

// others lets another implementation write one frame of each kind that is read here.
func others(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	for _, err := range []error{
		f.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}),
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("head"), EndHeaders: true, PadLength: 9,
			Priority: http2.PriorityParam{StreamDep: 1, Weight: 7}}),
		f.WriteDataPadded(3, true, []byte("content"), make([]byte, 5)),
		f.WriteWindowUpdate(0, 77),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestParse reads what another implementation wrote, all at once and as each byte comes.
func TestParse(t *testing.T) {
	b := others(t)
	var got []Frame
	for from, to := 0, 0; to <= len(b); {
		f, n, err := Parse(b[from:to])
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			to++
			continue
		}
		whole, m, err := Parse(b[from:])
		if err != nil || m != n || !reflect.DeepEqual(whole, f) {
			t.Fatalf("with more behind it: %+v, %d, %v; want %+v, %d", whole, m, err, f, n)
		}
		from += n
		got = append(got, f)
	}
	if len(got) != 4 {
		t.Fatalf("%d frames: %+v", len(got), got)
	}
	var settings []Parameter
	if err := got[0].EachSetting(func(p Parameter) { settings = append(settings, p) }); err != nil {
		t.Error(err)
	}
	if want := []Parameter{{HeaderTableSize, 100}, {InitialWindowSize, 1 << 20}}; !reflect.DeepEqual(settings, want) {
		t.Errorf("settings %v, want %v", settings, want)
	}
	if h := got[1]; h.Type != Headers || h.Stream != 3 || string(h.Payload) != "head" || !h.Has(EndHeaders) || h.Has(EndStream) {
		t.Errorf("headers %+v", h)
	}
	if d := got[2]; d.Type != Data || string(d.Payload) != "content" || d.Charged != len("content")+5+1 || !d.Has(EndStream) {
		t.Errorf("data %+v", d)
	}
	if n, err := got[3].Increment(); n != 77 || err != nil {
		t.Errorf("increment %d, %v", n, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"more than may be sent": Append(nil, Data, 0, 1, MaxPayload+1),
		"padding of everything": append(Append(nil, Data, Padded, 1, 1), 1),
		"no length of padding":  Append(nil, Data, Padded, 1, 0),
		"half a priority":       append(Append(nil, Headers, Prioritised, 1, 2), 0, 0),
	} {
		if _, _, err := Parse(b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	odd := Frame{Type: Settings, Payload: make([]byte, 7)}
	if odd.EachSetting(func(Parameter) {}) == nil {
		t.Error("a setting and a bit are taken")
	}
}

// TestAppend lets another implementation read what is written here.
func TestAppend(t *testing.T) {
	b := AppendSettings(nil, Parameter{EnablePush, 0})
	b = AppendWindowUpdate(b, 5, 9)
	b = AppendAck(b, &Frame{Type: Settings})
	b = AppendAck(b, &Frame{Type: Ping, Payload: []byte("12345678")})
	b = append(Append(b, Data, EndStream, 7, 2), "ab"...)
	f := http2.NewFramer(nil, bytes.NewReader(b))
	read := func() http2.Frame {
		t.Helper()
		r, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if v, ok := read().(*http2.SettingsFrame).Value(http2.SettingEnablePush); !ok || v != 0 {
		t.Errorf("setting %d, %v", v, ok)
	}
	if w := read().(*http2.WindowUpdateFrame); w.StreamID != 5 || w.Increment != 9 {
		t.Errorf("window update %+v", w)
	}
	if !read().(*http2.SettingsFrame).IsAck() {
		t.Error("settings are not acknowledged")
	}
	if p := read().(*http2.PingFrame); !p.IsAck() || string(p.Data[:]) != "12345678" {
		t.Errorf("ping %+v", p)
	}
	if d := read().(*http2.DataFrame); d.StreamID != 7 || !d.StreamEnded() || string(d.Data()) != "ab" {
		t.Errorf("data %+v", d)
	}
}
