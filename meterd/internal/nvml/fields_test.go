//go:build linux && cgo

package nvml

import (
	"encoding/binary"
	"math"
	"testing"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

func TestCount(t *testing.T) {
	bits := func(n uint64) (b [8]byte) {
		binary.NativeEndian.PutUint64(b[:], n)
		return b
	}
	minus := int64(-5)
	tests := []struct {
		name string
		t    lib.ValueType
		v    [8]byte
		want int64
		ok   bool
	}{
		{"double", lib.VALUE_TYPE_DOUBLE, bits(math.Float64bits(399_999.6)), 400_000, true},
		{"double below zero", lib.VALUE_TYPE_DOUBLE, bits(math.Float64bits(-1)), 0, false},
		{"double NaN", lib.VALUE_TYPE_DOUBLE, bits(math.Float64bits(math.NaN())), 0, false},
		{"double too large", lib.VALUE_TYPE_DOUBLE, bits(math.Float64bits(1e300)), 0, false},
		{"unsigned int beside old bytes", lib.VALUE_TYPE_UNSIGNED_INT, bits(0xdead_beef_0006_1a80), 400_000, true},
		{"unsigned long", lib.VALUE_TYPE_UNSIGNED_LONG, bits(1 << 40), 1 << 40, true},
		{"unsigned long long", lib.VALUE_TYPE_UNSIGNED_LONG_LONG, bits(1 << 62), 1 << 62, true},
		{"unsigned long long too large", lib.VALUE_TYPE_UNSIGNED_LONG_LONG, bits(1 << 63), 0, false},
		{"signed long long", lib.VALUE_TYPE_SIGNED_LONG_LONG, bits(7), 7, true},
		{"signed long long below zero", lib.VALUE_TYPE_SIGNED_LONG_LONG, bits(uint64(minus)), 0, false},
		{"signed int below zero", lib.VALUE_TYPE_SIGNED_INT, bits(0xffff_ffff), 0, false},
		{"unsigned short beside old bytes", lib.VALUE_TYPE_UNSIGNED_SHORT, bits(0xffff_0102), 0x0102, true},
		{"no type", lib.VALUE_TYPE_COUNT, bits(1), 0, false},
		{"a later type", 99, bits(1), 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := count(test.t, test.v)
			if ok != test.ok || ok && got != test.want {
				t.Errorf("got %d, %v; want %d, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

// Nothing that the library can put into an answer comes out as a negative count, and nothing without success as a count.
func FuzzDecode(f *testing.F) {
	f.Add(uint32(lib.VALUE_TYPE_UNSIGNED_INT), uint32(lib.SUCCESS), uint64(400_000))
	f.Add(uint32(lib.VALUE_TYPE_DOUBLE), uint32(lib.SUCCESS), math.Float64bits(math.Inf(1)))
	f.Add(uint32(lib.VALUE_TYPE_SIGNED_LONG_LONG), uint32(lib.SUCCESS), uint64(1<<63))
	f.Add(uint32(99), uint32(lib.ERROR_UNKNOWN), uint64(1))
	f.Fuzz(func(t *testing.T, kind, ret uint32, bits uint64) {
		v := lib.FieldValue{ValueType: kind, NvmlReturn: ret}
		binary.NativeEndian.PutUint64(v.Value[:], bits)
		n, got := decode(&v)
		if s := sample(0, n, got); n < 0 || s.Raw < 0 || (s.Status == power.OK) != (got == lib.SUCCESS) || ret != uint32(lib.SUCCESS) && s.Raw != 0 {
			t.Errorf("%+v: %d, %v, %+v", v, n, got, s)
		}
	})
}
