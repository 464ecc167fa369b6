package h2

import "traffic_management/codec"

// decoder decodes the field blocks of one connection (RFC 7541). The zero value is not ready: its table needs a limit.
type decoder struct {
	table dynamicTable
}

// decode adds the fields of a whole field block to x. A field over x's limits is left out and yet enters the table as
// the peer expects, so that later blocks can be decoded. The error ends the connection.
func (d *decoder) decode(b []byte, x *section) *Error {
	for first := true; len(b) > 0; {
		c := b[0]
		var n uint64
		var ok bool
		switch {
		case c&0x80 != 0:
			if n, b, ok = integer(b, 7); !ok || !d.indexed(n, x) {
				return errCompression
			}
		case c&0xc0 == 0x40:
			if b, ok = d.literal(b, 6, x); !ok {
				return errCompression
			}
		case c&0xe0 == 0x20:
			if n, b, ok = integer(b, 5); !ok || !first || n > tableSize {
				return errCompression
			}
			d.table.resize(int(n))
			continue
		default:
			if b, ok = d.literal(b, 4, x); !ok {
				return errCompression
			}
		}
		if x.bytes > blockPerHead*x.limits.MaxHeadBytes {
			return errHeadLong
		}
		first = false
	}
	return nil
}

// indexed adds a field that is in a table as a whole (RFC 7541 section 6.1).
func (d *decoder) indexed(i uint64, x *section) bool {
	if i == 0 {
		return false
	}
	if i < uint64(len(staticTable)) {
		e := &staticTable[i]
		x.take(e.label, e.name, e.value, false)
		return true
	}
	e := d.table.at(int(i) - len(staticTable))
	if e == nil {
		return false
	}
	name, value := d.table.text(e)
	if e.id != codec.FieldOther {
		name = codec.NewField(e.id, nil).Name
	} else {
		name = x.keep(name)
	}
	x.take(e.label, name, x.keep(value), e.invalid)
	return true
}

// literal adds a field whose value, and perhaps name, is spelt out (RFC 7541 sections 6.2.1 to 6.2.3); a prefix of 6
// bits says that it enters the table. rest is what follows.
func (d *decoder) literal(b []byte, prefix uint, x *section) (rest []byte, ok bool) {
	i, b, ok := integer(b, prefix)
	if !ok {
		return nil, false
	}
	var (
		l               label
		name, value     []byte
		fits, fitsValue verdict
	)
	switch {
	case i == 0:
		if name, b, fits = x.text(b); fits == stringBad {
			return nil, false
		}
		if l = labelOf(name); l.id != codec.FieldOther {
			x.raw = x.raw[:len(x.raw)-len(name)]
			name = codec.NewField(l.id, nil).Name
		}
	case i < uint64(len(staticTable)):
		l, name = staticTable[i].label, staticTable[i].name
	default:
		e := d.table.at(int(i) - len(staticTable))
		if e == nil {
			return nil, false
		}
		l = e.label
		if name, _ = d.table.text(e); l.id != codec.FieldOther {
			name = codec.NewField(l.id, nil).Name
		} else {
			name = x.keep(name)
		}
	}
	if value, b, fitsValue = x.text(b); fitsValue == stringBad {
		return nil, false
	}
	if fits == stringLong || fitsValue == stringLong { // such an entry is larger than the table, which it empties
		x.long()
		if prefix == 6 {
			d.table.evict(0)
		}
		return b, true
	}
	invalid := !validValue(value)
	if prefix == 6 {
		d.table.add(l, name, value, invalid)
	}
	x.take(l, name, value, invalid)
	return b, true
}

// validValue reports whether a field may have this value: no control characters, and no white space at its ends
// (RFC 9113 section 8.2.1).
func validValue(v []byte) bool {
	return codec.NextNotValue(v, 0) == len(v) && (len(v) == 0 || v[0] > ' ' && v[len(v)-1] > ' ')
}

// integer decodes an integer of a prefix of so many bits (RFC 7541 section 5.1), less than 2^28. rest is what follows.
func integer(b []byte, prefix uint) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	limit := uint64(1)<<prefix - 1
	n = uint64(b[0]) & limit
	if n < limit {
		return n, b[1:], true
	}
	for i := 1; i < len(b) && i <= 4; i++ {
		n += uint64(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return n, b[i+1:], true
		}
	}
	return 0, nil, false
}
