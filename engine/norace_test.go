//go:build !race

package engine_test

// pressure is how much content TestBackPressure sends.
const pressure = 1 << 30
