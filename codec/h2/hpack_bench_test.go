package h2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// BenchmarkFieldBlock decodes the fields of a browser's request as its client sends them again and again, by our decoder
// into a head, and by the library's into its strings. Two fields are new in each, as a path and an ID are.
func BenchmarkFieldBlock(b *testing.B) {
	var first, later bytes.Buffer
	encode := func(e *hpack.Encoder, fields []string) {
		for i := 0; i < len(fields); i += 2 {
			_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
	}
	encode(hpack.NewEncoder(&first), browserFields)
	e := hpack.NewEncoder(&later) // whose table becomes that of the first
	encode(e, browserFields)
	later.Reset()
	encode(e, browserFields)
	_ = e.WriteField(hpack.HeaderField{Name: "x-request-id", Value: "0123456789abcdef0123456789abcdef", Sensitive: true})
	_ = e.WriteField(hpack.HeaderField{Name: "if-none-match", Value: `"0123456789"`, Sensitive: true})
	c := &Config{MaxHeadBytes: 16 << 10, MaxFields: 100}
	b.Run("ours", func(b *testing.B) {
		d := decoder{}
		d.table.limit = tableSize
		decode := func(p []byte) {
			x := newSection(sectionRequest, c)
			if err := d.decode(p, x); err != nil {
				b.Fatal(err)
			}
			x.free()
		}
		decode(first.Bytes())
		b.ReportAllocs()
		for b.Loop() {
			decode(later.Bytes())
		}
	})
	b.Run("library", func(b *testing.B) {
		n := 0
		d := hpack.NewDecoder(tableSize, func(f hpack.HeaderField) { n += len(f.Name) + len(f.Value) })
		decode := func(p []byte) {
			if _, err := d.Write(p); err != nil || d.Close() != nil {
				b.Fatal(err)
			}
		}
		decode(first.Bytes())
		b.ReportAllocs()
		for b.Loop() {
			decode(later.Bytes())
		}
	})
}
