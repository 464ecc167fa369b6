package exchange_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"traffic_management/internal/invariant"
)

// messages takes what one side of a connection sent apart into messages, strictly: what the proxy sends needs no
// tolerance. It knows nothing of the proxy's own parsers.
type messages struct {
	buf     []byte
	at      place
	left    int // of the content or the chunk
	start   string
	fields  map[string]string // names in lower case
	content []byte
	trailer string

	headless bool // the response to be read has no content whatever its head says: its request was HEAD
}

// place is where in a message the reader is.
type place uint8

const (
	placeHead place = iota
	placeLength
	placeChunkLine
	placeChunkData
	placeTrailer
	placeUntilClose
)

func (p place) String() string {
	return [...]string{"head", "length", "chunk line", "chunk data", "trailer", "until close"}[p]
}

// event is what the reader came upon.
type event uint8

const (
	eventMore event = iota // more bytes are needed
	eventHead              // a head is complete; with status 1xx it is the whole message
	eventDone              // a message is complete
)

func (e event) String() string { return [...]string{"more", "head", "done"}[e] }

// next reads on to the next event.
func (m *messages) next() (event, error) {
	for {
		switch m.at {
		case placeHead:
			i := bytes.Index(m.buf, []byte("\r\n\r\n"))
			if i < 0 {
				return eventMore, nil
			}
			head := string(m.buf[:i])
			m.buf = m.buf[i+4:]
			return eventHead, m.begin(head)
		case placeUntilClose:
			m.content, m.buf = append(m.content, m.buf...), nil
			return eventMore, nil
		case placeLength, placeChunkData:
			n := min(m.left, len(m.buf))
			m.content, m.buf, m.left = append(m.content, m.buf[:n]...), m.buf[n:], m.left-n
			switch {
			case m.left > 0:
				return eventMore, nil
			case m.at == placeLength:
				m.at = placeHead
				return eventDone, nil
			case len(m.buf) < 2:
				return eventMore, nil
			case string(m.buf[:2]) != "\r\n":
				return eventMore, fmt.Errorf("behind a chunk: %q", m.buf[:2])
			}
			m.buf, m.at = m.buf[2:], placeChunkLine
		case placeChunkLine, placeTrailer:
			i := bytes.Index(m.buf, []byte("\r\n"))
			if i < 0 {
				return eventMore, nil
			}
			line := string(m.buf[:i])
			m.buf = m.buf[i+2:]
			if m.at == placeTrailer {
				if line == "" {
					m.at = placeHead
					return eventDone, nil
				}
				m.trailer += line
				continue
			}
			n, err := strconv.ParseUint(line, 16, 31)
			if err != nil {
				return eventMore, err
			}
			m.left, m.at = int(n), placeChunkData
			if n == 0 {
				m.at = placeTrailer
			}
		}
	}
}

// begin starts a message with its head.
func (m *messages) begin(head string) error {
	lines := strings.Split(head, "\r\n")
	m.start, m.fields, m.content, m.trailer = lines[0], map[string]string{}, nil, ""
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if name = strings.ToLower(name); !found || m.fields[name] != "" {
			return fmt.Errorf("field line %q in %q", line, head)
		}
		m.fields[name] = value
	}
	if strings.IndexByte(head, invariant.PoisonByte) >= 0 { // bytes used after their loan
		return fmt.Errorf("head %q", head)
	}
	return m.frame()
}

// frame finds how the content of a message is delimited (RFC 9112 section 6.3).
func (m *messages) frame() error {
	length, hasLength := m.fields["content-length"]
	coding, hasCoding := m.fields["transfer-encoding"]
	if hasLength && hasCoding || hasCoding && coding != "chunked" {
		return fmt.Errorf("framing by %q and %q", length, coding)
	}
	m.at, m.left = placeLength, 0
	switch status := m.status(); {
	case status > 0 && status < 200:
		m.at = placeHead
	case m.headless, status == 204, status == 304:
	case hasCoding:
		m.at = placeChunkLine
	case hasLength:
		n, err := strconv.Atoi(length)
		m.left = n
		return err
	case status > 0:
		m.at = placeUntilClose
	}
	return nil
}

// status is that of a response, 0 of a request.
func (m *messages) status() int {
	if !strings.HasPrefix(m.start, "HTTP/1.1 ") || len(m.start) < 12 {
		return 0
	}
	n, _ := strconv.Atoi(m.start[9:12])
	return n
}
