package telemetry

import "testing"

func TestSample(t *testing.T) {
	const requests = 20000
	chosen := func(part float64, seed uint64, loop int) (n int, which [requests]bool) {
		s := newSampler(part, seed, loop)
		for i := range which {
			if which[i] = s.choose(); which[i] {
				n++
			}
		}
		return n, which
	}
	for _, part := range []float64{0, 0.01, 0.5, 0.99, 1} {
		n, which := chosen(part, 42, 0)
		if off := float64(n) - part*requests; off < -300 || off > 300 {
			t.Errorf("sample %v: %d of %d", part, n, requests)
		}
		if _, again := chosen(part, 42, 0); again != which {
			t.Errorf("sample %v: the same seed chose others", part)
		}
	}
	_, a := chosen(0.5, 42, 0)
	_, b := chosen(0.5, 42, 1)
	same := 0
	for i := 1; i < requests; i++ {
		if a[i] == b[i-1] || a[i-1] == b[i] {
			same++
		}
	}
	if same > requests*4/5 { // three in four by chance
		t.Errorf("two loops choose alike: %d of %d", same, requests)
	}
	l := startLog(t, opener(&disk{}), 1, AccessLogOptions{Sample: 0})
	l.Shard(0).Append(fullRecord())
	closeLog(t, l)
	if n := l.counts.written.Load() + l.counts.dropped.Load(); n != 0 {
		t.Errorf("sample 0: %d lines", n)
	}
}
