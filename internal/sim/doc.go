// Package sim is a reactor without a kernel: a loop with a virtual clock, and connections whose bytes travel through
// memory. One seed decides how what is written is cut into pieces, how long each travels, what the peer's kernel takes
// at once and which connection is reset, so that a test that fails fails again. Nothing here starts a goroutine or
// reads a clock.
//
//	Conn.Writev ▶ gathered ─end of turn▶ queue ─window▶ wire ─pieces, delays▶ arrived ─unless held▶ In ▶ Sink.OnData
//	└───────────── conn ─────────────────────┘└──────── socket ──────────────────────┘└──── conn of the other side ──┘
//
// A test makes a Loop, connects Sinks with Pipe, or with Listen and Dial, and lets Run or Advance drive them. Between
// those calls it may use the connections as code on the loop does.
//
// A conn is what the reactor knows of a connection, a socket what the kernel knows. Both keep every sentence of package
// reactor's interfaces; where those leave a choice, the seed makes it.
package sim
