//go:build linux && cgo

package amdsmi

import (
	"encoding/binary"
	"testing"
)

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		force, most uint64
		want        [2]int64
	}{
		{500_000_000, 750_000_000, [2]int64{500, 750}},
		{560, 560, [2]int64{560, 560}}, // before ROCm 6.1.2
		{0, 1_000_400_000, [2]int64{0, 1000}},
		{1<<64 - 1, 1<<64 - 1, [2]int64{0, 0}}, // not there
	} {
		b := make([]byte, 64)
		binary.NativeEndian.PutUint64(b, test.force)
		binary.NativeEndian.PutUint64(b[32:], test.most)
		if force, most := limits(b); [2]int64{force, most} != test.want {
			t.Errorf("%d and %d: got %d and %d W, want %v", test.force, test.most, force, most, test.want)
		}
	}
}

func TestLayoutOf(t *testing.T) {
	for _, test := range []struct {
		words         [4]uint32
		name, version string // name empty: refused
	}{
		{[4]uint32{23, 2, 0, 0}, "", ""},
		{[4]uint32{23, 4, 2, 0}, "23.4", "23.4.2.0"},
		{[4]uint32{24, 5, 2, 1}, "23.4", "24.5.2.1"},
		{[4]uint32{24, 7, 1, 0}, "23.4", "24.7.1.0"},
		{[4]uint32{25, 1, 0, 0}, "", ""}, // on the way from 24 to 25
		{[4]uint32{25, 25, 5, 1}, "25", "25.5.1"},
		{[4]uint32{26, 0, 2, 0}, "26", "26.0.2"},
		{[4]uint32{27, 2, 0, 0}, "26", "27.2.0"},
		{[4]uint32{28, 0, 0, 0}, "", ""},
		{[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, "", ""}, // nothing was written
	} {
		l, version, err := layoutOf(test.words)
		if l.name != test.name || version != test.version || (err == nil) != (test.name != "") {
			t.Errorf("%d: got layout %q, version %q, %v; want %q, %q", test.words, l.name, version, err, test.name, test.version)
		}
	}
}

// FuzzText: whatever a library leaves in the memory, a text of it is printable and bounded, and power is never a mark for nothing.
func FuzzText(f *testing.F) {
	f.Add([]byte("AMD Instinct MI300X\x00junk"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte(" \x1b[31m red "))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := printable(b)
		if len(s) > 64 {
			t.Errorf("%d characters", len(s))
		}
		for _, c := range s {
			if c < ' ' || c > '~' {
				t.Errorf("%q", s)
			}
		}
		if len(b) >= 4 {
			if w, ok := watts(b, 0); ok && (w == 0xffff || w == 0xffffffff || w < 0) {
				t.Errorf("%d W of %x", w, b[:4])
			}
		}
	})
}
