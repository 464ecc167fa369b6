package codec

import "testing"

func TestStatusSet(t *testing.T) {
	var s StatusSet
	if !s.Empty() || s.Has(0) || s.Has(200) {
		t.Error("the zero set is not empty")
	}
	s.Add(500, 700)
	s.Add(404, 404)
	s.Add(-5, 100)
	s.Add(300, 200)
	for code := -10; code < 1000; code++ {
		want := code >= 500 && code <= 599 || code == 404 || code == 100
		if s.Has(code) != want {
			t.Errorf("Has(%d) is %v", code, !want)
		}
	}
	if s.Empty() {
		t.Error("the set is empty")
	}
}
