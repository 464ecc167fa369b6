package main

// The tests of this package run the program as a child process: with a configuration of its own, with servers that
// record every byte they get, and with clients that write what they like.
//
//	client (client_test.go) ──raw bytes──▶ proxy (proxy_test.go) ──▶ server (server_test.go), which records
//
// corpus_test.go sends lists of hostile requests; the rows of docs/defences.md name the tests that show them.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"traffic_management/internal/invariant"
)

// program is the path of the program under test, built by TestMain.
var program string

// patience is how long a test waits for what must happen before it fails.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "traffic_management")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "traffic_management")
	args := []string{"build", "-o", program}
	if raceDetector {
		args = append(args, "-race")
	}
	if invariant.Enabled {
		args = append(args, "-tags", "invariants")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}
