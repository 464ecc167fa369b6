//go:build race

package engine_test

// pressure is how much content TestBackPressure sends: less where every byte passes the race detector.
const pressure = 128 << 20
