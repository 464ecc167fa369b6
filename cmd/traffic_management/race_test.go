//go:build race

package main

// raceDetector: the program is built with it too, and takes several times the memory and the time.
const raceDetector = true
