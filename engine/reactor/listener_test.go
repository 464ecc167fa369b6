package reactor

import "testing"

// Two processes must not share an address without knowing: the kernel would let them.
func TestListenRefusesATakenAddress(t *testing.T) {
	first, err := Listen("127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Listen(first.Addr().String(), 1); err == nil {
		second.Close()
		t.Error("two listeners share an address")
	}
	first.Close()
	second, err := Listen(first.Addr().String(), 1)
	if err != nil {
		t.Fatalf("the address is not free again: %v", err)
	}
	second.Close()
}
