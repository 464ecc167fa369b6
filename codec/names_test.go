package codec

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// slowLookup is LookupFieldID as its document says it, by plain comparison.
func slowLookup(name []byte) FieldID {
	for id := FieldRemoved + 1; id < fieldCount; id++ {
		if EqualFold(name, fieldNames[id]) {
			return id
		}
	}
	return FieldOther
}

func TestLookupFieldIDKnowsEveryNameInAnyCase(t *testing.T) {
	for id := FieldRemoved + 1; id < fieldCount; id++ {
		name := id.String()
		if name == "" {
			t.Fatalf("field %d has no name", id)
		}
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := LookupFieldID([]byte(spelled)); got != id {
				t.Errorf("%q: got %d, want %d", spelled, got, id)
			}
		}
	}
}

func TestLookupFieldIDRefusesEveryOtherByte(t *testing.T) {
	for id := FieldRemoved + 1; id < fieldCount; id++ {
		for i := range len(id.String()) {
			for c := range 256 {
				name := []byte(id.String())
				name[i] = byte(c)
				if got, want := LookupFieldID(name), slowLookup(name); got != want {
					t.Fatalf("%q: got %v, want %v", name, got, want)
				}
			}
		}
	}
}

func FuzzLookupFieldID(f *testing.F) {
	for _, s := range []string{"", "t", "te", "TE", "host", "content-length", "proxy-authorization-x", "content\rlength"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		if got, want := LookupFieldID(name), slowLookup(name); got != want {
			t.Fatalf("%q: got %v, want %v", name, got, want)
		}
	})
}

func TestLookupMethod(t *testing.T) {
	for m := MethodGet; m <= MethodPatch; m++ {
		if got := LookupMethod([]byte(m.String())); got != m {
			t.Errorf("%v: got %v", m, got)
		}
		if got := LookupMethod(bytes.ToLower([]byte(m.String()))); got != MethodOther {
			t.Errorf("%v in lower case: got %v", m, got)
		}
	}
}

func TestSafeMethodsAreIdempotent(t *testing.T) {
	safe, idempotent := "", ""
	for m := MethodOther; m <= MethodPatch; m++ {
		if m.Safe() {
			safe += m.String() + " "
		}
		if m.Idempotent() {
			idempotent += m.String() + " "
		}
	}
	if safe != "GET HEAD OPTIONS TRACE " || idempotent != "GET HEAD PUT DELETE OPTIONS TRACE " {
		t.Errorf("safe %q, idempotent %q", safe, idempotent)
	}
}

func TestHeadRebaseMovesOnlyWhatPointsIntoTheBytes(t *testing.T) {
	from := []byte("GET /path?query Name value")
	other := []byte("elsewhere")
	h := Head{Method: MethodGet, MethodName: from[:3], Target: from[4:15], Path: from[4:9], Query: from[10:15],
		Fields: []Field{{Name: from[16:20], Value: from[21:]}, {Name: other, Value: from[21:21]}}}
	to := bytes.Clone(from)
	h.Rebase(from, to)
	for i := range from {
		from[i] = '#'
	}
	got := string(h.MethodName) + " " + string(h.Path) + "?" + string(h.Query) + " " + string(h.Fields[0].Name) + " " +
		string(h.Fields[0].Value)
	if got != string(to) || string(h.Target) != "/path?query" {
		t.Errorf("got %q, target %q", got, h.Target)
	}
	if &h.Fields[1].Name[0] != &other[0] {
		t.Error("a slice from elsewhere was moved")
	}
	if h.Fields[1].Value == nil {
		t.Error("an empty value became nil")
	}
}

func TestHeadFieldsByName(t *testing.T) {
	h := Head{}
	for _, s := range []string{"Host: a", "X-Own: 1", "x-own: 2", "Via: x", "VIA: y"} {
		name, value, _ := bytes.Cut([]byte(s), []byte(": "))
		h.Fields = append(h.Fields, Field{Name: name, Value: value, ID: LookupFieldID(name)})
	}
	if got := h.Get(FieldVia); string(got) != "x" {
		t.Errorf("Get: %q", got)
	}
	if v, ok := h.Lookup("X-OWN"); !ok || string(v) != "1" {
		t.Errorf("Lookup: %q %v", v, ok)
	}
	h.RemoveName([]byte("X-OWN"))
	if v, ok := h.Lookup("x-own"); ok {
		t.Errorf("after RemoveName: %q", v)
	}
	h.Set(FieldVia, []byte("z"))
	if v := h.Get(FieldVia); string(v) != "z" {
		t.Errorf("after Set: %q", v)
	}
	h.Set(FieldVia, nil)
	if v := h.Get(FieldVia); v != nil {
		t.Errorf("after Set nil: %q", v)
	}
	if v := h.Get(FieldHost); string(v) != "a" {
		t.Errorf("another field: %q", v)
	}
}

func BenchmarkLookupFieldID(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	names := make([][]byte, 1024)
	for i := range names {
		names[i] = []byte(strings.ToLower(fieldNames[int(FieldAccept)+r.IntN(int(fieldCount-FieldAccept))]))
	}
	for i := 0; b.Loop(); i++ {
		if LookupFieldID(names[i&1023]) == FieldOther {
			b.Fatal("unknown")
		}
	}
}
